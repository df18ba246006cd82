"""Rules in files, and copies of rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _core
from chainrule._core import Variable
from chainrule._device_array import as_numpy, like
from chainrule._policies import Policies
from chainrule._rule_files import serialize_count, serialize_master, serialize_scalars
from chainrule._rule_state import SCALE, State
from chainrule.optimizer_hooks._weights import serialize_hooks
from chainrule.serializer import AbstractSerializer, Deserializer
from chainrule.serializers.npz import NpzDeserializer

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = ["SavedRule"]

_ABSENT = object()

# What a copy takes over beside values, states and hooks.
_POLICIES = (
    "_fp32_update",
    "_on_nonfinite",
    "_missing_grad",
    "_state_dtype",
    "_stochastic",
    "_seed",
    "_observed",
    "skipped",
)


class SavedRule(Policies):
    """The part of :class:`chainrule.UpdateRule` that is about files and copies."""

    def serialize(self: Any, serializer: AbstractSerializer) -> None:
        """Save or load the number of updates, the state, and what else the rule goes on from.

        A state that is not in the file starts anew at the next update.

        Args:
            serializer: Where to or from.
        """
        on_failure = getattr(serializer, "on_failure", None)
        if on_failure is not None:
            on_failure(self._restorer())
        self.t = serialize_count(serializer, "t", self.t)
        complete = serialize_scalars(self, serializer)
        serialize_master(self, serializer)
        # Before the first update there is no state, but there may be numbers that rules share.
        self._serialize_state(serializer, begin=not (complete and self.t == 0))
        serialize_hooks(self, self._weight_hooks(), serializer)

    def _serialize_state(self: Any, serializer: AbstractSerializer, begin: bool) -> None:
        state = self.state
        if isinstance(serializer, Deserializer) and (state is None or not self._holds(serializer)):
            self._load_state(serializer, begin)
            return
        try:
            for name in () if state is None else list(state):
                held = state[name]
                loaded = self._serialize_one(serializer, name, held)
                if loaded is not held:
                    state[name] = loaded
        except KeyError:
            self._start_anew(serializer, begin)

    def _holds(self: Any, serializer: Deserializer) -> bool:
        """Tell whether the present states are those that are in a file, of its dtypes too."""
        native = self._native_names()
        there = [name for name in self._all_state_names if self._has_state(name)]
        if sorted(there) != sorted(native):
            return False
        dtype_of = getattr(serializer, "dtype_of", lambda name: None)
        saved = {name: dtype_of(name) for name in native}
        # NumPy takes None for float64 where dtypes are compared.
        return all(
            dtype is None or dtype == self._state_variable(name).dtype
            for name, dtype in saved.items()
        )

    def _serialize_one(self: Any, serializer: AbstractSerializer, name: str, held: Any) -> Any:
        state = self.state
        if isinstance(state, State) and state.on_gpu(name) is not None:
            return serializer(name, held.copy())  # seen as a copy, which is loaded into as well
        ours = isinstance(held, (np.ndarray, np.generic, Variable))
        if ours or not hasattr(held, "__dlpack__") or not isinstance(serializer, Deserializer):
            return serializer(name, held)
        loaded = serializer(name, None)
        if loaded is None:
            return held
        if np.shape(loaded) != tuple(held.shape):
            where = getattr(serializer, "path", "") + name
            raise ValueError(
                f"[serialize] entry '{where}' has another shape: got {np.shape(loaded)}, expected "
                f"{tuple(held.shape)}"
            )
        return like(held, loaded)

    def _start_anew(self: Any, serializer: AbstractSerializer, begin: bool) -> None:
        """Forget the state, because it is not in the file; numbers, too, if the rule begins."""
        self._clear_states()
        self._state = None
        if self._keeps_scalars and begin:
            self._begin()
        if isinstance(serializer, NpzDeserializer):
            serializer.note_fresh()

    def _restorer(self: Any) -> Callable[[], None]:
        """Give what puts everything back if loading fails later.

        State arrays that are loaded in place are put back by the deserializer.
        """
        t, state = self.t, None if self.state is None else dict(self.state)
        scalars, master = self._scalars, self._master_copy
        hook_states = {name: dict(arrays) for name, arrays in self._hook_states.items()}

        def restore() -> None:
            self.t = t
            self._master_copy = master
            self._hook_states = hook_states
            _core.structure_changed()
            for name, value in scalars.items():
                self._set_scalar(name, value)
            if state is None:
                self._clear_states()
                self._state = None
            elif any(self._state is None or self._state.get(k) is not v for k, v in state.items()):
                self._restore(state)

        return restore

    def _restore(self: Any, state: Mapping[str, Any]) -> None:
        """Have states as they were stored, which the next update may store otherwise."""
        self._clear_states()
        if self._algorithm is None:
            self._state = dict(state)
        else:
            self._state = State(self)
            self._state.restore(state)

    def _native_names(self: Any) -> list[str]:
        """List the states that the algorithm needs now."""
        alive = next(self._arrays(), None)
        return self._state_names if alive is None else self._state_names_of(alive.shape)

    def _load_state(self: Any, serializer: Deserializer, begin: bool) -> None:
        """Replace the states by those of a file, which come as they were stored."""
        held = {} if self.state is None else dict(self.state)
        made: dict[str, Any] = {}
        native = self._native_names()
        if self._states_by_python:
            made = self._made_by_python()
            native = [name for name in made if name in self._all_state_names]
        # Names of scales hang on what the file holds, not on the policy, which may be newer.
        scales = [name + SCALE for name in native]
        others = [name for name in made if name not in native and name not in scales]
        needed = [*native, *others]
        # What the present values do not use comes back where the file has it.
        unused = [name for name in self._all_state_names if name not in native]
        known = {*needed, *scales, *unused, *(name + SCALE for name in unused)}
        extra = [name for name in held if name not in known]
        values: dict[str, Any] = {}
        for name in [*needed, *unused, *extra]:
            value = _entry(serializer, name, {} if name in unused else held)
            if name in unused and value is _ABSENT:
                continue
            if name in (*native, *unused) and getattr(value, "dtype", None) == np.int8:
                scale = name + SCALE
                kept = value is held.get(name)
                values[scale] = held[scale] if kept else _entry(serializer, scale, {})
            values[name] = held[name] if value is _ABSENT and name in extra else value
        if any(value is _ABSENT for value in values.values()):
            self._start_anew(serializer, begin)
            return
        for name in others if next(self._arrays(), None) is not None else ():
            got, expected = np.shape(values[name]), np.shape(made[name])
            if got != expected and values[name] is not None:
                self._refuse(serializer, name, f"got {got}, expected {expected}")
        for name in (*native, *unused) if self._algorithm is not None else ():
            dtype = getattr(values.get(name), "dtype", None)
            if dtype is not None and dtype.kind in "cSUmM":  # those arrays cannot have
                self._refuse(serializer, name, f"must be floating: got {dtype}")
        self._clear_states()
        self._state = None
        if not values:
            return
        try:
            self._restore(
                {n: None if v is None else like(made.get(n), v) for n, v in values.items()}
            )
        except (TypeError, ValueError) as error:
            self._refuse_named(serializer, error)
            raise
        for param in self._arrays():
            try:
                self._check_states(param)
            except (TypeError, ValueError) as error:
                self._refuse_named(serializer, error)

    def _made_by_python(self: Any) -> dict[str, Any]:
        """Give new states of a rule that alone knows which ones there are."""
        param = next(self._arrays(), None)
        self._clear_states()
        self._state = {} if self._algorithm is None else State(self)
        zeros = np.zeros(1, np.float32)
        self.init_state(Variable(zeros, grad=zeros) if param is None else param._stand_in())
        return dict(self._state)

    def _arrays(self: Any) -> Iterator[Parameter]:
        """Walk over the parameters of this rule that have an array."""
        for reference in self._params:
            param = reference()
            if param is not None and param._update_rule is self and param.is_initialized:
                yield param

    def _refuse_named(self: Any, serializer: Deserializer, error: Exception) -> None:
        """Refuse the state that an error of the core is about, if it is about one."""
        state = re.search(r"state\]? '(\w+)' (.*)", str(error))
        if state is not None:
            self._refuse(serializer, state[1], state[2])

    def _refuse(self: Any, serializer: Deserializer, name: str, reason: str) -> None:
        self._clear_states()
        self._state = None
        raise ValueError(
            f"[serialize] entry '{getattr(serializer, 'path', '')}{name}' does not fit: {reason}"
        )

    def __getstate__(self: Any) -> dict[str, Any]:
        attributes = {k: v for k, v in vars(self).items() if k not in ("_params", "_state")}
        kept = {
            hook: {name: as_numpy(array) for name, array in arrays.items()}
            for hook, arrays in self._hook_states.items()
        }
        return {
            "hyperparam": self.hyperparam,
            "t": self.t,
            "enabled": self.enabled if self._enabled_when is None else self._enabled_when,
            "policies": {name: getattr(self, name) for name in _POLICIES},
            "scalars": self._scalars,
            "master": self._master_copy,
            "state": None if self.state is None else dict(self.state),
            "attributes": attributes | {"_hook_states": kept},
        }

    def __setstate__(self: Any, saved: dict[str, Any]) -> None:
        self._start(saved["hyperparam"])
        self.__dict__.update(saved["attributes"])
        self.t = saved["t"]
        self._enabled = saved["enabled"]
        for name, value in saved["policies"].items():
            setattr(self, name, value)
        for name, value in saved["scalars"].items():
            self._set_scalar(name, value)
        self._master_copy = saved.get("master")
        if saved["state"] is not None:
            self._restore(saved["state"])
        self._sort_hooks()

    def __reduce__(self: Any) -> tuple[Any, ...]:
        return _new, (type(self),), self.__getstate__()


def _entry(serializer: Deserializer, name: str, held: Mapping[str, Any]) -> Any:
    """Read an array; what is not to be loaded stays what it was."""
    try:
        value = serializer(name, None)
    except KeyError:
        return _ABSENT
    will_load = getattr(serializer, "will_load", None)
    is_none = will_load is not None and will_load(name)
    return held.get(name, _ABSENT) if value is None and not is_none else value


def _new(cls: type[SavedRule]) -> SavedRule:
    return cls.__new__(cls)
