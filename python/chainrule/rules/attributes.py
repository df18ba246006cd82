"""The attributes of a rule, beside its values and hooks, that can be set on many rules at once.

A new one is a new line in :data:`ATTRIBUTES`: selections set it, tables show it, plans and
snapshots keep it. It counts where the rule's class has it.
"""

from __future__ import annotations

import functools
from typing import Any

from chainrule.rules.entries import algorithm_name
from chainrule.rules.patterns import suggestion
from chainrule.update_rule import UpdateRule

__all__ = ["ATTRIBUTES", "POLICIES", "Attribute", "find_attribute"]


class Attribute:
    """One attribute of rules.

    Args:
        name: How selections and plans call it; what a rule calls it, too.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def is_on(self, rule: UpdateRule) -> bool:
        """Tell whether a rule has this attribute.

        Args:
            rule: The rule.

        Returns:
            Whether it has.
        """
        return hasattr(type(rule), self.name)

    def get(self, rule: UpdateRule) -> Any:
        """Read it, as it is now.

        Args:
            rule: The rule.

        Returns:
            The value.
        """
        return getattr(rule, self.name)

    def kept(self, rule: UpdateRule) -> Any:
        """Read it as it was set, an expression as it is.

        Args:
            rule: The rule.

        Returns:
            The value.
        """
        return self.get(rule)

    def origin(self, rule: UpdateRule) -> str | None:
        """Tell what it was set through.

        Args:
            rule: The rule.

        Returns:
            Such as ``rules['/encoder/**']``; None where that is not known.
        """
        return None

    def set(self, rule: UpdateRule, value: Any, origin: str | None = None) -> None:
        """Set it.

        Args:
            rule: The rule.
            value: The value.
            origin: What it is set through.
        """
        setattr(rule, self.name, value)

    @functools.cached_property
    def default(self) -> Any:
        """What a new rule has."""
        return self.get(UpdateRule())


class _Enabled(Attribute):
    """On or off, perhaps by an expression; the parameter hears of it."""

    def kept(self, rule: UpdateRule) -> Any:
        when = rule._enabled_when
        return rule.enabled if when is None else when

    def origin(self, rule: UpdateRule) -> str | None:
        return rule._enabled_origin

    def set(self, rule: UpdateRule, value: Any, origin: str | None = None) -> None:
        rule._set_enabled(value, origin)


class _Fp32Update(Attribute):
    """Set by a method, as in Chainer."""

    def is_on(self, rule: UpdateRule) -> bool:
        return True

    def get(self, rule: UpdateRule) -> Any:
        return rule._fp32_update

    def set(self, rule: UpdateRule, value: Any, origin: str | None = None) -> None:
        rule.use_fp32_update(value)


ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _Enabled("enabled"),
        _Fp32Update("fp32_update"),
        Attribute("seed"),  # before those that draw one
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
