"""What reports of loading have in common: how they print."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["Report"]


class Report:
    """Base of dataclasses that list names, among them ``loaded``.

    Printed, it is a headline and a line for each list that is not empty.
    """

    def _headline(self: Any) -> str:
        raise NotImplementedError

    def __str__(self: Any) -> str:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {
            name: names
            for name, names in values.items()
            if isinstance(names, list) and names and name != "loaded"
        }
        width = max(map(len, lists), default=0)
        lines = [f"  {name:<{width}} {', '.join(names)}" for name, names in lists.items()]
        return "\n".join([self._headline(), *lines])
