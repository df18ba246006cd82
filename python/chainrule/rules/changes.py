"""What a selection of update rules can do to all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule._hookable import Hookable
from chainrule.rules.entries import Entry
from chainrule.rules.journal import Journal
from chainrule.rules.patterns import listing, suggestion
from chainrule.rules.replace import replace_rules
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["Changes"]


class Changes:
    """The part of a selection that adds and removes hooks, replaces rules and parks states."""

    _optimizer: Optimizer

    def _entries(self) -> Sequence[Entry]:
        raise NotImplementedError

    def _for_writing(self, depth: int = 3) -> list[tuple[Entry, UpdateRule]]:
        raise NotImplementedError

    def add_hook(
        self, hook: Callable[..., Any], name: str | None = None, timing: str = "auto"
    ) -> None:
        """Add a hook to every selected rule, or to none; see :meth:`UpdateRule.add_hook`.

        All rules get the same object: changing its numbers changes them everywhere.

        Args:
            hook: Called as ``hook(rule, param)``.
            name: Its name; ``hook.name`` by default.
            timing: ``'pre'``, ``'post'``, or ``'auto'``: what ``hook.timing`` says.

        Raises:
            KeyError: If a selected rule has a hook of that name. Nothing is changed then.
            TypeError: If ``hook`` cannot be called, or does nothing on one of the rules.
            ValueError: If there is no name, or no such timing.
        """
        pairs = self._for_writing()
        trial = Hookable()
        trial.add(hook, name, timing)
        (name,) = {**trial.pre, **trial.post}
        taken = [entry.path for entry, rule in pairs if name in rule.hooks]
        if taken:
            raise KeyError(
                f'[rules] hook "{name}" already exists: {listing(taken)}; nothing was changed'
            )
        for entry, rule in pairs:
            try:
                rule._refuse_hook(hook)
            except TypeError as error:
                raise TypeError(f"[rules] {entry.path}: {error}; nothing was changed") from None
        with Journal() as journal:
            for _, rule in pairs:
                old = rule._hookable
                pre, post = {**old.pre, **trial.pre}, {**old.post, **trial.post}
                journal.set_hooks(rule, pre, post, rule._sort_hooks)

    def remove_hook(self, name: str) -> None:
        """Take a hook off every selected rule.

        Args:
            name: Its name.

        Raises:
            KeyError: If one of the rules has none of this name. Nothing is changed then.
        """
        pairs = self._for_writing()
        lacking = [entry.path for entry, rule in pairs if name not in rule.hooks]
        if lacking:
            known = dict.fromkeys(each for _, rule in pairs for each in rule.hooks)
            hint = "; others have it" if name in known else suggestion(name, known)
            raise KeyError(
                f"[rules] no hook {name!r}: {listing(lacking)}; nothing was changed{hint}"
            )
        with Journal() as journal:
            for _, rule in pairs:
                pre, post = dict(rule._hookable.pre), dict(rule._hookable.post)
                pre.pop(name, None)
                post.pop(name, None)
                journal.set_hooks(rule, pre, post, rule._sort_hooks)

    def use(self, what: Any) -> None:
        """Give every selected parameter a new rule.

        The rules of an optimizer fall back to its hyperparameters, so that a later change of
        ``muon.lr`` reaches them; the optimizer itself needs no ``setup``. What ``setup`` keeps is
        kept: hooks, on or off, policies. Hyperparameters of the old rule and its state are not.

        Args:
            what: An optimizer, a class of update rules, or a function that makes a rule.

        Raises:
            TypeError: If it is something else, or a hook that is kept would do nothing on the new
                rule. Nothing is changed then.
            ValueError: If a function gives one rule twice. Nothing is changed then.
            KeyError: If nothing is selected.

        Example:
            >>> import chainrule
            >>> from chainrule import optimizers
            >>> link = chainrule.Link(W=(2, 3), b=2)
            >>> optimizer = optimizers.SGD().setup(link)
            >>> adam = optimizers.Adam()
            >>> optimizer.rules["/b"].use(adam)
            >>> adam.alpha = 0.5
            >>> link.b.update_rule.hyperparam.alpha
            0.5
        """
        self._for_writing()
        replace_rules(self._optimizer, self._entries(), what)

    def park(self, where: str = "host") -> None:
        """Free the memory of the selected rules' states, or of none; see :meth:`UpdateRule.park`.

        Args:
            where: ``'host'`` or ``'drop'``.

        Raises:
            ValueError: If there is no such choice.
            RuntimeError: If one of the rules is on. Nothing is changed then.
            KeyError: If nothing is selected.

        Example:
            >>> import chainrule
            >>> net = chainrule.Chain(l1=chainrule.links.Linear(2, 3))
            >>> rules = chainrule.optimizers.Adam().setup(net).rules["/l1/*"]
            >>> rules.enabled = False
            >>> rules.park("drop")
        """
        pairs = self._for_writing()
        on = [entry.path for entry, rule in pairs if rule._enabled]
        if on:
            raise RuntimeError(
                f"[park] the rule is on: {listing(on)}: set enabled = False first; nothing was "
                "parked"
            )
        for _, rule in pairs:
            rule.park(where)
