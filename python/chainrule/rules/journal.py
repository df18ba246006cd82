"""Changes of many rules that are made all together or not at all."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chainrule._core import Hyperparameter, structure_changed
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.rules.attributes import Attribute
    from chainrule.variable import Parameter

__all__ = ["Journal", "own_entries", "own_values"]


def own_entries(hyperparam: Hyperparameter) -> dict[str, tuple[Any, str | None]]:
    """Read what is set on a Hyperparameter itself, not inherited.

    Args:
        hyperparam: The Hyperparameter.

    Returns:
        Values by name, expressions as they are, each with what it was set through, if known.
    """
    return {name: (value, origin) for name, value, origin in hyperparam.__getstate__()[2]}


def own_values(hyperparam: Hyperparameter) -> dict[str, Any]:
    """Read the values that are set on a Hyperparameter itself, not inherited.

    Args:
        hyperparam: The Hyperparameter.

    Returns:
        The values by name, expressions as they are.
    """
    return {name: value for name, (value, _) in own_entries(hyperparam).items()}


class Journal:
    """Makes changes, and knows how to take them back.

    As a context manager it takes them back if the block raises.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if exc_type is not None:
            self.roll_back()

    def roll_back(self) -> None:
        """Take everything back, the last change first."""
        while self._undo:
            self._undo.pop()()

    def set_value(
        self, hyperparam: Hyperparameter, name: str, value: Any, origin: str | None = None
    ) -> None:
        """Set a hyperparameter.

        Args:
            hyperparam: Where.
            name: Its name.
            value: A number, an expression, or what a user's rule understands.
            origin: What the value was set through, such as ``rules['/encoder/**']``.
        """
        before = hyperparam._own(name)
        hyperparam._set(name, value, origin)
        if before is None:
            self._undo.append(lambda: delattr(hyperparam, name))
        else:
            self._undo.append(lambda: hyperparam._set(name, *before))

    def delete_value(self, hyperparam: Hyperparameter, name: str) -> None:
        """Delete a value that is set on a Hyperparameter itself.

        Args:
            hyperparam: Where.
            name: Its name.
        """
        before = own_entries(hyperparam)[name]
        delattr(hyperparam, name)
        self._undo.append(lambda: hyperparam._set(name, *before))

    def set_hyperparam(self, rule: UpdateRule, hyperparam: Hyperparameter) -> None:
        """Give a rule another Hyperparameter.

        Args:
            rule: The rule.
            hyperparam: Its new one.
        """
        before = rule.hyperparam

        def change(hyperparam: Hyperparameter) -> None:
            rule.hyperparam = hyperparam
            structure_changed()  # tables tell the new one which count its expressions follow

        self._undo.append(lambda: change(before))
        change(hyperparam)

    def set_attribute(
        self, rule: UpdateRule, attribute: Attribute, value: Any, origin: str | None = None
    ) -> None:
        """Set an attribute of a rule.

        Args:
            rule: The rule.
            attribute: Which one.
            value: Its new value.
            origin: What the value was set through.
        """
        before = (attribute.kept(rule), attribute.origin(rule))
        self._undo.append(lambda: attribute.set(rule, *before))
        attribute.set(rule, value, origin)

    def set_rule(self, param: Parameter, rule: UpdateRule | None) -> None:
        """Give a parameter another rule.

        Args:
            param: The parameter.
            rule: Its new rule.
        """
        before, enabled, frozen = param.update_rule, param._update_enabled, param.frozen

        def restore() -> None:
            param._update_enabled = True  # a rule that is assigned to a parameter hears of it
            param.update_rule = before
            param._update_enabled, param.frozen = enabled, frozen

        self._undo.append(restore)
        if rule is not None and rule._enabled_when is None and not (rule.enabled or enabled):
            param._update_enabled = True  # off it is, and who said so is not forgotten
        param.update_rule = rule
        param._update_enabled = enabled

    def set_hooks(
        self, owner: Any, pre: dict[str, Any], post: dict[str, Any], changed: Callable[[], None]
    ) -> None:
        """Give a rule or an optimizer other hooks.

        Args:
            owner: The rule or optimizer.
            pre: Hooks by name that run before an update.
            post: Hooks by name that run after it.
            changed: Called after each change.
        """
        register = owner._hookable
        before = (register.pre, register.post)

        def change(hooks: tuple[dict[str, Any], dict[str, Any]]) -> None:
            register.pre, register.post = hooks
            changed()

        self._undo.append(lambda: change(before))
        change((dict(pre), dict(post)))

    def set_scalar(self, rule: UpdateRule, name: str, value: float) -> None:
        """Set a number that a rule remembers beside its state.

        Args:
            rule: The rule.
            name: Its name.
            value: The number.
        """
        before = rule._scalars[name]
        rule._set_scalar(name, value)
        self._undo.append(lambda: rule._set_scalar(name, before))

    def begin(self, rule: UpdateRule) -> None:
        """Have a rule take down anew what it remembers of its first values.

        Args:
            rule: The rule.
        """
        before = dict(rule._scalars)

        def restore() -> None:
            for name, value in before.items():
                rule._set_scalar(name, value)

        self._undo.append(restore)
        rule._begin()

    def set_plain(self, obj: Any, name: str, value: Any) -> None:
        """Set an attribute of any object.

        Args:
            obj: The object.
            name: The attribute.
            value: Its new value.
        """
        before = getattr(obj, name)
        self._undo.append(lambda: setattr(obj, name, before))
        setattr(obj, name, value)
