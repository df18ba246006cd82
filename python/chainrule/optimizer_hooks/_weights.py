"""Hooks that keep an array of their own for each parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from chainrule import _core
from chainrule._walk import each_param
from chainrule.serializer import AbstractSerializer, Deserializer

if TYPE_CHECKING:
    from chainrule.optimizer import Optimizer, UpdateRule
    from chainrule.variable import Variable

__all__ = ["WeightHook", "rules_of", "serialize_hooks"]

Pairs = list[tuple["UpdateRule", "Variable"]]


class WeightHook:
    """Base of hooks whose arrays live with the rules and are saved with them.

    All parameters that a hook stands on are worked on in one native pass.
    """

    timing = "post"
    name: str
    #: Name of the array, in the rule's file too.
    _state_name: ClassVar[str]
    # What the last pass worked on, for which structure, and what has no array of ours yet.
    _known: tuple[int, Pairs, list[Any], Pairs] | None = None

    def __call__(self, owner: Any, param: Any = None) -> None:
        """Do the work that follows an update.

        Args:
            owner: The optimizer, or the update rule of ``param``.
            param: The parameter; all of the optimizer's without it.
        """
        self._after(rules_of(owner) if param is None else [(owner, param)])

    def _before(self, pairs: Pairs) -> None:
        """Look at parameters before they are updated."""

    def _after(self, pairs: Pairs) -> None:
        raise NotImplementedError

    def _array(self, rule: UpdateRule) -> np.ndarray | None:
        return rule._hook_states.get(self.name, {}).get(self._state_name)

    def _hooked(self, pairs: Pairs, updated: bool = False) -> list[Any]:
        """List parameters, rules and arrays; arrays begin as copies of the parameters.

        Args:
            pairs: The rules and parameters that the hook stands on.
            updated: Whether arrays begin with the first update and not before it.
        """
        version = _core.structure_version()
        known = self._known
        if known is None or known[0] != version or known[1] is not pairs:
            known = version, pairs, [], pairs
        hooked, missing = known[2], []
        for rule, param in known[3]:
            array = self._array(rule)
            if not param._has_array or (array is None and updated and not rule._updated):
                missing.append((rule, param))
                continue
            if array is None:
                wide = np.float64 if param.dtype == np.float64 else np.float32
                mastered = rule._fp32_update and param.dtype.itemsize == 2
                source = rule._master(param) if mastered else param.array
                array = np.array(source, dtype=wide, order="C")
                rule._hook_states.setdefault(self.name, {})[self._state_name] = array
            hooked.append((param, rule, array))
        self._known = version, pairs, hooked, missing
        return hooked

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_known"}


def rules_of(optimizer: Optimizer) -> Pairs:
    """List the rules and parameters of an optimizer, each parameter once."""
    if optimizer.target is None:
        raise RuntimeError("Optimizer is not set up. Call `setup` method.")
    return [
        (cast("UpdateRule", param.update_rule), param)
        for _, param in each_param(optimizer.target)
        if isinstance(param.update_rule, _core.UpdateRule)
    ]


def serialize_hooks(rule: UpdateRule, hooks: Iterable[Any], serializer: AbstractSerializer) -> None:
    """Save or load what hooks keep for a parameter; what is not in a file starts anew."""
    loading = isinstance(serializer, Deserializer)
    for hook in hooks:
        if not isinstance(hook, WeightHook):
            continue
        array = hook._array(rule)
        if not loading:
            if array is not None:
                serializer[hook.name](hook._state_name, array)
            continue
        try:
            loaded = serializer[hook.name](hook._state_name, None)
        except KeyError:
            loaded = None
        rule._hook_states.pop(hook.name, None)
        if loaded is not None:
            wide = np.float64 if loaded.dtype == np.float64 else np.float32
            array = np.array(loaded, dtype=wide, order="C")
            rule._hook_states[hook.name] = {hook._state_name: array}
        _core.structure_changed()
