"""The states of rules as ``optimizer.state``."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
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

__all__ = ["StateView", "from_tensor", "to_tensor"]


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
        rule = self._rule(tensor)
        if rule is None:
            raise KeyError("[chainrule.torch] this parameter has no rule")
        kept, t = rule.state or {}, rule.t
        writes = {}
        for name, value in state.items():
            if name == "step":
                t = int(value)
            elif name in kept:
                writes[name] = self._fitting(tensor, kept, name, value)
            else:
                raise KeyError(f"[chainrule.torch] the rule has no state {name!r}")
        rule.t = t
        for name, value in writes.items():
            own = _shared(kept, name)
            if isinstance(own, torch.Tensor):
                own.copy_(value)
            else:
                kept[name] = value

    def _fitting(self, tensor: torch.Tensor, state: Any, name: str, value: Any) -> Any:
        """Give a value that can be written to a state."""
        own = _shared(state, name)
        if not isinstance(own, torch.Tensor):
            return value
        value = torch.as_tensor(value)
        if value.shape != own.shape:
            path = next(p.name for p in self._optimizer._params if p.tensor is tensor)
            raise ValueError(
                f"[chainrule.torch] state {name!r} of {path}: got shape {tuple(value.shape)}, "
                f"expected {tuple(own.shape)}"
            )
        return torch.empty_like(own).copy_(value)

    def __delitem__(self, tensor: torch.Tensor) -> None:
        rule = self._rule(tensor)
        if rule is not None:
            rule._clear_states()
            rule._state = None

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
