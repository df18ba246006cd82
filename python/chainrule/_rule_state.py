"""The states of a rule as a mapping of arrays."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chainrule.update_rule import UpdateRule

__all__ = ["State"]

# What the scales of an 8-bit state are called.
_SCALE = "_scale"


class State(MutableMapping[str, Any]):
    """The states of a built-in rule by name: NumPy arrays over the memory that C++ updates.

    Assigning to a name writes into the array. Names that the rule does not know may be used
    for anything.
    """

    def __init__(self, rule: UpdateRule) -> None:
        self._rule = rule
        self._others: dict[str, Any] = {}

    def _known(self) -> list[str]:
        found = []
        for name in self._rule._state_names:
            if self._rule._has_state(name):
                found.append(name)
                if self._rule._get_scale(name) is not None:
                    found.append(name + _SCALE)
        return found

    def _scaled(self, name: str) -> str | None:
        """Give the state whose scales a name stands for."""
        state = name.removesuffix(_SCALE)
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

    def __setitem__(self, name: str, value: Any) -> None:
        scaled = self._scaled(name)
        if name in self._rule._all_state_names:
            self._rule._set_state(name, np.asarray(value))
        elif scaled is not None:
            self._rule._set_scale(scaled, np.asarray(value))
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
