"""The states of rules as ``optimizer.state``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

import torch
from chainrule._core import Variable
from chainrule._device_array import is_elsewhere
from chainrule._rule_state import held
from chainrule.torch._parameter import TensorParameter
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.torch._facade import Optimizer

__all__ = ["StateView", "from_tensor", "start_anew", "to_tensor"]


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Give a tensor on the memory of an array.

    Args:
        array: The array; bfloat16 too.

    Returns:
        The tensor.
    """
    if array.dtype.name == "bfloat16" or array.dtype == np.dtype("V2"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def from_tensor(tensor: torch.Tensor) -> np.ndarray:
    """Give an array on the memory of a tensor.

    Args:
        tensor: The tensor; bfloat16 gives items of two bytes without a type.

    Returns:
        The array.
    """
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view("V2")
    return tensor.numpy()


def start_anew(rule: Any) -> None:
    """Forget states and counts of a rule, and what hooks keep for it.

    Args:
        rule: The rule; anything else has nothing to forget.
    """
    if isinstance(rule, UpdateRule):
        rule._drop_states()
        rule._state = None
        rule._hook_states = {}


class StateView(MutableMapping[torch.Tensor, dict[str, Any]]):
    """States by parameter: tensors on the memory that rules work on, and ``step``.

    Args:
        optimizer: Whose states.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def _rule(self, tensor: Any) -> UpdateRule | None:
        for param in self._optimizer._params:
            if param.tensor is tensor:
                return param.update_rule if isinstance(param.update_rule, UpdateRule) else None
        raise KeyError(tensor)

    def __getitem__(self, tensor: torch.Tensor) -> dict[str, Any]:
        rule = self._rule(tensor)
        return {} if rule is None else _state_of(rule)

    def __setitem__(self, tensor: torch.Tensor, state: Any) -> None:
        self._write(*self._prepared(tensor, state))

    def replace(self, given: Any) -> None:
        """Set the states of all parameters, or none of them where one is refused.

        Args:
            given: States by parameter; parameters that are not in it start anew.

        Raises:
            TypeError: If it is no mapping of mappings.
            KeyError: If a parameter or state is not known.
            ValueError: If shapes do not fit.
        """
        if not isinstance(given, Mapping):
            raise TypeError(
                f"[chainrule.torch] state: got {type(given).__name__}, expected states by "
                "parameter; an empty dict resets all of them"
            )
        if given is self:
            return
        prepared = [self._prepared(tensor, state) for tensor, state in given.items()]
        kept = {id(rule) for rule, _, _ in prepared}
        for param in self._optimizer._params:
            if id(param.update_rule) not in kept:
                start_anew(param.update_rule)
        for each in prepared:
            self._write(*each)

    def _prepared(self, tensor: Any, state: Any) -> tuple[UpdateRule, int, dict[str, Any]]:
        """Give the rule, the count and the states that are to be written; nothing is changed."""
        try:
            rule = self._rule(tensor)
        except KeyError:
            kind = type(tensor).__name__
            raise KeyError(
                f"[chainrule.torch] state: got a key of type {kind}, expected one of this "
                "optimizer's parameters"
            ) from None
        if rule is None:
            raise KeyError("[chainrule.torch] this parameter has no rule")
        if not isinstance(state, Mapping):
            raise TypeError(
                f"[chainrule.torch] state of {self._path(tensor)}: got {type(state).__name__}, "
                "expected a dict"
            )
        kept, t = rule.state or {}, rule.t
        writes = {}
        for name, value in state.items():
            if name == "step":
                t = int(value)
            elif name in kept:
                writes[name] = self._fitting(tensor, kept, name, value)
            else:
                raise KeyError(
                    f"[chainrule.torch] state of {self._path(tensor)}: the rule has no state "
                    f"{name!r}{'' if kept else '; they begin with its first update'}"
                )
        return rule, t, writes

    def _write(self, rule: UpdateRule, t: int, writes: Mapping[str, Any]) -> None:
        kept = rule.state or {}
        rule.t = t
        for name, value in writes.items():
            own = _shared(kept, name)
            if isinstance(own, torch.Tensor):
                own.copy_(value)
            else:
                kept[name] = value

    def _path(self, tensor: Any) -> str:
        return next(p.name or "" for p in self._optimizer._params if p.tensor is tensor)

    def _fitting(self, tensor: torch.Tensor, state: Any, name: str, value: Any) -> Any:
        """Give a value that can be written to a state."""
        own = _shared(state, name)
        if not isinstance(own, torch.Tensor):
            return value
        value = torch.as_tensor(value)
        if value.shape != own.shape:
            raise ValueError(
                f"[chainrule.torch] state {name!r} of {self._path(tensor)}: got shape "
                f"{tuple(value.shape)}, expected {tuple(own.shape)}"
            )
        return torch.empty_like(own).copy_(value)

    def __delitem__(self, tensor: torch.Tensor) -> None:
        start_anew(self._rule(tensor))

    def _used(self) -> Iterator[TensorParameter]:
        for param in self._optimizer._params:
            rule = param.update_rule
            if isinstance(rule, UpdateRule) and (rule.t or rule.state is not None):
                yield param

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter([param.tensor for param in self._used()])

    def __len__(self) -> int:
        return sum(1 for _ in self._used())

    def __contains__(self, tensor: object) -> bool:
        return any(param.tensor is tensor for param in self._used())

    def __repr__(self) -> str:
        return f"<states of {len(self)} parameters>"


def _state_of(rule: UpdateRule) -> dict[str, Any]:
    out: dict[str, Any] = {"step": rule.t}
    state = rule.state
    for name in () if state is None else state:
        out[name] = _shared(state, name)
    return out


def _shared(state: Any, name: str) -> Any:
    """Give a state as a tensor on its own memory."""
    value = held(state, name)
    if isinstance(value, Variable) and is_elsewhere(value):
        return torch.from_dlpack(value)
    return to_tensor(value) if isinstance(value, np.ndarray) else value
