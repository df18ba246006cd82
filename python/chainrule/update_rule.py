"""Update rules: how one parameter is updated."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from chainrule import _core
from chainrule._core import Hyperparameter, Variable
from chainrule._hookable import Hookable
from chainrule._undo import Undo, add_note
from chainrule.configuration import config
from chainrule.optimizer_hooks import GradientClipping
from chainrule.optimizer_hooks._native import is_native
from chainrule.serializer import AbstractSerializer, Deserializer
from chainrule.serializers.npz import NpzDeserializer

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


class _State(MutableMapping[str, Any]):
    """The states of a built-in rule by name: NumPy arrays over the memory that C++ updates.

    Assigning to a name writes into the array. Names that the rule does not know may be used
    for anything.
    """

    def __init__(self, rule: UpdateRule) -> None:
        self._rule = rule
        self._others: dict[str, Any] = {}

    def _known(self) -> list[str]:
        return [name for name in self._rule._state_names if self._rule._has_state(name)]

    def __getitem__(self, name: str) -> Any:
        if name in self._others:
            return self._others[name]
        array = self._rule._get_state(name)
        if array is None:
            raise KeyError(name)
        return array

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._rule._all_state_names:
            self._rule._set_state(name, np.asarray(value))
        else:
            self._others[name] = value

    def __delitem__(self, name: str) -> None:
        if name in self._others:
            del self._others[name]
        else:
            self._rule._get_state(name)  # says where there is none of this name
            self._rule._set_state(name, None)

    def __iter__(self) -> Iterator[str]:
        yield from self._known()
        yield from self._others

    def __len__(self) -> int:
        return len(self._known()) + len(self._others)

    def __repr__(self) -> str:
        return repr(dict(self))


class UpdateRule(_core.UpdateRule):
    """Base of all update rules; there is one for each parameter.

    The rules in :mod:`chainrule.optimizers` run in C++, all in one sweep over memory. A rule of
    your own overrides :meth:`update_core`, or :meth:`update_core_cpu`, and :meth:`init_state`; it
    runs by itself for its own parameter.

    Args:
        parent_hyperparam: Where values that are not set on the rule come from, usually the
            optimizer's; the algorithm's defaults without it.

    Attributes:
        enabled (bool): Whether the parameter is updated. No gradient is computed for a parameter
            whose rule is off, from the next forward pass on.
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
    #: Name of the algorithm in C++; None where Python does the update.
    _algorithm: ClassVar[str | None] = None
    _strict: ClassVar[bool] = False
    _runs_in_python: ClassVar[bool] = True
    _params: tuple[weakref.ref[Parameter], ...] = ()

    def __init_subclass__(cls, algorithm: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if algorithm is not None:
            cls._algorithm = algorithm
        cls._strict = algorithm is not None
        cls._runs_in_python = cls._algorithm is None or any(
            getattr(cls, name) is not getattr(UpdateRule, name) for name in _UPDATE_METHODS
        )

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
            self._state = _State(self)
        return self._state

    @property
    def enabled(self) -> bool:
        """Whether the parameter is updated."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)
        if not config.chainer_semantics:
            for reference in self._params:
                param = reference()
                if param is not None and param._update_rule is self:
                    param._update_enabled = self._enabled
                    param.frozen = not self._enabled

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
            hook: Called as ``hook(rule, param)``.
            name: Its name; ``hook.name`` by default.
            timing: ``'pre'``, ``'post'``, or ``'auto'``: what ``hook.timing`` says.

        Raises:
            KeyError: If the name is taken.
            TypeError: If ``hook`` cannot be called.
            ValueError: If there is no name, or no such timing.
        """
        self._hookable.add(hook, name, timing)
        self._sort_hooks()

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
        pre = self._hookable.of("pre")
        # The norm of one gradient is known only after a pass over it.
        native = not self._hookable.post and all(
            is_native(hook) and not isinstance(hook, GradientClipping) for hook in pre
        )
        self._native_hooks = cast("list[_core.GradientHook]", pre) if native else []
        self._hooks_in_python = not native
        _core.structure_changed()

    # Updates

    @property
    def _by_python(self) -> bool:
        """Whether the rule stands outside the table; asked when the table is built."""
        return (
            self._runs_in_python
            or self._hooks_in_python
            or any(name in self.__dict__ for name in _UPDATE_METHODS)
        )

    def update(self, param: Parameter) -> None:
        """Update a parameter: hooks, :meth:`update_core`, hooks.

        Nothing happens if the rule is off, or if there is no gradient. Where a hook or
        :meth:`update_core` raises, parameter, gradient, states and count are put back.

        Args:
            param: The parameter.
        """
        if not self.enabled:
            return
        if not self._by_python:
            self._update(param)
            return
        undo = Undo()
        undo.keep(param, self)
        try:
            self._update_in_python(param)
        except BaseException as error:
            undo.restore()
            add_note(error, "[update] nothing was updated: all is as it was before the call")
            raise

    def _update_in_python(self, param: Parameter) -> None:
        """Do what :meth:`update` does, without putting anything back on failure."""
        if not self.enabled:
            return
        initialized = param.array is not None
        if initialized and param.grad is None:
            if not config.chainer_semantics:
                return
            param.zerograd()
        self.t += 1
        target: Variable = param
        master = initialized and self._fp32_update and param.dtype.itemsize == 2
        if master:
            target = Variable(self._master(param), name=param.name)
            target.grad = param.grad.astype(np.float32)
        if initialized and self.state is None:
            self._state = {} if self._algorithm is None else _State(self)
            self.init_state(target)
        self._call_hooks("pre", target)
        self.update_core(target)
        self._call_hooks("post", target)
        if master:
            param.array[...] = target.array

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
        return state._others if isinstance(state, _State) else cast("dict[str, Any]", state)

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
        if param.grad is not None:
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

    # Copies and files

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Save or load the number of updates and the state.

        A state that is not in the file starts anew at the next update.

        Args:
            serializer: Where to or from.
        """
        on_failure = getattr(serializer, "on_failure", None)
        if on_failure is not None:
            on_failure(self._restorer())
        self.t = int(serializer("t", self.t))
        state = self.state
        if state is not None:
            for name in list(state):
                loaded = serializer(name, state[name])
                if loaded is not state[name]:
                    state[name] = loaded
        elif isinstance(serializer, Deserializer):
            self._load_state(serializer)

    def _restorer(self) -> Callable[[], None]:
        """Give what puts count and state back if loading fails later.

        State arrays that are loaded in place are put back by the deserializer.
        """
        t, had_state = self.t, self.state is not None

        def restore() -> None:
            self.t = t
            if not had_state:
                self._clear_states()
                self._state = None

        return restore

    def _load_state(self, serializer: Deserializer) -> None:
        if self._algorithm is None or type(self).init_state is not UpdateRule.init_state:
            # Which names there are is known when the state is made.
            self._state = {} if self._algorithm is None else _State(self)
            dummy = np.zeros(1, np.float32)
            self.init_state(Variable(dummy, grad=dummy))
            names = list(self._state)
        else:
            names = self._state_names
        values: dict[str, Any] = {}
        for name in names:
            try:
                value = serializer(name, None)
            except KeyError:
                value = None
            if value is None:
                break
            values[name] = value
        self._clear_states()
        self._state = None
        if len(values) < len(names) and isinstance(serializer, NpzDeserializer):
            serializer.note_fresh()
        if names and len(values) == len(names):
            self._state = {} if self._algorithm is None else _State(self)
            self._state.update(values)

    def __getstate__(self) -> dict[str, Any]:
        attributes = {k: v for k, v in vars(self).items() if k not in ("_params", "_state")}
        return {
            "hyperparam": self.hyperparam,
            "t": self.t,
            "enabled": self.enabled,
            "fp32_update": self._fp32_update,
            "scalars": self._scalars,
            "state": None if self.state is None else dict(self.state),
            "attributes": attributes,
        }

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self._start(saved["hyperparam"])
        self.__dict__.update(saved["attributes"])
        self.t = saved["t"]
        self._enabled = saved["enabled"]
        self._fp32_update = saved["fp32_update"]
        for name, value in saved["scalars"].items():
            self._set_scalar(name, value)
        if saved["state"] is not None:
            self._state = {} if self._algorithm is None else _State(self)
            self._state.update(saved["state"])
        self._sort_hooks()

    def __reduce__(self) -> tuple[Any, ...]:
        return _new, (type(self),), self.__getstate__()


def _new(cls: type[UpdateRule]) -> UpdateRule:
    return cls.__new__(cls)
