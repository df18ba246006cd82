"""Rules in files, and copies of rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _core
from chainrule._core import Variable
from chainrule._device_array import as_numpy, like
from chainrule._policies import Policies
from chainrule._rule_files import serialize_master, serialize_scalars
from chainrule._rule_state import State
from chainrule.optimizer_hooks._weights import serialize_hooks
from chainrule.serializer import AbstractSerializer, Deserializer
from chainrule.serializers.npz import NpzDeserializer

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = ["SavedRule"]

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
        self.t = int(serializer("t", self.t))
        complete = serialize_scalars(self, serializer)
        serialize_master(self, serializer)
        # Before the first update there is no state, but there may be numbers that rules share.
        self._serialize_state(serializer, begin=not (complete and self.t == 0))
        serialize_hooks(self, self._weight_hooks(), serializer)

    def _serialize_state(self: Any, serializer: AbstractSerializer, begin: bool) -> None:
        state = self.state
        if state is None:
            if isinstance(serializer, Deserializer):
                self._load_state(serializer, begin)
            return
        try:
            for name in list(state):
                held = state[name]
                loaded = self._serialize_one(serializer, name, held)
                if loaded is not held:
                    state[name] = loaded
        except KeyError:
            self._start_anew(serializer, begin)

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
                self._state = {} if self._algorithm is None else State(self)
                self._state.update(state)

        return restore

    def _load_state(self: Any, serializer: Deserializer, begin: bool) -> None:
        made: dict[str, Any] = {}
        if self._states_by_python:
            # Which names there are is known when the state is made.
            param = next(self._arrays(), None)
            self._state = {} if self._algorithm is None else State(self)
            zeros = np.zeros(1, np.float32)
            self.init_state(Variable(zeros, grad=zeros) if param is None else param._stand_in())
            made = dict(self._state)
            names = list(made)
            shapes = {} if param is None else {n: np.shape(v) for n, v in made.items()}
        else:
            alive = [p.shape for p in self._arrays()]
            names = self._state_names_of(alive[0]) if alive else self._state_names
            shapes = {}
            if self.state_dtype == "int8":
                names = [n for name in names for n in (name, name + "_scale")]
        values: dict[str, Any] = {}
        for name in names:
            try:
                value = serializer(name, None)
            except KeyError:
                value = None
            if value is None:
                break
            if np.shape(value) != shapes.get(name, np.shape(value)):
                self._refuse(serializer, name, f"got {np.shape(value)}, expected {shapes[name]}")
            values[name] = like(made.get(name), value)
        if len(values) < len(names):
            self._start_anew(serializer, begin)
            return
        self._clear_states()
        self._state = None
        if names:
            self._state = {} if self._algorithm is None else State(self)
            self._state.update(values)
        for param in self._arrays() if self.state is not None else ():
            try:
                self._init_states(param)  # looks at those that are there
            except (TypeError, ValueError) as error:
                state = re.search(r"state '(\w+)' (.*)", str(error))
                if state is not None:
                    self._refuse(serializer, state[1], state[2])

    def _arrays(self: Any) -> Iterator[Parameter]:
        """Walk over the parameters of this rule that have an array."""
        for reference in self._params:
            param = reference()
            if param is not None and param._update_rule is self and param.is_initialized:
                yield param

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
            self._state = {} if self._algorithm is None else State(self)
            self._state.update(saved["state"])
        self._sort_hooks()

    def __reduce__(self: Any) -> tuple[Any, ...]:
        return _new, (type(self),), self.__getstate__()


def _new(cls: type[SavedRule]) -> SavedRule:
    return cls.__new__(cls)
