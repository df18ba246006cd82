"""What loading a state dict has done."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from chainrule._report import Report
from chainrule._rule_state import State

if TYPE_CHECKING:
    from chainrule.torch._parameter import TensorParameter

__all__ = ["StateReport", "cast_states"]


@dataclasses.dataclass
class StateReport(Report):
    """What a state dict and an optimizer had in common.

    Attributes:
        source: Whose state dict it was: ``'chainrule'``, or the name of an algorithm of
            ``torch.optim``.
        matched_by: ``'name'`` or ``'order'``.
        loaded: Names of the parameters whose state was loaded.
        fresh: Names of those whose state starts anew: there was none in the state dict.
        missing: Names of those that the state dict does not have (with ``strict=False``).
        unused: What the state dict has and this optimizer does not.
        replaced: Rules that were replaced by such of the saved algorithm.
        notes: What else is worth knowing.
    """

    source: str
    matched_by: str = "name"
    loaded: list[str] = dataclasses.field(default_factory=list)
    fresh: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    unused: list[str] = dataclasses.field(default_factory=list)
    replaced: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def _headline(self) -> str:
        return f"state of {self.source}: {len(self.loaded)} loaded by {self.matched_by}"


def cast_states(
    saved: Iterable[tuple[TensorParameter, Mapping[str, torch.dtype]]],
) -> list[str]:
    """Give loaded states the dtypes that the next update would give them, and tell which changed.

    Args:
        saved: Parameters, and the dtypes of their states by chainrule's names.

    Returns:
        A line for each pair of dtypes.
    """
    counts: collections.Counter[tuple[torch.dtype, torch.dtype]] = collections.Counter()
    for param, dtypes in saved:
        rule = param.update_rule
        if dtypes and rule is not None and rule._algorithm is not None:
            rule._init_states(param)
        now = _dtypes(param)
        changed = {(dtypes[name], now[name]) for name in dtypes.keys() & now.keys()}
        counts.update(pair for pair in changed if pair[0] != pair[1])
    return [
        f"{str(before).removeprefix('torch.')} states of {count} parameters are "
        f"{str(now).removeprefix('torch.')} now"
        for (before, now), count in counts.items()
    ]


def _dtypes(param: TensorParameter) -> dict[str, torch.dtype]:
    state = None if param.update_rule is None else param.update_rule.state
    if not isinstance(state, State):
        return {}
    return {
        name: torch.from_dlpack(param.update_rule._state_variable(name)).dtype
        for name in param.update_rule._all_state_names
        if param.update_rule._has_state(name)
    }
