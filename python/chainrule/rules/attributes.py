"""The attributes of a rule, beside its values and hooks, that can be set on many rules at once.

A new one is a new line in :data:`ATTRIBUTES`: selections set it, tables show it, plans and
snapshots keep it. It counts where the rule's class has it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from chainrule.rules.entries import algorithm_name
from chainrule.rules.patterns import suggestion
from chainrule.update_rule import UpdateRule

__all__ = ["ATTRIBUTES", "POLICIES", "Attribute", "find_attribute"]


class Attribute:
    """One attribute of rules.

    Args:
        name: How selections and plans call it.
        get: Reads it; the rule's attribute of that name by default.
        set: Sets it; the rule's attribute of that name by default.
    """

    def __init__(
        self,
        name: str,
        get: Callable[[UpdateRule], Any] | None = None,
        set: Callable[[UpdateRule, Any], None] | None = None,
    ) -> None:
        self.name = name
        self._own = get is None
        self.get = get or (lambda rule: getattr(rule, name))
        self.set = set or (lambda rule, value: setattr(rule, name, value))

    def is_on(self, rule: UpdateRule) -> bool:
        """Tell whether a rule has this attribute.

        Args:
            rule: The rule.

        Returns:
            Whether it has.
        """
        return not self._own or hasattr(type(rule), self.name)

    @functools.cached_property
    def default(self) -> Any:
        """What a new rule has."""
        return self.get(UpdateRule())


ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute("enabled"),
        Attribute(
            "fp32_update",
            lambda rule: rule._fp32_update,
            lambda rule, value: rule.use_fp32_update(value),
        ),
        Attribute("on_nonfinite"),
        Attribute("missing_grad"),
        Attribute("state_dtype"),
        Attribute("rounding"),
    )
}

#: All of them but ``enabled``, which tables and plans show by itself.
POLICIES: tuple[Attribute, ...] = tuple(
    attribute for name, attribute in ATTRIBUTES.items() if name != "enabled"
)


def find_attribute(name: str, path: str, rule: UpdateRule) -> Attribute:
    """Find an attribute of a rule by its name.

    Args:
        name: The name.
        path: Path of the rule's parameter, for errors.
        rule: The rule.

    Returns:
        The attribute.

    Raises:
        AttributeError: If the rule has none of this name.
    """
    attribute = ATTRIBUTES.get(name)
    if attribute is None or not attribute.is_on(rule):
        known = [known for known, each in ATTRIBUTES.items() if each.is_on(rule)]
        raise AttributeError(
            f"[rules] {path}: a rule of {algorithm_name(rule)} has no attribute '{name}' to set"
            + suggestion(name, known)
        )
    return attribute
