"""New rules in the place of old ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.link import Link
from chainrule.rules.attributes import POLICIES
from chainrule.rules.entries import Entry
from chainrule.rules.journal import Journal
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["keep", "replace_rules", "rule_factory"]


def keep(before: UpdateRule, rule: UpdateRule) -> None:
    """Give a new rule what a parameter keeps: hooks, on or off, policies, and what is observed.

    Args:
        before: The rule that the parameter had.
        rule: The one it gets.

    Raises:
        TypeError: If a hook would do nothing on the new rule.
    """
    for hook in before.hooks.values():
        rule._refuse_hook(hook)
    rule._take_enabled(before)
    rule._hookable.take(before._hookable)
    rule._sort_hooks()
    for policy in POLICIES:
        if policy.is_on(before) and policy.is_on(rule):
            value = policy.get(before)
            if value != policy.default:
                policy.set(rule, value)
    if before._observed and not rule._runs_in_python:
        rule._observed, rule._observed_names = True, before._observed_names


def _needs_arguments(function: Callable[..., Any]) -> bool:
    """Tell whether a function cannot be called without arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return False  # one of C's, which do not always say
    try:
        signature.bind()
    except TypeError:
        return True
    return False


def rule_factory(what: Any) -> Callable[[], UpdateRule]:
    """Make a function that makes rules.

    Args:
        what: An optimizer, a class of rules, or a function that returns a new rule.

    Returns:
        A function without arguments. Rules of an optimizer fall back to its hyperparameters.

    Raises:
        TypeError: If ``what`` is something else.
    """
    from chainrule.optimizer import GradientMethod

    if isinstance(what, GradientMethod):
        return what._new_rule
    expected = "expected an optimizer, a class of update rules or a function that makes a rule"
    if isinstance(what, UpdateRule):
        raise TypeError(
            f"[use] every parameter needs a rule of its own: got one {type(what).__name__}, "
            + expected
        )
    if inspect.isclass(what) and not issubclass(what, UpdateRule):
        hint = f"; did you mean {what.__name__}()?" if issubclass(what, GradientMethod) else ""
        raise TypeError(f"[use] got the class {what.__name__}, {expected}{hint}")
    if not callable(what) or isinstance(what, Link) or _needs_arguments(what):
        raise TypeError(f"[use] got {getattr(what, '__name__', type(what).__name__)}, {expected}")

    def make() -> UpdateRule:
        rule = what()
        if not isinstance(rule, UpdateRule):
            raise TypeError(f"[use] the function made a {type(rule).__name__}, expected UpdateRule")
        return rule

    return make


def replace_rules(optimizer: Optimizer, entries: Sequence[Entry], what: Any) -> None:
    """Give parameters new rules, all or none.

    Args:
        optimizer: The optimizer that updates them; expressions follow its count.
        entries: The parameters.
        what: What :func:`rule_factory` takes.

    Raises:
        TypeError: If ``what`` makes no rules.
        ValueError: If it gives a rule twice, or one that is in use.
    """
    make = rule_factory(what)
    made: list[UpdateRule] = []
    for entry in entries:
        rule = make()
        if rule._params or any(rule is other for other in made):
            raise ValueError(f"[use] {entry.path}: got a rule that is in use, expected a new one")
        rule.hyperparam._set_clock(optimizer._clock)
        if entry.rule is not None:
            try:
                keep(entry.rule, rule)
            except TypeError as error:
                raise TypeError(f"[use] {entry.path}: {error}; nothing was changed") from None
        made.append(rule)
    with Journal() as journal:
        for entry, rule in zip(entries, made, strict=True):
            journal.set_rule(entry.param, rule)
