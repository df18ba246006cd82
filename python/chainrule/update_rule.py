"""Update rules: how one parameter is updated."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from chainrule import _core
from chainrule._core import Expression, Hyperparameter, Variable
from chainrule._hookable import Hookable
from chainrule._names import refuse_misspelt, refuse_unknown
from chainrule._rule_state import State
from chainrule._saved_rule import SavedRule
from chainrule._statistics import Statistics
from chainrule._undo import Undo, add_note
from chainrule.configuration import config
from chainrule.optimizer_hooks import SAM, Cautious, GradientClipping
from chainrule.optimizer_hooks._native import is_native
from chainrule.optimizer_hooks._weights import WeightHook

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = ["UpdateRule"]


# Whoever overrides one of these does the update in Python.
_UPDATE_METHODS = (
    "init_state",
    "update",
    "update_core",
    "update_core_chainerx",
    "update_core_cpu",
    "update_core_gpu",
)


class UpdateRule(SavedRule):
    """Base of all update rules; there is one for each parameter.

    The rules in :mod:`chainrule.optimizers` run in C++, all in one sweep over memory. A rule of
    your own overrides :meth:`update_core`, or :meth:`update_core_cpu`, and :meth:`init_state`; it
    runs by itself for its own parameter.

    Args:
        parent_hyperparam: Where values that are not set on the rule come from, usually the
            optimizer's; the algorithm's defaults without it.

    Attributes:
        enabled (bool): Whether the parameter is updated. No gradient is computed for a parameter
            whose rule is off, from the next forward pass on. May be set to an expression.
        hyperparam (Hyperparameter): The values of this rule.
        t (int): Number of updates so far.

    Example:
        >>> import numpy, chainrule
        >>> class Sign(chainrule.UpdateRule):
        ...     def update_core_cpu(self, param):
        ...         param.array[:] -= self.hyperparam.lr * numpy.sign(param.grad)
        >>> rule = Sign()
        >>> rule.hyperparam.lr = 0.5
        >>> w = chainrule.Parameter(numpy.zeros(2, numpy.float32))
        >>> w.grad = numpy.array([3, -4], numpy.float32)
        >>> rule.update(w)
        >>> w.array
        array([-0.5,  0.5], dtype=float32)
    """

    is_elementwise = False
    #: The algorithm in C++, a built-in one by name; None where Python does the update.
    _algorithm: ClassVar[str | _core.Algorithm | None] = None
    _strict: ClassVar[bool] = False
    _runs_in_python: ClassVar[bool] = True
    #: Whether the numbers that the algorithm keeps between updates go into files.
    _keeps_scalars: ClassVar[bool] = True
    _params: tuple[weakref.ref[Parameter], ...] = ()
    _enabled_origin: str | None = None
    #: The built-in optimizer that made it, where its algorithm has another name.
    _named: str | None = None
    _observed_names: tuple[str, ...] = ()

    def __init_subclass__(
        cls, algorithm: str | _core.Algorithm | None = None, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if algorithm is not None:
            cls._algorithm = algorithm
        cls._strict = algorithm is not None
        cls._runs_in_python = cls._algorithm is None or any(
            getattr(cls, name) is not getattr(UpdateRule, name) for name in _UPDATE_METHODS
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if type(self)._strict:
            refuse_misspelt(self, name)
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name: str) -> Any:
            refuse_unknown(self, name)

    def __init__(self, parent_hyperparam: Hyperparameter | None = None) -> None:
        name = self._algorithm
        if parent_hyperparam is None and name is not None:
            parent_hyperparam = _core.default_hyperparameter(name)
        hyperparam = Hyperparameter._make(parent_hyperparam, name if self._strict else None)
        self._start(hyperparam)

    def _start(self, hyperparam: Hyperparameter) -> None:
        super().__init__(self._algorithm, hyperparam)
        self._hookable = Hookable()
        self._hooks_in_python = False
        self._own_cautious = False
        # What hooks keep for this parameter: hook's name -> name -> array.
        self._hook_states: dict[str, dict[str, np.ndarray]] = {}
        self._state: MutableMapping[str, Any] | None = None

    def _override(self, **values: Any) -> None:
        """Set what a built-in rule's arguments say; None stands for "as the parent has it"."""
        for name, value in values.items():
            if value is not None:
                setattr(self.hyperparam, name, value)
        self._begin()

    @property
    def state(self) -> MutableMapping[str, Any] | None:
        """State arrays by name; None before the first update.

        The arrays are the ones that the update works on. Assigning writes into them.
        """
        if self._state is None and self._has_states:
            self._state = State(self)
        return self._state

    @property
    def statistics(self) -> Statistics:
        """What the last update told of itself; see ``optimizer.observe``."""
        return Statistics(self)

    @property
    def enabled(self) -> bool:
        """Whether the parameter is updated.

        May be set to an expression of :mod:`chainrule.schedules`, which is on where it is not zero:
        ``rule.enabled = after(1000)``. Read, it is what it is now.
        """
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool | Expression) -> None:
        self._set_enabled(enabled, None)

    def _set_enabled(self, enabled: Any, origin: str | None) -> None:
        """Set :attr:`enabled` and say who did."""
        if enabled is None or isinstance(enabled, str) or getattr(enabled, "ndim", 0) > 0:
            raise TypeError(f"[enabled] got {enabled!r}, expected True, False or an expression")
        self._enabled = enabled if isinstance(enabled, Expression) else bool(enabled)
        self._enabled_origin = origin
        if self._enabled_when is not None:
            _core.structure_changed()
        chainer = config.chainer_semantics
        for param in self._own_params():
            # Chainer computes all gradients.
            param.frozen = not (chainer or self._enabled)
            if not chainer:
                # What an expression says is no standing order.
                param._update_enabled = self._enabled_when is not None or self._enabled

    def _take_enabled(self, other: UpdateRule) -> None:
        """Be on and off as another rule is."""
        when = other._enabled_when
        self._set_enabled(other.enabled if when is None else when, other._enabled_origin)

    def _refresh_enabled(self) -> None:
        """Follow the expression, if there is one, to a step that was set."""
        if self._enabled_when is not None and not config.chainer_semantics:
            for param in self._own_params():
                param.frozen = not self._enabled

    def _own_params(self) -> Iterator[Parameter]:
        for reference in self._params:
            param = reference()
            if param is not None and param._update_rule is self:
                yield param

    def _attach(self, param: Parameter) -> None:
        """Learn whose rule this is."""
        if not any(reference() is param for reference in self._params):
            alive = tuple(r for r in self._params if r() is not None)
            self._params = (*alive, weakref.ref(param))
        if not config.chainer_semantics:
            param.frozen = not self._enabled

    # Hooks

    @property
    def hooks(self) -> dict[str, Callable[..., Any]]:
        """The hooks of this parameter by name, in the order in which they run."""
        return {**self._hookable.pre, **self._hookable.post}

    def add_hook(
        self, hook: Callable[..., Any], name: str | None = None, timing: str = "auto"
    ) -> None:
        """Run a hook around each update of this parameter.

        Args:
            hook: Called as ``hook(rule, param)``. If it raises, this parameter is put back; a hook
                that changes others belongs on the optimizer.
            name: Its name; ``hook.name`` by default.
            timing: ``'pre'``, ``'post'``, or ``'auto'``: what ``hook.timing`` says.

        Raises:
            KeyError: If the name is taken.
            TypeError: If ``hook`` cannot be called.
            ValueError: If there is no name, or no such timing.
        """
        self._refuse_hook(hook)
        self._hookable.add(hook, name, timing)
        self._sort_hooks()

    def _refuse_hook(self, hook: object) -> None:
        """Refuse a hook that would do nothing on this rule."""
        if isinstance(hook, Cautious) and self._runs_in_python:
            raise TypeError(
                f"[Cautious] {type(self).__name__} updates in Python: got a rule whose update is "
                "not known to the core, expected one of chainrule.optimizers"
            )

    def remove_hook(self, name: str) -> None:
        """Take a hook off again.

        Args:
            name: Its name.

        Raises:
            KeyError: If there is none of this name.
        """
        self._hookable.remove(name)
        self._sort_hooks()

    def _sort_hooks(self) -> None:
        """Let C++ run the hooks if it knows them all."""
        every = self._hookable.of("pre")
        pre = [hook for hook in every if not isinstance(hook, (Cautious, SAM))]
        # The norm of one gradient is known only after a pass over it.
        native = all(isinstance(hook, WeightHook) for hook in self._hookable.of("post")) and all(
            is_native(hook) and not isinstance(hook, GradientClipping) for hook in pre
        )
        self._own_cautious = any(isinstance(hook, Cautious) for hook in every)
        self._cautious = self._own_cautious
        self._native_hooks = cast("list[_core.GradientHook]", pre) if native else []
        self._hooks_in_python = not native
        _core.structure_changed()

    def _weight_hooks(self) -> list[tuple[str, WeightHook]]:
        return [
            (name, hook)
            for name, hook in self._hookable.items("post")
            if isinstance(hook, WeightHook)
        ]

    # Updates

    @property
    def _by_python(self) -> bool:
        """Whether the rule stands outside the table; asked when the table is built."""
        return (
            self._runs_in_python
            or self._hooks_in_python
            or any(name in self.__dict__ for name in _UPDATE_METHODS)
        )

    @property
    def _states_by_python(self) -> bool:
        """Whether ``init_state`` alone knows which states there are."""
        return self._algorithm is None or type(self).init_state is not UpdateRule.init_state

    def update(self, param: Parameter) -> None:
        """Update a parameter: hooks, :meth:`update_core`, hooks.

        Nothing happens if the rule is off, or if there is no gradient. Where a hook or
        :meth:`update_core` raises, parameter, gradient, states and count are put back.

        Args:
            param: The parameter.

        Raises:
            TypeError: If it is none.
        """
        if not isinstance(param, Variable):
            raise TypeError(f"[update] got {type(param).__name__}, expected a parameter")
        if not self.enabled:
            return
        for hook in self._hookable.of("pre"):
            if isinstance(hook, SAM):
                hook(self, param)
        weight_hooks = self._weight_hooks()
        if param._has_array:
            for name, hook in weight_hooks:
                hook._before([(self, param)], name)
        if not self._by_python:
            t = self.t
            self._update(param)
            if self.t != t and param._has_array:
                for name, hook in weight_hooks:
                    hook._after([(self, param)], name)
            return
        undo = Undo()
        undo.keep(param, self)
        try:
            self._update_in_python(param)
        except BaseException as error:
            undo.restore()
            add_note(
                error,
                "[update] nothing was updated: parameter, gradient, state and count are as they "
                "were before the call",
            )
            raise

    def _update_in_python(self, param: Parameter, admitted: bool = False) -> None:
        """Do what :meth:`update` does, without putting anything back on failure.

        Args:
            param: The parameter.
            admitted: Whether the policies have been asked.
        """
        if not self.enabled:
            return
        initialized = param._has_array
        if initialized:
            if not param._has_grad and config.chainer_semantics:
                param.zerograd()
            if not (param._has_grad if admitted else self._admits(param)):
                return
        for name, hook in self._weight_hooks() if initialized else ():
            hook._before([(self, param)], name)
        self._begin_update()
        try:
            self._run_in_python(param, initialized)
        finally:
            self._end_update()
            self._refresh_enabled()

    def _run_in_python(self, param: Parameter, initialized: bool) -> None:
        target: Variable = param
        master = initialized and self._fp32_update and param.dtype.itemsize == 2
        if master:
            target = param._mastered(self._master(param), _core.wide_copy(param.grad_var))
        elif self._has_master:
            self._master_copy = None  # it would be behind from now on
        if initialized and self.state is None:
            self._state = {} if self._algorithm is None else State(self)
            self.init_state(target)
        self._call_hooks("pre", target)
        self.update_core(target)
        self._call_hooks("post", target)
        if master:
            param.copydata(target)

    def _call_hooks(self, timing: str, target: Variable) -> None:
        for name, hook in self._hookable.items(timing):
            try:
                hook(self, target)
            except BaseException as error:
                add_note(error, f"[update] stopped in the hook {name!r} of the parameter's rule")
                raise

    def _states_in_python(self) -> dict[str, Any]:
        """States that C++ does not know: all of them where Python does the update."""
        state = self._state
        return state._others if isinstance(state, State) else cast("dict[str, Any]", state)

    def update_core(self, param: Variable) -> None:
        """Update a parameter, nothing else.

        Args:
            param: The parameter.
        """
        if param.device.xp is np:
            self.update_core_cpu(param)
        else:
            self.update_core_gpu(param)

    def update_core_cpu(self, param: Variable) -> None:
        """Update a parameter that lies on the CPU.

        Args:
            param: The parameter.

        Raises:
            NotImplementedError: If neither this nor :meth:`update_core` is overridden.
        """
        self._core_step(param)

    def update_core_gpu(self, param: Variable) -> None:
        """Update a parameter that lies on a GPU.

        Args:
            param: The parameter.

        Raises:
            NotImplementedError: If neither this nor :meth:`update_core` is overridden.
        """
        self._core_step(param)

    def update_core_chainerx(self, param: Variable) -> None:
        """Do what :meth:`update_core` does; kept for Chainer's signature.

        Args:
            param: The parameter.
        """
        self.update_core(param)

    def _core_step(self, param: Variable) -> None:
        if self._algorithm is None:
            raise NotImplementedError(
                f"[{type(self).__name__}] override update_core or update_core_cpu"
            )
        if param._has_grad:
            self._step(param)

    def init_state(self, param: Variable) -> None:
        """Make the state, before the first update; fills ``self.state``.

        Args:
            param: The parameter; its shape and dtype are usually the state's.
        """
        self._init_states(param)

    def use_fp32_update(self, flag: bool = True) -> None:
        """Update a float16 or bfloat16 parameter through a copy in float32.

        The copy keeps what the parameter's precision would lose. Where the parameter is changed
        by somebody else, the copy follows.

        Args:
            flag: Whether to do so.
        """
        self._fp32_update = bool(flag)

    def averaged_value(self, param: Variable) -> np.ndarray | Variable | None:
        """Give the value that :meth:`Optimizer.averaged` lets the parameter hold for a while.

        A rule that averages overrides this. Hooks may have a method of this name, called as
        ``hook.averaged_value(rule, param)``; what it gives goes before the rule's own.

        Args:
            param: The parameter.

        Returns:
            An array like the parameter's, on a GPU a Variable; None if there is no average.
        """
        return None
