"""Selections of update rules, and the set operations between them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from chainrule._core import Variable
from chainrule.link import Link
from chainrule.rules import questions, table
from chainrule.rules.attributes import ATTRIBUTES, find_attribute
from chainrule.rules.changes import Changes
from chainrule.rules.entries import Entry, walk
from chainrule.rules.journal import Journal
from chainrule.rules.patterns import listing, nearest_paths, suggestion
from chainrule.rules.questions import Find
from chainrule.rules.values import SelectedValues, common
from chainrule.update_rule import UpdateRule
from chainrule.variable import Parameter

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["Selection"]


class Selection(Changes, table.Tabular):
    """Update rules of an optimizer, chosen by a question that is asked anew at each use.

    A selection is live: it keeps the question, not the answer. Parameters that join the link
    later are in it where they fit, and ``selection`` always means the rules that the parameters
    have now. What it needs of a parameter it finds by path, not by rule: it stays valid when
    :meth:`use` exchanges the rules.

    A tied parameter, one object under several paths, is selected by any of its paths, counted
    once, and listed under the first. A parameter without a rule is in no selection; see
    :attr:`Rules.missing`.

    It is strict: a question that fits nothing raises KeyError when it is asked first, and
    writing through an empty selection does always.

    Selections are made by :attr:`Optimizer.rules`, and by ``|``, ``&``, ``-`` and ``~`` (all other
    rules of the optimizer) between selections.

    Args:
        optimizer: The optimizer.
        label: How it is called in errors and in ``repr``.
        find: Answers the question.

    Example:
        >>> import chainrule
        >>> from chainrule import optimizers
        >>> net = chainrule.Chain(l1=chainrule.links.Linear(2, 3), l2=chainrule.links.Linear(3, 1))
        >>> rules = optimizers.SGD(lr=0.1).setup(net).rules
        >>> rules["/l1/*"] | rules["/*/b"]
        <rules['/l1/*'] | rules['/*/b']: 3 rules, /l1/W /l1/b /l2/b>
        >>> rules.where(lambda path, param: param.ndim >= 2).use(optimizers.MomentumSGD(lr=0.02))
        >>> print(rules)
        path   shape   dtype    algorithm    values   enabled  state
        /l1/W  (3, 2)  float32  MomentumSGD  lr=0.02  yes      24 B
        /l1/b  (3,)    float32  SGD          lr=0.1   yes      0 B
        /l2/W  (1, 3)  float32  MomentumSGD  lr=0.02  yes      12 B
        /l2/b  (1,)    float32  SGD          lr=0.1   yes      0 B
        4 parameters, 13 elements, 36 B of state
    """

    _optimizer: Optimizer
    _label: str
    _find: Find

    def __init__(self, optimizer: Optimizer, label: str, find: Find) -> None:
        # Straight into the dict: attributes are those of the rules.
        self.__dict__.update(_optimizer=optimizer, _label=label, _find=find)

    # What is selected

    def _all(self) -> list[Entry]:
        """All parameters of the optimizer's link that have a rule."""
        return [entry for entry in walk(self._target(), self._optimizer) if entry.rule is not None]

    def _target(self) -> Link:
        if self._optimizer.target is None:
            name = type(self._optimizer).__name__
            raise RuntimeError(f"[rules] {name} is not set up: call setup(link) first")
        return self._optimizer.target

    def _answer(self) -> tuple[list[Entry], list[Entry]]:
        entries = self._all()
        found, open_ = self._find(entries)
        return (
            [entry for entry in entries if id(entry.param) in found],
            [entry for entry in entries if id(entry.param) in open_],
        )

    def _entries(self) -> list[Entry]:
        return self._answer()[0]

    def _pairs(self) -> list[tuple[Entry, UpdateRule]]:
        return [(entry, entry.rule) for entry in self._entries() if entry.rule is not None]

    def _for_writing(self, depth: int = 3) -> list[tuple[Entry, UpdateRule]]:
        """The selected rules, each once; refuses an empty selection."""
        entries, undecided = self._answer()
        if undecided:
            paths = listing([entry.path for entry in undecided])
            warnings.warn(
                f"[rules] {self._label}: it cannot be told of {paths} yet, left out: without an "
                "array they have no shape; do this after a first forward pass, or give sizes",
                stacklevel=depth,
            )
        seen: dict[int, tuple[Entry, UpdateRule]] = {}
        for entry in entries:
            rule = entry.rule
            if rule is not None:
                seen.setdefault(id(rule), (entry, rule))
        if not seen:
            raise KeyError(f"[rules] {self._label} selects nothing")
        return list(seen.values())

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the selected parameters, sorted as ``link.namedparams()`` sorts them."""
        return tuple(entry.path for entry in self._entries())

    @property
    def params(self) -> tuple[Parameter, ...]:
        """The selected parameters."""
        return tuple(entry.param for entry in self._entries())

    @property
    def undecided(self) -> tuple[str, ...]:
        """Paths of parameters without an array of which :meth:`where` cannot tell yet."""
        return tuple(entry.path for entry in self._answer()[1])

    def items(self) -> list[tuple[str, UpdateRule]]:
        """List the selected rules with their paths.

        Returns:
            Pairs of path and rule.
        """
        return [(entry.path, rule) for entry, rule in self._pairs()]

    def __iter__(self) -> Iterator[UpdateRule]:
        return iter([rule for _, rule in self._pairs()])

    def __len__(self) -> int:
        return len(self._entries())

    def __contains__(self, item: object) -> bool:
        """Tell whether a path, a parameter or a rule is selected."""
        if isinstance(item, str):
            return any(item in entry.paths for entry in self._entries())
        return any(item is entry.param or item is entry.rule for entry in self._entries())

    def __eq__(self, other: object) -> bool:
        """Tell whether both select the same parameters now."""
        if not isinstance(other, Selection):
            return NotImplemented
        mine, theirs = self._entries(), other._entries()
        return [id(entry.param) for entry in mine] == [id(entry.param) for entry in theirs]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        paths = self.paths
        shown = " ".join(paths if len(paths) <= 6 else (*paths[:3], "...", *paths[-2:]))
        count = f"{len(paths)} rule" + ("" if len(paths) == 1 else "s")
        return f"<{self._label}: {count}{', ' if paths else ''}{shown}>"

    # Selecting among the selected

    def _narrowed(self, label: str, find: Find, complaint: Callable[[], str]) -> Selection:
        """Make a selection within this one, and refuse it if it is empty."""
        made = Selection(self._optimizer, label, questions.Both(self._find, find))
        found, undecided = made._answer()
        if not found and not undecided:
            raise KeyError(complaint())
        return made

    def __getitem__(self, key: Any) -> Selection:
        """Select by path, pattern, compiled expression, Parameter, Link, or a list of these."""
        if isinstance(key, (list, tuple, set, frozenset)):
            parts = [self[each] for each in key]
            if not parts:
                raise KeyError(f"[rules] no patterns: got {key!r}")
            label = f"{self._label}[{', '.join(map(_shown, key))}]"
            find = questions.AnyOf(tuple(part._find for part in parts))
            return Selection(self._optimizer, label, find)
        target = self._target()
        key = target._own(key)
        label = f"{self._label}[{_shown(key)}]"
        if isinstance(key, Selection):
            return self & key
        if isinstance(key, (Variable, Link)):
            return self._narrowed(
                label,
                questions.In(key),
                lambda: f"[rules] {label}: no parameter of it has a rule of this selection",
            )
        fitting = questions.Fitting(key, target._separator)
        return self._narrowed(label, fitting, lambda: self._no_match(key, fitting.matcher))

    def _no_match(self, key: str | re.Pattern[str], matcher: Callable[[str], bool]) -> str:
        text = key if isinstance(key, str) else key.pattern
        without = [
            path
            for entry in walk(self._target(), self._optimizer)
            if entry.rule is None
            for path in entry.paths
            if matcher(path)
        ]
        if without:
            return (
                f"[rules] {', '.join(without)} has no update rule: assign one, such as "
                "optimizer.create_update_rule(), to the parameter's update_rule"
            )
        paths = [path for entry in self._entries() for path in entry.paths]
        message = f"[rules] no rule fits {text!r} in {self._label}{nearest_paths(text, paths)}"
        if isinstance(key, re.Pattern) and any(map(key.search, paths)):
            message += "; a regular expression has to fit the whole path"
        return message

    def of(self, *classes: type) -> Selection:
        """Select all parameters below links of a class.

        Args:
            *classes: One or several classes of links.

        Returns:
            The selection.

        Raises:
            TypeError: If one is no class of links.
            KeyError: If there is no such link, or none with rules of this selection.

        Example:
            >>> import chainrule
            >>> from chainrule import links as L
            >>> net = chainrule.Chain(head=L.Linear(2, 1), scale=chainrule.Link(factor=()))
            >>> rules = chainrule.optimizers.SGD().setup(net).rules
            >>> rules.of(L.Linear)
            <rules.of(Linear): 2 rules, /head/W /head/b>
        """
        base = self._target()._part_class
        kind = "links" if base is Link else "modules"
        for cls in classes or ("nothing",):
            if not (isinstance(cls, type) and issubclass(cls, base)):
                got = cls if cls == "nothing" else repr(cls)
                raise TypeError(f"[rules] of: got {got}, expected classes of {kind}")
        names = ", ".join(cls.__name__ for cls in classes)

        def complaint() -> str:
            there = dict.fromkeys(type(part).__name__ for part, _ in self._target()._parts())
            return (
                f"[rules] {self._label} has no rule below a {kind[:-1]} of class {names}"
                + suggestion(names, there)
            )

        return self._narrowed(
            f"{self._label}.of({names})", questions.Below(self._optimizer, classes), complaint
        )

    def where(self, condition: Callable[[str, Parameter], Any]) -> Selection:
        """Select the parameters that fulfil a condition.

        Of a parameter that has no array yet the condition sees what there is: path, name, dtype,
        rule. Where it asks for more (``ndim``, ``shape``, ``size``) the parameter raises, and the
        answer is left open: it is neither in the selection nor in its complement until it has
        an array. :attr:`undecided` lists such parameters, and a write that leaves them out warns.

        Args:
            condition: Called as ``condition(path, param)`` at each use of the selection.

        Returns:
            The selection.

        Raises:
            TypeError: If ``condition`` cannot be called.
            KeyError: If no parameter fulfils it.

        Example:
            >>> import chainrule
            >>> link = chainrule.Link(W=(2, 3), b=2)
            >>> rules = chainrule.optimizers.SGD().setup(link).rules
            >>> matrices = rules.where(lambda path, param: param.ndim >= 2)
            >>> matrices.paths, (~matrices).paths
            (('/W',), ('/b',))
        """
        if not callable(condition):
            raise TypeError(
                f"[rules] where: got {type(condition).__name__}, expected a function of path and "
                "parameter"
            )

        name = getattr(condition, "__qualname__", type(condition).__name__).split(".")[-1]
        label = f"{self._label}.where({name})"
        count = len(self)
        return self._narrowed(
            label,
            questions.Where(condition),
            lambda: f"[rules] {label}: none of {count} parameters fulfils it",
        )

    def _combined(self, other: object, sign: str, merge: Callable[[Find, Find], Find]) -> Selection:
        if not isinstance(other, Selection):
            return NotImplemented
        if other._optimizer is not self._optimizer:
            raise ValueError(
                f"[rules] {self._label} {sign} {other._label}: they belong to different optimizers"
            )

        sides = [
            f"({side._label})" if " " in side._label and sign != "|" else side._label
            for side in (self, other)
        ]
        find = merge(self._find, other._find)
        return Selection(self._optimizer, f"{sides[0]} {sign} {sides[1]}", find)

    def __or__(self, other: object) -> Selection:
        return self._combined(other, "|", lambda a, b: questions.AnyOf((a, b)))

    def __and__(self, other: object) -> Selection:
        return self._combined(other, "&", questions.Both)

    def __sub__(self, other: object) -> Selection:
        return self._combined(other, "-", questions.Without)

    def __invert__(self) -> Selection:
        label = f"~({self._label})" if " " in self._label else f"~{self._label}"
        find = questions.Without(questions.Everything(), self._find)
        return Selection(self._optimizer, label, find)

    # Reading and writing

    @property
    def hyperparam(self) -> SelectedValues:
        """The hyperparameters of the selected rules: :class:`SelectedValues`."""
        return SelectedValues(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return common(name, self.get(name).items())

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name.startswith("_"):
            raise AttributeError(f"[rules] '{name}' of a selection cannot be set")
        pairs = self._for_writing()
        changes = [(find_attribute(name, entry.path, rule), entry, rule) for entry, rule in pairs]
        with Journal() as journal:
            for attribute, entry, rule in changes:
                try:
                    journal.set_attribute(rule, attribute, value, self._label)
                except (TypeError, ValueError) as error:
                    raise type(error)(f"[rules] {entry.path}: {error}") from None

    def __dir__(self) -> list[str]:
        rules = [rule for _, rule in self._pairs()]
        known = [n for n, each in ATTRIBUTES.items() if all(map(each.is_on, rules))]
        return [*object.__dir__(self), *known]

    def get(self, name: str) -> dict[str, Any]:
        """Read an attribute such as ``enabled`` of every selected rule.

        Args:
            name: Its name.

        Returns:
            Values by path.

        Raises:
            AttributeError: If a selected rule has no such attribute.
        """
        pairs = self._pairs()
        if not pairs and name not in ATTRIBUTES:
            raise AttributeError(
                f"[rules] a selection has no attribute '{name}'" + suggestion(name, ATTRIBUTES)
            )
        return {
            entry.path: find_attribute(name, entry.path, rule).get(rule) for entry, rule in pairs
        }

    def _rows(self) -> list[table.Row]:
        return [table.row_of(entry, rule) for entry, rule in self._pairs()]


def _shown(key: Any) -> str:
    """Write a key as in the source text."""
    if isinstance(key, Selection):
        return key._label
    if isinstance(key, Link):
        return f"<{type(key).__name__} {key.name}>" if key.name else f"<{type(key).__name__}>"
    if isinstance(key, Variable):
        return f"<{key.name}>"
    return repr(key)
