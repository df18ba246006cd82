"""The optimizer that a PyTorch model gets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from chainrule import _core
from chainrule._transaction import Transaction
from chainrule.configuration import config
from chainrule.optimizer import GradientMethod
from chainrule.optimizer_hooks import SAM
from chainrule.rules.all_rules import Rules
from chainrule.rules.apply import PlanReport
from chainrule.rules.journal import Journal
from chainrule.rules.plan import Plan
from chainrule.rules.selection import Selection
from chainrule.torch import _files
from chainrule.torch._added_groups import add_group
from chainrule.torch._groups import Groups, ParamGroup
from chainrule.torch._memory import give_back
from chainrule.torch._names import native_values, refuse_new, torch_values
from chainrule.torch._parameter import TensorParameter, freezing_at_the_end, reach_tensors
from chainrule.torch._rebinding import rebind
from chainrule.torch._sharp import sharp_step
from chainrule.torch._state import StateView
from chainrule.torch._streams import on_our_streams, refuse_capture
from chainrule.torch._tensors import bind, nothing
from chainrule.torch._transaction import TensorTransaction
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.torch._link import TensorLink
    from chainrule.torch._report import StateReport

__all__ = ["Optimizer"]

_Closure = Callable[[], Any]


class Optimizer(torch.optim.Optimizer):
    """A ``torch.optim.Optimizer`` whose every parameter has an update rule of chainrule.

    Made by :func:`chainrule.torch.attach`. To PyTorch's schedulers, scalers, clipping and trainers
    it is an optimizer like any other; beside that it has what an optimizer of chainrule has.

    Attributes:
        native: The optimizer of chainrule that does the work; its ``target`` holds the parameters.
        defaults: Values that rules fall back to, under PyTorch's names and chainrule's.
    """

    native: GradientMethod
    _detached = False
    # Class and names of defaults of the optimizer of torch.optim that was taken over.
    _theirs: tuple[str, tuple[str, ...]] | None = None

    def __init__(self, model: Any, native: Any, disabled_state: str = "keep") -> None:
        if not isinstance(native, GradientMethod):
            kind = native.__name__ if isinstance(native, type) else type(native).__name__
            raise TypeError(
                f"[chainrule.torch] attach: got {kind}, expected an optimizer such as "
                "chainrule.optimizers.AdamW(alpha=1e-3)"
            )
        if native.target is not None:
            raise ValueError(
                f"[chainrule.torch] attach: this {type(native).__name__} is set up for another "
                "model already: make one for each"
            )
        if disabled_state not in ("keep", "drop"):
            raise ValueError(
                f"[chainrule.torch] disabled_state: got {disabled_state!r}, expected 'keep' or "
                "'drop'"
            )
        link, tensors = bind(model)
        self._disabled_state = disabled_state
        self._more: dict[str, torch.nn.Parameter] = {}
        self._take(link, tensors)
        native.setup(link)
        for param in self._params:
            param._register()
            param._begin(param.update_rule)
        self._groups = Groups(native)
        self._states = StateView(self)
        self.defaults = {"lr": None, **torch_values(native.hyperparam.get_dict())}
        # What torch.optim.Optimizer.__init__ makes, without its groups.
        torch.optim.Optimizer.__setstate__(self, {})
        self._warned_capturable_if_run_uncaptured = True
        self.load_report: StateReport | None = None
        self.native = native  # from now on attributes are checked

    def _take(self, link: TensorLink, tensors: _core.BorrowedTensors) -> None:
        self._link, self._tensors, self._gpus = link, tensors, tensors.gpus
        if self._gpus:
            _core.cuda_set_reclaimer(give_back)
        self._params: list[TensorParameter] = list(dict.fromkeys(link.named.values()))
        for param in self._params:
            param._on_freeze = _drop_state if self._disabled_state == "drop" else None
        self._version = -1
        self._timed: list[TensorParameter] = []
        self._sharp = False

    # A step

    @torch._disable_dynamo
    def step(self, closure: _Closure | None = None) -> Any:
        """Update all parameters that have a gradient and whose rule is on, in one native pass.

        Args:
            closure: Clears gradients, computes the loss and its gradients, and returns the loss.
                Needed where the hook :class:`~chainrule.optimizer_hooks.SAM` is used, which calls
                it twice.

        Returns:
            What the closure returned; None without one.

        Raises:
            RuntimeError: If a parameter or module was replaced after :func:`attach`, or after
                :meth:`detach`.
            TypeError: If a parameter was moved to another device or dtype, or its gradient is
                sparse or does not fit.
            ValueError: If a hyperparameter is not finite.

        Whatever is raised, also by the closure, parameters and states stay as they were; unless a
        hook raises that runs after the update, which has taken place then, as a note on the
        exception says.
        """
        if self._version != _core.structure_version():
            self._follow_rules()
        gpus = self._gpus
        if gpus:
            refuse_capture("step")
        if self._sharp:
            loss = sharp_step(self, closure)
            for param in self._timed:
                param._follow_rule()
            return loss
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        tensors, native = self._tensors, self.native
        known = native._plain and native._version == _core.structure_version()
        somebody = not known or config.chainer_semantics
        if native._updating:
            raise native._busy("step")
        tensors.begin(somebody)
        try:
            if gpus and somebody:  # hooks in Python may have a part in it
                with on_our_streams(gpus):
                    native.update()
            else:
                native.update()
        finally:
            tensors.end()
        for param in self._timed:
            param._follow_rule()
        return loss

    def _follow_rules(self) -> None:
        """Look at the rules anew: some are others than at the last step."""
        self._refuse_detached("step")
        version = _core.structure_version()
        rules = [
            p.update_rule if isinstance(p.update_rule, UpdateRule) else None for p in self._params
        ]
        self._tensors.set_rules(rules)
        self._timed = [
            param
            for param, rule in zip(self._params, rules, strict=True)
            if rule is not None and rule._enabled_when is not None
        ]
        hooks = self.native._hooks()
        every = [*hooks.of("pre"), *(h for rule in rules if rule for h in rule._hookable.of("pre"))]
        self._sharp = any(isinstance(hook, SAM) for hook in every)
        self._version = version

    @torch._disable_dynamo
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters that have a rule, or set them to zeros.

        Args:
            set_to_none: Whether to forget them.
        """
        grads = []
        for param in self._params:
            if param.update_rule is None:
                continue  # somebody else's
            tensor = param.tensor
            if set_to_none:
                tensor.grad = None
            elif tensor.grad is not None:
                grad = tensor.grad
                grad.detach_() if grad.grad_fn is not None else grad.requires_grad_(False)
                grads.append(grad)
        if grads:
            torch._foreach_zero_(grads)

    # What PyTorch's surroundings ask for

    @property
    def param_groups(self) -> list[ParamGroup]:
        """Groups of rules with the same values; see :class:`ParamGroup`."""
        return self._groups.current()

    @property
    def state(self) -> StateView:
        """States by parameter; an empty dict that is assigned has all of them start anew."""
        return self._states

    @state.setter
    def state(self, states: Any) -> None:
        self._states.replace(states)

    def state_dict(self) -> dict[str, Any]:
        """Give states, counts and configuration as plain data and tensors.

        Returns:
            A dict with ``state`` by parameter name, ``param_groups``, and ``chainrule``: the
            configuration of all rules. ``torch.save`` and ``torch.load(weights_only=True)`` take
            it.
        """
        for pre_hook in self._optimizer_state_dict_pre_hooks.values():
            pre_hook(self)
        made = _files.write(self)
        for post_hook in self._optimizer_state_dict_post_hooks.values():
            result = post_hook(self, made)
            if result is not None:
                made = result
        return made

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, names: Iterable[str] | None = None
    ) -> StateReport:
        """Load states and configuration, or leave everything as it was.

        A state dict of ``torch.optim.AdamW``, ``Adam``, ``SGD`` and others loads too, where the
        rules are of the corresponding algorithm: states, counts and the groups' values are taken
        over, and rules compute by PyTorch's definition afterwards.

        Args:
            state_dict: What :meth:`state_dict` gave, or that of an optimizer of ``torch.optim``.
            strict: Whether all parameters must be in it; otherwise what does not fit is left out
                and reported.
            names: Names of the parameters in the order in which the other optimizer had them;
                without it the names in the state dict are used if it has some, otherwise the
                order of this model's parameters.

        Returns:
            What was loaded and what was not; also kept as ``load_report``.

        Raises:
            KeyError: If parameters are missing, or not known.
            ValueError: If shapes do not fit, or the states are those of another algorithm.
            TypeError: If it is no state dict.
        """
        self._refuse_detached("load_state_dict")
        state_dict = dict(_files.mapping(state_dict, "a state dict"))
        for pre_hook in self._optimizer_load_state_dict_pre_hooks.values():
            result = pre_hook(self, state_dict)
            if result is not None:
                state_dict = result
        with freezing_at_the_end():
            self.load_report = _files.read(self, state_dict, strict, names)
        for post_hook in self._optimizer_load_state_dict_post_hooks.values():
            post_hook(self)
        return self.load_report

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take further parameters, with values of their own.

        After an optimizer of ``torch.optim`` was taken over, what the group does not say is as
        ``defaults`` say, as in PyTorch.

        Args:
            param_group: ``params``: parameters, or pairs of name and parameter, that have no rule
                yet; and values by name.

        Raises:
            ValueError: If a parameter has a rule already, or no name, or was computed; or if a
                value is not finite, or an option has no counterpart.
            TypeError: If it is no parameter, or a value is no number.
            KeyError: If the algorithm has no such value.
            RuntimeError: If a parameter is attached to another optimizer, or after
                :meth:`detach`.

        Whatever is raised, nothing is changed then. What schedulers keep in groups, such as
        ``initial_lr``, is kept, and so are PyTorch's choices of implementation, such as ``fused``,
        which change nothing here.
        """
        self._refuse_detached("add_param_group")
        add_group(self, param_group)

    def reattach(self) -> None:
        """Look at the model again: parameters that were replaced, added or taken away.

        A parameter under a name that is known keeps the rule, and the state where shape and dtype
        are the same; states follow to another device. A new one gets a new rule; one that is gone
        is forgotten. Where there was no rule, none is made.

        Raises:
            TypeError: Or ValueError, as :func:`attach`; nothing is changed then.
            RuntimeError: After :meth:`detach`.
        """
        self._refuse_detached("reattach")
        rebind(self, self._more)

    def detach(self) -> None:
        """Let go of the model: its parameters have no rules any more, and can be attached anew.

        Those whose rule was off take gradients as they did before. The optimizer cannot be used
        afterwards.
        """
        for param in self._params:
            param._release()
        self._take(*nothing())
        self.native.target = self._link
        self._detached = True

    def _refuse_detached(self, what: str) -> None:
        if self._detached:
            raise RuntimeError(
                f"[chainrule.torch] {what}: this optimizer was detached from its model: use the "
                "one that chainrule.torch.attach(model, ...) gives"
            )

    # What optimizers of chainrule have

    @property
    def rules(self) -> Rules:
        """The update rules by PyTorch's names of their parameters: :class:`chainrule.rules.Rules`.

        ``rules['encoder.layers.*.weight']`` selects by pattern, ``rules[model.encoder]`` by module,
        ``rules.of(torch.nn.LayerNorm)`` by class of modules, ``rules.where(lambda name, p: p.ndim
        >= 2)`` by a condition on the ``torch.nn.Parameter``.
        """
        return self.native.rules

    @property
    def t(self) -> int:
        """Number of updates so far: the step that expressions are evaluated at."""
        return self.native.t

    @t.setter
    def t(self, t: int) -> None:
        self.native.t = t
        for param in self._timed:
            param._follow_rule()

    def plan(self) -> Plan:
        """Tell how parameters are updated; see :meth:`chainrule.Optimizer.plan`."""
        return self.native.plan()

    def apply_plan(self, plan: Plan | Mapping[str, Any], **options: Any) -> PlanReport:
        """Configure all rules as a plan says; see :meth:`chainrule.Optimizer.apply_plan`."""
        with freezing_at_the_end():
            return self.native.apply_plan(plan, **options)

    def explain(self, name: str, value: str) -> str:
        """Say what a value of a parameter is, how it comes about, and who set it.

        Args:
            name: The parameter's name in the model.
            value: A hyperparameter, under PyTorch's name or chainrule's, or ``'enabled'``.

        Returns:
            A line of text; see :meth:`chainrule.Optimizer.explain`.
        """
        param = self._link.named.get(name)
        if value == "lr" and param is not None and isinstance(param.update_rule, UpdateRule):
            known = param.update_rule.hyperparam.get_dict()
            value = next(iter(native_values("lr", 0, known) or {value: None}))
        return self.native.explain(name, value)

    def observe(
        self,
        rules: Selection | UpdateRule | None = None,
        statistics: Iterable[str] | None = None,
    ) -> None:
        """Have steps tell statistics of themselves; see :meth:`chainrule.Optimizer.observe`."""
        self.native.observe(rules, statistics)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Take steps back if a block raises or asks for it.

        See :meth:`chainrule.Optimizer.transaction`.
        """
        self._look("transaction")
        try:
            with TensorTransaction(self) as transaction:
                self._tensors.done()
                yield transaction
        finally:
            self._written()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Let parameters hold their averages; see :meth:`chainrule.Optimizer.averaged`.

        A model that is moved in the block to another device or dtype gets its values there.
        """
        self._look("averaged")
        averages = None
        try:
            with self.native.averaged():
                averages = self.native._averaging
                self._written()
                try:
                    yield
                finally:
                    self._tensors.ready()
        finally:
            self._written()
            if averages is not None and self.native._averaging is None:
                reach_tensors(averages.params)

    def _look(self, what: str) -> None:
        """See that what is done next, outside a step, finds everything in its place."""
        self._refuse_detached(what)
        if self._gpus:
            refuse_capture(what)
        self._tensors.look()

    def _written(self) -> None:
        """Tell PyTorch that parameters have been written to."""
        self._tensors.done()
        torch.autograd.graph.increment_version([param.tensor for param in self._params])

    def add_hook(
        self, hook: Callable[..., Any], name: str | None = None, timing: str = "auto"
    ) -> None:
        """Run a hook of chainrule around each update.

        See :meth:`chainrule.Optimizer.add_hook`.
        """
        self.native.add_hook(hook, name, timing)
        self._version = -1

    def remove_hook(self, name: str) -> None:
        """Take a hook of chainrule off again."""
        self.native.remove_hook(name)
        self._version = -1

    @property
    def hyperparam(self) -> _core.Hyperparameter:
        """The values that all rules start from and fall back to."""
        return self.native.hyperparam

    def __getattr__(self, name: str) -> Any:
        native = self.__dict__.get("native")
        if native is not None and not name.startswith("_"):
            values = torch_values(native.hyperparam.get_dict())
            if name in values:
                return values[name]
        if hasattr(type(self), name):  # a property has raised this: what it said is not lost
            return object.__getattribute__(self, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        native = self.__dict__.get("native")
        if native is not None and name not in self.__dict__ and not hasattr(type(self), name):
            changed = native_values(name, value, native.hyperparam.get_dict())
            if changed is not None:
                with Journal() as journal:
                    for each, number in changed.items():
                        journal.set_value(native.hyperparam, each, number)
                return
            if type(self) is Optimizer:  # a subclass keeps what it likes
                refuse_new(self, native, name)
        super().__setattr__(name, value)

    def __getstate__(self) -> Any:
        raise TypeError(
            "[chainrule.torch] an attached optimizer cannot be copied or pickled, since its rules "
            "belong to the model's parameters: save optimizer.state_dict(), or attach a new one"
        )

    def __repr__(self) -> str:
        return f"chainrule.torch.{type(self).__name__}({type(self.native).__name__})\n{self.rules}"


def _drop_state(param: TensorParameter) -> None:
    rule = param.update_rule
    if isinstance(rule, UpdateRule) and not rule.enabled:
        rule.park("drop")
