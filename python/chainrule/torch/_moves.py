"""States that follow their parameters to another device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import torch
from chainrule._core import Variable
from chainrule._device_array import as_numpy, beside, shown
from chainrule.torch._parameter import TensorParameter
from chainrule.update_rule import UpdateRule

__all__ = ["follow", "known_as"]

#: Parameters by the names that they had.
_Known = Mapping[str | None, TensorParameter]


def known_as(param: TensorParameter, before: _Known) -> TensorParameter:
    """Find the parameter whose rule is kept.

    Args:
        param: A parameter.
        before: Those that had rules, by name.

    Returns:
        Itself if it has a rule, otherwise the one that had its name, if there is one.
    """
    old = before.get(param.name)
    return param if param.update_rule is not None or old is None else old


def follow(params: Iterable[TensorParameter], before: _Known) -> None:
    """Bring the states of rules to where their parameters are now: all, or none.

    Args:
        params: The parameters as they are now.
        before: Those that had rules, by name.
    """
    done: list[tuple[UpdateRule, torch.device]] = []
    try:
        for param in params:
            kept = known_as(param, before)
            rule, came_from = kept.update_rule, kept._layout["device"]
            if isinstance(rule, UpdateRule) and came_from != param.tensor.device:
                done.append((rule, came_from))
                _move(rule, param.tensor.device)
    except BaseException:
        for rule, came_from in done:
            _move(rule, came_from)
        raise


def _move(rule: UpdateRule, device: torch.device) -> None:
    rule._move_states((2, device.index) if device.type == "cuda" else (1, 0))
    if rule._state is None:
        return
    # What a rule written in Python keeps, in whichever library's arrays.
    states = rule._states_in_python()
    for name, value in list(states.items()):
        states[name] = _moved(value, device)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if device.type == "cuda":
        if not isinstance(value, np.ndarray) and not hasattr(value, "__dlpack_device__"):
            return value
        here = torch.empty(0, device=device)
        return shown(beside(value, Variable._from_dlpack(here)))
    return as_numpy(value) if hasattr(value, "__dlpack_device__") else value
