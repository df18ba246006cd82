"""What an update tells of itself: sums taken in the sweep over memory that updates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainrule.update_rule import UpdateRule

__all__ = ["STATISTICS", "Statistics"]

#: Name and meaning of every statistic.
STATISTICS: dict[str, str] = {
    "grad_norm": "Euclidean norm of the gradient as the rule saw it, after hooks and unscaling",
    "param_norm": "norm of the parameter before the update",
    "update_norm": "norm of the change of the parameter, before it was rounded to its dtype",
    "update_ratio": "update_norm / param_norm; 0 if both are",
    "max_abs": "largest absolute value in the gradient",
    "nonfinite": "number of elements of the gradient that were infinite or NaN",
    "lost": "number of elements of a half-precision parameter whose change was rounded away",
}


class Statistics(Mapping[str, float]):
    """Statistics of a rule's last update, by name: those that are observed.

    An update that is left out, for a gradient that is missing or not finite, has none: they stay
    those of the update before it.

    Norms are summed in float64 and in a fixed order, so that they are the same for any number of
    threads, and observing them changes no bit of the update.

    Attributes:
        t (int): The rule's update that they are of; 0 before the first observed one.
    """

    def __init__(self, rule: UpdateRule) -> None:
        self._rule = rule

    @property
    def t(self) -> int:
        """Number of the update that the statistics are of."""
        sums = self._rule._statistics
        return 0 if sums is None else int(sums["t"])

    def __getitem__(self, name: str) -> float:
        if name not in self._rule._observed_names:
            known = ", ".join(self._rule._observed_names) or "none; see optimizer.observe"
            raise KeyError(f"[statistics] '{name}' is not observed; observed: {known}")
        sums = self._rule._statistics
        if sums is None:
            raise KeyError(f"[statistics] '{name}': no update has been observed yet")
        if name == "update_ratio":
            before = sums["param_squares"]
            change = sums["update_squares"]
            return math.sqrt(change / before) if before else math.inf if change else 0.0
        if name.endswith("_norm"):
            return math.sqrt(sums[name.replace("_norm", "_squares")])
        return float(sums[name]) if name == "max_abs" else int(sums[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rule._observed_names if self._rule._statistics is not None else ())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Statistics({dict(self)})"
