"""Hooks that keep an array of their own for each parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from chainrule import _core
from chainrule._device_array import beside
from chainrule._walk import each_param
from chainrule.serializer import AbstractSerializer, Deserializer

if TYPE_CHECKING:
    from chainrule.optimizer import Optimizer, UpdateRule
    from chainrule.variable import Variable

__all__ = ["WeightHook", "refuse_shared", "rules_of", "serialize_hooks"]

Pairs = list[tuple["UpdateRule", "Variable"]]


class WeightHook:
    """Base of hooks whose arrays live with the rules and are saved with them.

    All parameters that a hook stands on are worked on in one native pass. A rule keeps an array
    under the name that the hook was added by, so that several hooks of a class do not meet.
    """

    timing = "post"
    _only = "post"  # whatever timing it is added with
    name: str
    #: Name of the array, in the rule's file too.
    _state_name: ClassVar[str]
    # What the last pass worked on, for which structure, and what has no array of ours yet.
    _known: tuple[int, Pairs, _core.HookedWeights, Pairs] | None = None
    # The name by which it last ran on an optimizer.
    _key: str | None = None

    def __call__(self, owner: Any, param: Any = None) -> None:
        """Do the work that follows an update.

        Args:
            owner: The optimizer, or the update rule of ``param``.
            param: The parameter; all of the optimizer's without it.
        """
        pairs = rules_of(owner) if param is None else [(owner, param)]
        self._after(pairs, self._name_on(owner))

    def _before(self, pairs: Pairs, name: str) -> None:
        """Look at parameters before they are updated: what is kept for them has to fit."""
        self._kept(pairs, name)[0].check()

    def _after(self, pairs: Pairs, name: str) -> None:
        raise NotImplementedError

    def _name_on(self, owner: Any) -> str:
        """Give the name by which the hook stands on a rule or an optimizer."""
        register = owner._hookable
        for name, hook in (*register.pre.items(), *register.post.items()):
            if hook is self:
                return str(name)
        return self._key or self.name

    def _array(self, rule: UpdateRule, name: str) -> Any:
        """Give what is kept: a NumPy array; on a GPU a Variable."""
        return rule._hook_states.get(name, {}).get(self._state_name)

    def _kept(self, pairs: Pairs, name: str) -> tuple[_core.HookedWeights, Pairs]:
        """List parameters with the arrays that are there, and those without one.

        Args:
            pairs: The rules and parameters that the hook stands on.
            name: The name by which it stands there.
        """
        self._key = name
        version = _core.structure_version()
        known = self._known
        if known is None or known[0] != version or known[1] is not pairs:
            known = version, pairs, _core.HookedWeights(type(self).__name__), pairs
        hooked, missing = known[2], []
        for rule, param in known[3]:
            kept = self._array(rule, name)
            if kept is None or not param._has_array:
                missing.append((rule, param))
                continue
            array = beside(kept, param)
            if array is not kept:
                rule._hook_states[name][self._state_name] = array
            hooked.add(param, rule, array)
        self._known = version, pairs, hooked, missing
        return hooked, missing

    def _hooked(self, pairs: Pairs, name: str, updated: bool = False) -> _core.HookedWeights:
        """List parameters with their arrays, which begin as copies of the parameters.

        Args:
            pairs: The rules and parameters that the hook stands on.
            name: The name by which it stands there.
            updated: Whether arrays begin with the first update and not before it.
        """
        hooked, missing = self._kept(pairs, name)
        begun = [
            (rule, param)
            for rule, param in missing
            if param._has_array and (rule._updated or not updated)
        ]
        for rule, param in begun:
            array = beside(_core.wide_copy(param, rule), param)
            rule._hook_states.setdefault(name, {})[self._state_name] = array
        return self._kept(pairs, name)[0] if begun else hooked

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_known", "_key")}


def rules_of(optimizer: Optimizer) -> Pairs:
    """List the rules and parameters of an optimizer, each parameter once."""
    if optimizer.target is None:
        raise RuntimeError("Optimizer is not set up. Call `setup` method.")
    return [
        (cast("UpdateRule", param.update_rule), param)
        for _, param in each_param(optimizer.target)
        if isinstance(param.update_rule, _core.UpdateRule)
    ]


def refuse_shared(label: str, hooks: Iterable[tuple[str, WeightHook]]) -> None:
    """Refuse hooks that would keep one array for a parameter.

    Args:
        label: What the parameter is called.
        hooks: The hooks on its rule and on the optimizer, with the names that they stand there by.

    Raises:
        ValueError: If two have one name, or one stands there twice.
    """
    known: dict[str, WeightHook] = {}
    for name, hook in hooks:
        if name in known:
            raise ValueError(
                f"[add_hook] {label}: the optimizer and the rule have each a hook '{name}', which "
                "keeps an array for the parameter: add one of them by another name, "
                "add_hook(hook, name=...)"
            )
        if any(hook is other for other in known.values()):
            raise ValueError(
                f"[add_hook] {label}: one {type(hook).__name__} stands there twice, as '{name}', "
                "too: add another object"
            )
        known[name] = hook


def serialize_hooks(
    rule: UpdateRule, hooks: Iterable[tuple[str, Any]], serializer: AbstractSerializer
) -> None:
    """Save or load what hooks keep for a parameter; what is not in a file starts anew."""
    loading = isinstance(serializer, Deserializer)
    for name, hook in hooks:
        if not isinstance(hook, WeightHook):
            continue
        array = hook._array(rule, name)
        if not loading:
            if array is not None:
                serializer[name](hook._state_name, array)
            continue
        try:
            loaded = serializer[name](hook._state_name, None)
        except KeyError:
            loaded = None
        rule._hook_states.pop(name, None)
        if loaded is not None:
            entry = f"{getattr(serializer[name], 'path', '')}{hook._state_name}"
            rule._hook_states[name] = {hook._state_name: _fitted(rule, loaded, entry)}
        _core.structure_changed()


def _fitted(rule: UpdateRule, array: np.ndarray, entry: str) -> np.ndarray:
    """Give an array of a file the dtype that hooks keep; refuse one of another shape."""
    wide = np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    for param in rule._arrays():
        wide = np.dtype(np.float64 if param.dtype == np.float64 else np.float32)
        if array.shape != param.shape or array.dtype.kind not in "fV":
            raise ValueError(
                f"[serialize] entry '{entry}' does not fit: got {array.dtype} of shape "
                f"{array.shape}, expected {wide} of shape {param.shape}"
            )
    return np.array(array, dtype=wide, order="C")
