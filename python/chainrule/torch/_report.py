"""What loading a state dict has done."""

from __future__ import annotations

import dataclasses

from chainrule._report import Report

__all__ = ["StateReport"]


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
