"""The states of a rule as a mapping of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from chainrule._device_array import is_elsewhere, taken

if TYPE_CHECKING:
    from chainrule._core import Variable
    from chainrule.update_rule import UpdateRule

__all__ = ["SCALE", "State", "held"]

# What the scales of an 8-bit state are called.
SCALE = "_scale"


def held(state: Any, name: str) -> Any:
    """Give a state of a rule where it is: on a GPU a Variable on its memory.

    Args:
        state: The rule's states, if it has some.
        name: Name of the state.

    Returns:
        A NumPy array, a Variable, what a rule written in Python keeps; None if there is none.
    """
    on_gpu = state.on_gpu(name) if isinstance(state, State) else None
    if on_gpu is not None:
        return on_gpu
    return None if state is None else state.get(name)


class State(MutableMapping[str, Any]):
    """The states of a built-in rule by name: NumPy arrays over the memory that C++ updates.

    States on a GPU are seen as copies, which cannot be written to. Assigning to a name writes into
    the state in either case. Names that the rule does not know may be used for anything.
    """

    def __init__(self, rule: UpdateRule) -> None:
        self._rule = rule
        self._others: dict[str, Any] = {}

    def _known(self) -> list[str]:
        # Also those that the present values do not use: they may come back.
        found = []
        for name in self._rule._all_state_names:
            if self._rule._has_state(name):
                found.append(name)
                if self._rule._get_scale(name) is not None:
                    found.append(name + SCALE)
        return found

    def _scaled(self, name: str) -> str | None:
        """Give the state whose scales a name stands for."""
        state = name.removesuffix(SCALE)
        return state if state != name and state in self._rule._all_state_names else None

    def __getitem__(self, name: str) -> Any:
        if name in self._others:
            return self._others[name]
        scaled = self._scaled(name)
        rule = self._rule
        array = rule._get_state(name) if scaled is None else rule._get_scale(scaled)
        if array is None:
            raise KeyError(name)
        return array

    def on_gpu(self, name: str) -> Variable | None:
        """Give a Variable on the memory of a state on a GPU; None for all others."""
        if name in self._others:
            return None
        scaled = self._scaled(name)
        rule = self._rule
        found = rule._state_variable(name) if scaled is None else rule._scale_variable(scaled)
        return found if is_elsewhere(found) else None

    @property
    def nbytes(self) -> int:
        """Size of all that is kept."""
        others = sum(getattr(value, "nbytes", 0) for value in self._others.values())
        return self._rule._state_bytes + others

    def __setitem__(self, name: str, value: Any) -> None:
        scaled = self._scaled(name)
        if name in self._rule._all_state_names:
            self._rule._set_state(name, taken(value))
        elif scaled is not None:
            self._rule._set_scale(scaled, taken(value))
        else:
            self._others[name] = value

    def restore(self, values: Mapping[str, Any]) -> None:
        """Take states as they were stored, however the rule stores its states from now on.

        Args:
            values: All states by name, with the scales of 8-bit ones.
        """
        for name, value in values.items():
            scales = values.get(name + SCALE)
            if scales is not None and name in self._rule._all_state_names:
                self._rule._set_coded_state(name, taken(value), taken(scales))
            elif self._scaled(name) is None:
                self[name] = value

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
