"""What all optimizers have: a target, counts, hooks, loss scaling."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

from chainrule import _core
from chainrule._averaging import averaged
from chainrule._explain import explain
from chainrule._hookable import Hookable
from chainrule._statistics import STATISTICS
from chainrule._transaction import Transaction
from chainrule._undo import add_note
from chainrule.configuration import config
from chainrule.link import Link
from chainrule.optimizer_hooks._weights import serialize_hooks
from chainrule.rules import snapshot
from chainrule.rules.all_rules import Rules
from chainrule.rules.apply import Application, PlanReport
from chainrule.rules.journal import Journal
from chainrule.rules.patterns import suggestion
from chainrule.rules.plan import Plan, make_plan
from chainrule.rules.selection import Selection
from chainrule.serializer import AbstractSerializer
from chainrule.update_rule import UpdateRule

__all__ = ["Optimizer"]

_Self = TypeVar("_Self", bound="Optimizer")


class Optimizer:
    """Base of all optimizers.

    Attributes:
        target: The link whose parameters are updated; set by :meth:`setup`.
        epoch: Number of epochs so far; see :meth:`new_epoch`.
        use_auto_new_epoch: Whether an updater calls :meth:`new_epoch`.
    """

    target: Link | None = None
    epoch = 0
    use_auto_new_epoch = False
    _hookable: Hookable | None = None
    _loss_scale: float | None = None
    _loss_scale_max = 65504.0  # the greatest float16
    _loss_scaling_is_dynamic = False
    _loss_scaling_isnan = False
    _loss_scaling_isnan_ever = False
    _loss_scaling_multiplier = 1.0
    _averaging = False
    _own_clock: _core.Clock | None = None

    @property
    def _clock(self) -> _core.Clock:
        """The count of updates; its rules have the same one."""
        if self._own_clock is None:
            self._own_clock = _core.Clock()
        return self._own_clock

    @property
    def t(self) -> int:
        """Number of updates so far: the step that expressions are evaluated at."""
        return self._clock.t

    @t.setter
    def t(self, t: int) -> None:
        self._clock.t = t
        if self.target is not None:
            for param in self.target.params():
                refresh = getattr(param.update_rule, "_refresh_enabled", None)
                if refresh is not None:
                    refresh()

    def __copy__(self: _Self) -> _Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(cast("dict[str, Any]", self.__reduce_ex__(2)[2]) or {})
        # As a number is copied, though it is held by an object.
        other._own_clock = copy.copy(self._clock)
        return other

    def setup(self: _Self, link: Link) -> _Self:
        """Choose the link to update, and start counting anew.

        Args:
            link: The link.

        Returns:
            The optimizer itself.

        Raises:
            TypeError: If ``link`` is none.
        """
        if not isinstance(link, Link):
            raise TypeError("optimization target must be a link")
        self.target = link
        self.t = 0
        self.epoch = 0
        if self._hookable is None or config.chainer_semantics:
            self._hookable = Hookable(fall_back=True)
        self._changed()
        return self

    def update(self, lossfun: Callable[..., Any] | None = None, *args: Any, **kwds: Any) -> None:
        """Update the parameters; to be overridden.

        Args:
            lossfun: Computes the loss; without it the gradients are there already.
            *args: What ``lossfun`` is called with.
            **kwds: What ``lossfun`` is called with.
        """
        raise NotImplementedError

    @property
    def rules(self) -> Rules:
        """The update rules by the paths of their parameters: :class:`chainrule.rules.Rules`.

        Example:
            >>> import chainrule
            >>> net = chainrule.Chain(l1=chainrule.links.Linear(2, 3))
            >>> optimizer = chainrule.optimizers.SGD(lr=0.1).setup(net)
            >>> optimizer.rules["/l1/*"].hyperparam.lr = 0.01
        """
        return Rules(self)

    def plan(self, link: Link | None = None) -> Plan:
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
        self,
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

    def _new_rule(self) -> UpdateRule:
        raise NotImplementedError(f"[{type(self).__name__}] makes no update rules")

    def new_epoch(self, auto: bool = False) -> None:
        """Count an epoch.

        Args:
            auto: Whether an updater calls it.

        Raises:
            RuntimeError: If both the updater and somebody else count.
        """
        if auto and not self.use_auto_new_epoch:
            raise RuntimeError(
                "invalid new_epoch call with auto=True.\n"
                "Fix the updater to set optimizer.use_auto_new_epoch = True."
            )
        if not auto and self.use_auto_new_epoch:
            raise RuntimeError(
                "duplicated new_epoch with the updater.\n"
                "Pass auto_new_epoch=False to the updater or stop calling new_epoch outside the "
                "updater."
            )
        self.epoch += 1

    def _hooks(self) -> Hookable:
        if self._hookable is None:
            raise RuntimeError("Optimizer is not set up. Call `setup` method.")
        return self._hookable

    def _changed(self) -> None:
        """Note that hooks or target are others."""

    def add_hook(
        self, hook: Callable[..., Any], name: str | None = None, timing: str = "auto"
    ) -> None:
        """Run a hook around each update.

        Args:
            hook: Called as ``hook(optimizer)``; or, if ``hook.call_for_each_param`` is true, as
                ``hook(rule, param)`` for each parameter.
            name: Its name; ``hook.name`` by default.
            timing: ``'pre'``, ``'post'``, or ``'auto'``: what ``hook.timing`` says.

        Raises:
            KeyError: If the name is taken.
            RuntimeError: If :meth:`setup` was not called yet.
            TypeError: If ``hook`` cannot be called.
            ValueError: If there is no name, or no such timing.
        """
        self._hooks().add(hook, name, timing)
        self._changed()

    def remove_hook(self, name: str) -> None:
        """Take a hook off again.

        Args:
            name: Its name.

        Raises:
            KeyError: If there is none of this name.
        """
        self._hooks().remove(name)
        self._changed()

    def call_hooks(self, timing: str = "pre") -> None:
        """Call the hooks of one timing.

        Args:
            timing: ``'pre'`` or ``'post'``.
        """
        for name, hook in self._hooks().items(timing):
            try:
                self.call_hook(hook)
            except BaseException as error:
                add_note(error, f"[update] stopped in the hook {name!r} of the optimizer")
                raise

    def call_hook(self, hook: Callable[..., Any]) -> None:
        """Call one hook, for all parameters or once.

        Args:
            hook: The hook.
        """
        if not getattr(hook, "call_for_each_param", False):
            hook(self)
            return
        every = config.chainer_semantics
        assert self.target is not None
        for path, param in self.target.namedparams():
            rule = param.update_rule
            # What is not updated is left alone.
            if every or (param.grad is not None and rule is not None and rule.enabled):
                try:
                    hook(rule, param)
                except BaseException as error:
                    add_note(error, f"[update] stopped at {path}")
                    raise

    def averaged(self) -> AbstractContextManager[None]:
        """Let parameters hold their averages in a ``with`` block, to evaluate or to save them.

        Averages come from rules that keep one, as the Schedule-Free ones do, and from hooks (see
        :meth:`UpdateRule.averaged_value`). Parameters without one keep their values. When the block
        is left, also by an exception, every parameter holds the bits that it held before; what
        was assigned to it in the block is lost. A block in a block changes nothing.

        Returns:
            A context manager. In its block, :meth:`update` raises RuntimeError.

        Raises:
            RuntimeError: If :meth:`setup` was not called.
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

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Save or load counts, configuration and the states of all rules, not the parameters.

        The configuration is what :meth:`plan` describes, the state of loss scaling added: one
        entry, ``rules.json``. Where there is none, as in files from Chainer, the present one is
        kept; under ``config.chainer_semantics`` none is written. A rule of another algorithm than
        the saved one is replaced, and the report of ``load_npz`` says so. Functions and
        classes of your own cannot be stored: their hooks and rules are taken from those that
        stand in the same places when the file is loaded, and the load refuses where there are
        none.

        Args:
            serializer: Where to or from.
        """
        before = self.t
        on_failure = getattr(serializer, "on_failure", None)
        if on_failure is not None:
            on_failure(lambda: setattr(self, "t", before))
        self.t = int(serializer("t", self.t))
        self.epoch = int(serializer("epoch", self.epoch))
        if self.target is None:
            raise RuntimeError("Optimizer is not set up. Call `setup` method.")
        snapshot.serialize(self, serializer)
        for path, param in self.target.namedparams():
            rule = getattr(param, "update_rule", None)
            if rule is not None:
                rule.serialize(serializer[path])
                if isinstance(rule, UpdateRule):
                    hooks = self._hooks().of("post")
                    serialize_hooks(rule, hooks, serializer[path])

    def observe(
        self, rules: Selection | UpdateRule | None = None, statistics: Iterable[str] | None = None
    ) -> None:
        """Have updates tell statistics of themselves.

        They are summed while the update passes over memory, and read afterwards as
        ``rule.statistics['grad_norm']``. Observing changes no bit of the update.

        Args:
            rules: Whose updates: a selection of :attr:`rules`, or one rule; all by default.
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
        names = tuple(STATISTICS) if statistics is None else tuple(statistics)
        for name in names:
            if name not in STATISTICS:
                raise KeyError(
                    f"[observe] no such statistic: got {name!r}" + suggestion(name, STATISTICS)
                )
        chosen = (
            [rules]
            if isinstance(rules, UpdateRule)
            else list(self.rules if rules is None else rules)
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

    def transaction(self) -> Transaction:
        """Take updates back if a block raises or asks for it.

        Returns:
            A context manager. If the block raises, or calls ``rollback()`` on what ``with`` gives,
            parameters, states and counts are as before, bit for bit.

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

    def explain(self, path: str, name: str) -> str:
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

    def loss_scaling(self, interval: int = 1000, scale: float | None = None) -> None:
        """Multiply the loss, and divide the gradients again, so that float16 does not underflow.

        Args:
            interval: Updates until the scale has doubled, where it is found by itself.
            scale: The scale; without it, it is found by itself: raised step by step, halved when
                a gradient is not finite.

        Raises:
            ValueError: If one of them is not positive.
        """
        if scale is None:
            if interval < 1:
                raise ValueError(f"interval must be greater than or equal to 1. Actual: {interval}")
            self._loss_scaling_is_dynamic = True
            self._loss_scale = 1.0
            self._loss_scaling_multiplier = math.pow(2.0, 1.0 / interval)
            self._loss_scaling_isnan_ever = False
        else:
            if scale <= 0:
                raise ValueError(f"loss_scale must be a positive number. Actual: {scale}")
            self._loss_scaling_is_dynamic = False
            self._loss_scale = scale
        self._changed()

    def set_loss_scale(self, loss_scale: float) -> None:
        """Set a fixed loss scale.

        Args:
            loss_scale: The scale.
        """
        self.loss_scaling(scale=loss_scale)

    def check_nan_in_grads(self) -> None:
        """Look for gradients that are not finite, where the loss scale is found by itself."""
        self._loss_scaling_isnan = False
        if not self._loss_scaling_is_dynamic:
            return
        for path in self._nonfinite_gradients():
            self._loss_scaling_isnan = self._loss_scaling_isnan_ever = True
            warnings.warn(
                f"Non finite number found in param.grad of {path}"
                f" (iteration: {self.t}, loss_scale: {self._loss_scale})",
                stacklevel=3,
            )

    def _nonfinite_gradients(self) -> list[str]:
        table = _core.UpdateTable()
        assert self.target is not None
        for path, param in self.target.namedparams(False):
            if param.update_rule is not None:
                table.add(param, param.update_rule, path, True)
        return table.nonfinite_gradients(config.chainer_semantics)

    def is_safe_to_update(self) -> bool:
        """Whether :meth:`check_nan_in_grads` found all gradients finite."""
        return not self._loss_scaling_isnan

    def update_loss_scale(self) -> None:
        """Raise or halve the loss scale, where it is found by itself."""
        if not self._loss_scaling_is_dynamic:
            return
        if self._loss_scaling_isnan:
            multiplier = 0.5
        elif self._loss_scaling_isnan_ever:
            multiplier = self._loss_scaling_multiplier
        else:
            multiplier = 2.0
        assert self._loss_scale is not None
        self._loss_scale = max(1.0, min(self._loss_scale_max, self._loss_scale * multiplier))
