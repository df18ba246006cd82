"""What an optimizer offers to look at its rules and to change many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from chainrule._averaging import averaged
from chainrule._explain import explain
from chainrule._statistics import STATISTICS
from chainrule._transaction import Transaction
from chainrule.link import Link
from chainrule.rules.all_rules import Rules
from chainrule.rules.apply import Application, PlanReport
from chainrule.rules.journal import Journal
from chainrule.rules.patterns import suggestion
from chainrule.rules.plan import Plan, make_plan
from chainrule.update_rule import UpdateRule

__all__ = ["RuleControl"]


class RuleControl:
    """The part of :class:`chainrule.Optimizer` that is about its rules."""

    @property
    def rules(self: Any) -> Rules:
        """The update rules by the paths of their parameters: :class:`chainrule.rules.Rules`.

        Example:
            >>> import chainrule
            >>> net = chainrule.Chain(l1=chainrule.links.Linear(2, 3))
            >>> optimizer = chainrule.optimizers.SGD(lr=0.1).setup(net)
            >>> optimizer.rules["/l1/*"].hyperparam.lr = 0.01
        """
        return Rules(self)

    def plan(self: Any, link: Link | None = None) -> Plan:
        """Tell how parameters are updated, or would be, before anything is allocated.

        Args:
            link: A link that :meth:`setup` may be called with; it is left as it is. Without one
                the present rules are described.

        Returns:
            The plan: a table when printed, plain data by :meth:`Plan.to_dict`.

        Raises:
            RuntimeError: If no link is given and :meth:`setup` was not called.

        Example:
            >>> import chainrule
            >>> net = chainrule.Chain(l1=chainrule.links.Linear(2, 3))
            >>> print(chainrule.optimizers.Adam(alpha=0.01).plan(net))
            path   shape   dtype    algorithm  values      enabled  state
            /l1/W  (3, 2)  float32  Adam       alpha=0.01  yes      48 B
            /l1/b  (3,)    float32  Adam       alpha=0.01  yes      24 B
            2 parameters, 9 elements, 72 B of state
        """
        return make_plan(self, link)

    def apply_plan(
        self: Any,
        plan: Plan | Mapping[str, Any],
        strict: bool = True,
        hooks: Mapping[str, Callable[..., Any]] | None = None,
        algorithms: Mapping[str, Callable[..., UpdateRule]] | None = None,
    ) -> PlanReport:
        """Configure the optimizer and all of its rules as a plan says.

        Afterwards algorithm, values, ``enabled``, hooks and policies of each rule, and values and
        hooks of the optimizer, are those of the plan, no more and no less. A rule of another
        algorithm is replaced. Objects that the rules share, such as another optimizer's
        hyperparameters, are kept and brought up to date where they stand in the same places.

        Args:
            plan: A plan, or its plain data.
            strict: Whether all of it must fit; otherwise what does not is left out and reported.
            hooks: Hooks that are not built in, by name. One that stands in its place already
                need not be given.
            algorithms: Classes of rules that are not built in, by the name in the plan.

        Returns:
            A report of what was changed, and of what did not fit.

        Raises:
            KeyError: If a path, an algorithm or a hook is not known, or a rule not in the plan.
            AttributeError: If an algorithm has no such hyperparameter, a rule no such policy.
            ValueError: If the data are malformed.
            RuntimeError: If :meth:`setup` was not called.

        Whatever is raised, nothing is changed then.

        Example:
            >>> import chainrule
            >>> a, b = (chainrule.Chain(l1=chainrule.links.Linear(2, 3)) for _ in range(2))
            >>> optimizer = chainrule.optimizers.SGD().setup(a)
            >>> optimizer.rules["/l1/W"].hyperparam.lr = 0.5
            >>> other = chainrule.optimizers.SGD().setup(b)
            >>> print(other.apply_plan(optimizer.plan().to_dict()))
            2 rules applied
              changed  /l1/W: values
            >>> b.l1.W.update_rule.hyperparam.lr
            0.5
        """
        data = plan.to_dict() if isinstance(plan, Plan) else plan
        with Journal() as journal:
            application = Application(
                self, data, journal, strict=strict, hooks=hooks, algorithms=algorithms
            )
            return application.run()

    def averaged(self: Any) -> AbstractContextManager[None]:
        """Let parameters hold their averages in a ``with`` block, to evaluate or to save them.

        Averages come from rules that keep one, as the Schedule-Free ones do, and from hooks (see
        :meth:`UpdateRule.averaged_value`). Parameters without one keep their values. When the block
        is left, also by an exception, every parameter holds the bits that it held before; what
        was assigned to it in the block is lost. A block in a block, or beside one in another
        thread, changes nothing; the last one that is left gives the values back.

        Returns:
            A context manager. In its block, :meth:`update` raises RuntimeError, and so does
            every other update of a parameter that holds its average.

        Raises:
            RuntimeError: If :meth:`setup` was not called, or another thread is in an update.
            ValueError: If a parameter's array is read-only, or an average has another shape;
                nothing is changed then.

        Example:
            >>> import chainrule, numpy
            >>> link = chainrule.Link(w=1)
            >>> link.w.array[:] = 1
            >>> optimizer = chainrule.optimizers.ScheduleFreeSGD(lr=0.5).setup(link)
            >>> for _ in range(2):
            ...     link.w.grad = numpy.ones(1, numpy.float32)
            ...     optimizer.update()
            >>> link.w.array
            array([0.225], dtype=float32)
            >>> with optimizer.averaged():
            ...     link.w.array
            array([0.25], dtype=float32)
            >>> link.w.array
            array([0.225], dtype=float32)
        """
        return averaged(self)

    def observe(
        self: Any,
        rules: Any = None,
        statistics: Iterable[str] | str | None = None,
    ) -> None:
        """Have updates tell statistics of themselves.

        They are summed while the update passes over memory, and read afterwards as
        ``rule.statistics['grad_norm']``. Observing changes no bit of the update.

        Args:
            rules: Whose updates: a selection of :attr:`rules`, or what selects one, such as a
                pattern; or one rule. All by default.
            statistics: Which: some of ``'grad_norm'``, ``'param_norm'``, ``'update_norm'``,
                ``'update_ratio'``, ``'max_abs'``, ``'nonfinite'`` and ``'lost'``
                (:data:`chainrule._statistics.STATISTICS` says what they mean); all by default,
                none if it is empty.

        Raises:
            KeyError: If there is no such statistic; nothing is changed then.
            TypeError: If a rule is written in Python, which the sweep does not see; nothing is
                changed then.
            RuntimeError: If :meth:`setup` was not called yet.

        Example:
            >>> import chainrule, numpy
            >>> link = chainrule.Link(w=2)
            >>> link.w.array[:] = [3, 4]
            >>> optimizer = chainrule.optimizers.SGD(lr=0.5).setup(link)
            >>> optimizer.observe(optimizer.rules['/w'], ['grad_norm', 'update_ratio'])
            >>> link.w.grad = numpy.array([0, 1], numpy.float32)
            >>> optimizer.update()
            >>> dict(link.w.update_rule.statistics)
            {'grad_norm': 1.0, 'update_ratio': 0.1}
        """
        if isinstance(statistics, str):
            statistics = (statistics,)
        if not (statistics is None or isinstance(statistics, Iterable)):
            raise TypeError(f"[observe] got {statistics!r}, expected names of statistics")
        names = tuple(STATISTICS) if statistics is None else tuple(statistics)
        for name in names:
            if name not in STATISTICS:
                raise KeyError(
                    f"[observe] no such statistic: got {name!r}" + suggestion(name, STATISTICS)
                )
        chosen = (
            [rules]
            if isinstance(rules, UpdateRule)
            else list(self.rules if rules is None else self.rules[rules])
        )
        for rule in chosen:
            if rule._runs_in_python and names:
                raise TypeError(
                    f"[observe] {type(rule).__name__} is written in Python, which the sweep over "
                    "memory does not see"
                )
        for rule in chosen:
            rule._observed_names = names
            rule._observed = bool(names)

    def transaction(self: Any) -> Transaction:
        """Take updates back if a block raises or asks for it.

        Returns:
            A context manager. If the block raises, or calls ``rollback()`` on what ``with`` gives,
            parameters, states and counts are as before, bit for bit. ``rollback()`` raises
            RuntimeError, and changes nothing, in a block of :meth:`averaged` that began after it.

        Example:
            >>> import chainrule, numpy
            >>> link = chainrule.Link(w=1)
            >>> link.w.array[:] = 1
            >>> optimizer = chainrule.optimizers.SGD(lr=0.5).setup(link)
            >>> link.w.grad = numpy.ones(1, numpy.float32)
            >>> with optimizer.transaction() as transaction:
            ...     optimizer.update()
            ...     print(link.w.array)
            ...     transaction.rollback()
            [0.5]
            >>> print(link.w.array, optimizer.t)
            [1.] 0
        """
        return Transaction(self)

    def explain(self: Any, path: str, name: str) -> str:
        """Say what a value of a parameter is now, how it comes about, and who set it.

        Args:
            path: The parameter's path, as ``target.namedparams()`` has it.
            name: A hyperparameter, or ``'enabled'``.

        Returns:
            A line of text: number, formula with the numbers that go into it, origin.

        Raises:
            AttributeError: If the parameter's rule has no such value.
            KeyError: If there is no such parameter, or it has no rule.
            RuntimeError: If :meth:`setup` was not called yet.

        Example:
            >>> import chainrule
            >>> from chainrule import optimizers, schedules
            >>> link = chainrule.links.Linear(2, 3)
            >>> optimizer = optimizers.SGD(schedules.linear(1.0, 0.0, 100)).setup(link)
            >>> link.W.update_rule.hyperparam.lr = chainrule.inherit * 0.5
            >>> optimizer.t = 50
            >>> optimizer.explain('/W', 'lr')
            '0.25 = inherit(0.5 = linear(1.0, 0.0, 100) at step 50) * 0.5, set on the rule'
        """
        return explain(self, path, name)
