"""Decay of weights through the gradient, as a value that rules have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule._hookable import Hookable
from chainrule.optimizer_hooks import WeightDecay
from chainrule.optimizer_hooks._weights import rules_of
from chainrule.rules.journal import Journal
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod

__all__ = ["decay_of", "set_decay"]


def _hooks(register: Hookable) -> list[WeightDecay]:
    return [hook for hook in register.pre.values() if type(hook) is WeightDecay]


def decay_of(optimizer: GradientMethod, rule: UpdateRule) -> float:
    """Tell the rate of the decay that hooks add to the gradient of a rule.

    Args:
        optimizer: The optimizer of the rule.
        rule: The rule.

    Returns:
        The rate; the optimizer's hooks and the rule's add up.
    """
    hooks = _hooks(optimizer._hooks()) + _hooks(rule._hookable)
    return sum((hook.rate for hook in hooks), 0.0)


def set_decay(
    journal: Journal, optimizer: GradientMethod, rules: Sequence[UpdateRule], rate: float
) -> WeightDecay | None:
    """Let the gradients of rules get a decay of a rate, and no other.

    A hook of the optimizer is set where the rules are all that there are; otherwise it goes to the
    rules.

    Args:
        journal: What can take it back.
        optimizer: The optimizer of the rules.
        rules: The rules.
        rate: The rate.

    Returns:
        The hook that acts on these rules and on no others; None where none was needed.
    """
    mine = {id(rule) for rule in rules}
    others = [rule for rule, _ in rules_of(optimizer) if id(rule) not in mine]
    above = _hooks(optimizer._hooks())
    if above and not others:
        hook: WeightDecay | None = above[0]
        journal.set_plain(hook, "rate", rate)
        _place(journal, optimizer, hook)
    else:
        for rule in others if above else ():
            _place(journal, rule, WeightDecay(decay_of(optimizer, rule)))
        _place(journal, optimizer, None)
        hook = WeightDecay(rate) if rate else None
    for rule in rules:
        _place(journal, rule, None if above and not others else hook)
    return hook


def _place(journal: Journal, owner: UpdateRule | GradientMethod, hook: WeightDecay | None) -> None:
    """Put a hook in the place of those that a rule or an optimizer has."""
    register = owner._hookable
    assert register is not None
    before = [name for name, known in register.pre.items() if type(known) is WeightDecay]
    if [register.pre[name] for name in before] == ([] if hook is None else [hook]):
        return
    pre = {name: known for name, known in register.pre.items() if name not in before[1:]}
    if hook is None:
        pre.pop(before[0])
    else:
        pre[before[0] if before else _free_name(register)] = hook
    changed = owner._sort_hooks if isinstance(owner, UpdateRule) else owner._changed
    journal.set_hooks(owner, pre, register.post, changed)


def _free_name(register: Hookable) -> str:
    name = WeightDecay.name
    while name in register.pre or name in register.post:
        name += "'"
    return name
