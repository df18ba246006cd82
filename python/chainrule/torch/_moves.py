"""States that follow their parameters to another device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import torch
from chainrule._core import Variable
from chainrule._device_array import as_numpy, beside, shown
from chainrule.torch._parameter import TensorParameter
from chainrule.update_rule import UpdateRule

__all__ = ["follow", "predecessors"]

#: Parameters, and those whose rules and states they go on with.
_Predecessors = Mapping[TensorParameter, TensorParameter]


def predecessors(
    now: Mapping[str, TensorParameter], before: Mapping[str, TensorParameter]
) -> dict[TensorParameter, TensorParameter]:
    """Find whose rule each parameter goes on with.

    Args:
        now: Parameters by name, tied ones under each of their names.
        before: Those that had rules, in the same way.

    Returns:
        For one that was there, itself; for another the one that had its name and is gone. New ones
        are left out.
    """
    known = set(before.values())
    gone = known - set(now.values())
    found: dict[TensorParameter, TensorParameter] = {}
    for name, param in now.items():
        old = before.get(name)
        if param in known:
            found[param] = param
        elif param not in found and old is not None and old in gone:
            gone.remove(old)
            found[param] = old
    return found


def follow(kept: _Predecessors) -> None:
    """Bring the states of rules to where their parameters are now: all, or none.

    Args:
        kept: The parameters as they are now, and whose rules they go on with.
    """
    done: list[tuple[UpdateRule, torch.device]] = []
    try:
        for param, old in kept.items():
            rule, came_from = old.update_rule, old._layout["device"]
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
