"""The hyperparameters of many rules, read and written together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import _core
from chainrule._core import Expression
from chainrule._undo import add_note
from chainrule.rules.entries import Entry, algorithm_name
from chainrule.rules.journal import Journal, own_values
from chainrule.rules.patterns import listing, nearest_paths, suggestion
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.rules.selection import Selection
    from chainrule.variable import Parameter

__all__ = [
    "SelectedValues",
    "algorithm_defaults",
    "common",
    "default_values",
    "known_names",
    "same",
    "values_of",
]

_MISSING = object()


@functools.cache
def algorithm_defaults(algorithm: str | _core.Algorithm) -> Mapping[str, Any]:
    """Tell the defaults of an algorithm.

    Args:
        algorithm: The algorithm, a built-in one by name.

    Returns:
        Values by name.
    """
    return _core.default_hyperparameter(algorithm).get_dict()


def default_values(rule: UpdateRule) -> Mapping[str, Any]:
    """Tell the defaults of a rule's algorithm.

    Args:
        rule: The rule.

    Returns:
        Values by name; empty for a rule written in Python.
    """
    return {} if rule._algorithm is None else algorithm_defaults(rule._algorithm)


def known_names(rule: UpdateRule) -> list[str]:
    """List the names of hyperparameters that a rule has.

    Those of its algorithm; for a rule written in Python, those that can be read from it.

    Args:
        rule: The rule.

    Returns:
        The names.
    """
    names = dict.fromkeys(default_values(rule))
    if not type(rule)._strict:
        names.update(dict.fromkeys(rule.hyperparam.get_dict()))
    return list(names)


def values_of(path: str, rule: UpdateRule) -> dict[str, Any]:
    """Read all hyperparameters of a rule.

    Args:
        path: Path of its parameter, for errors.
        rule: The rule.

    Returns:
        Effective values by name.

    Raises:
        AttributeError: If one is to be inherited and no parent has it.
        TypeError: If what is to be inherited is no number.
    """
    try:
        return rule.hyperparam.get_dict()
    except (AttributeError, TypeError) as error:
        message = str(error).removeprefix("[hyperparam] ")
        raise type(error)(f"[rules] {path}: {algorithm_name(rule)}: {message}") from None


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are the same, whatever they are.

    Args:
        a: One value.
        b: Another one.

    Returns:
        Whether they are; NaN is the same as NaN.
    """
    if a is b:
        return True
    if isinstance(a, Expression) or isinstance(b, Expression):
        return type(a) is type(b) and bool(a.to_data() == b.to_data())
    try:
        return bool(np.all(a == b)) or bool(a != a and b != b)
    except Exception:
        return False


def common(what: str, values: Iterable[tuple[str, Any]]) -> Any:
    """Return the value that all parameters have in common.

    Args:
        what: Name of what has the values, for the error.
        values: Pairs of path and value.

    Returns:
        The value.

    Raises:
        ValueError: If there are several, or none.
    """
    distinct: list[tuple[Any, list[str]]] = []
    for path, value in values:
        for known, paths in distinct:
            if same(known, value):
                paths.append(path)
                break
        else:
            distinct.append((value, [path]))
    if not distinct:
        raise ValueError(f"[rules] {what}: nothing is selected")
    if len(distinct) == 1:
        return distinct[0][0]
    groups = [f"{value!r} ({listing(paths, 3)})" for value, paths in distinct]
    raise ValueError(
        f"[rules] {what} is not the same for all {sum(len(paths) for _, paths in distinct)} "
        f"selected: got {listing(groups, 8)}; .get('{what.split('.')[-1]}') gives each"
    )


class SelectedValues:
    """Hyperparameters of the selected rules; what ``selection.hyperparam`` is.

    Reading an attribute gives the value that all have in common, setting one sets it on every
    selected rule, deleting one lets the optimizer's value be seen again. A name that one of the
    rules does not know is refused, and nothing is changed then.

    Args:
        selection: The selection.

    Example:
        >>> import chainrule
        >>> net = chainrule.Chain(l1=chainrule.links.Linear(2, 3), l2=chainrule.links.Linear(3, 1))
        >>> optimizer = chainrule.optimizers.SGD(lr=0.1).setup(net)
        >>> optimizer.rules["/*/W"].hyperparam.lr = 0.01
        >>> optimizer.rules["/*/W"].hyperparam.lr
        0.01
        >>> optimizer.rules.hyperparam.get("lr")
        {'/l1/W': 0.01, '/l1/b': 0.1, '/l2/W': 0.01, '/l2/b': 0.1}
        >>> del optimizer.rules.hyperparam.lr
        >>> optimizer.rules.hyperparam.lr
        0.1
    """

    def __init__(self, selection: Selection) -> None:
        object.__setattr__(self, "_selection", selection)

    _selection: Selection

    def _pairs(self) -> list[tuple[Entry, UpdateRule]]:
        return self._selection._pairs()

    def _check(self, name: str, pairs: list[tuple[Entry, UpdateRule]]) -> None:
        for entry, rule in pairs:
            known = known_names(rule)
            if name not in known:
                raise AttributeError(
                    f"[rules] {entry.path}: {algorithm_name(rule)} has no hyperparameter "
                    f"'{name}'" + suggestion(name, known)
                )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return common(f"hyperparam.{name}", self.get(name).items())

    def __setattr__(self, name: str, value: Any) -> None:
        self._update({name: value}, 4)

    def __delattr__(self, name: str) -> None:
        pairs = self._selection._for_writing()
        self._check(name, pairs)
        having = [rule.hyperparam for _, rule in pairs if name in own_values(rule.hyperparam)]
        if not having:
            raise AttributeError(
                f"[rules] hyperparameter '{name}' is set on none of {self._selection._label}"
            )
        with Journal() as journal:
            for hyperparam in having:
                if name in own_values(hyperparam):  # one that two rules share is met twice
                    journal.delete_value(hyperparam, name)

    def update(self, **values: Any) -> None:
        """Set several hyperparameters on every selected rule, all or none.

        Args:
            **values: Numbers, or expressions, by name.

        Raises:
            AttributeError: If a selected rule does not know a name. Nothing is changed then.
            TypeError: If a value is none. Nothing is changed then.
            KeyError: If nothing is selected.
        """
        self._update(values, 4)

    def _update(self, values: Mapping[str, Any], depth: int) -> None:
        pairs = self._selection._for_writing(depth)
        for name in values:
            self._check(name, pairs)
        self._write([(entry, rule, values) for entry, rule in pairs])

    def _write(self, orders: Iterable[tuple[Entry, UpdateRule, Mapping[str, Any]]]) -> None:
        with Journal() as journal:
            for entry, rule, values in orders:
                for name, value in values.items():
                    try:
                        journal.set_value(rule.hyperparam, name, value, self._selection._label)
                    except (TypeError, ValueError, AttributeError) as error:
                        raise type(error)(f"[rules] {entry.path}: {error}") from None

    def set_each(
        self, name: str, values: Mapping[str, Any] | Callable[[str, Parameter], Any]
    ) -> None:
        """Set one hyperparameter on every selected rule, to a value of its own, on all or none.

        Args:
            name: Its name.
            values: Numbers, or expressions, by path, as :meth:`get` gives them; or a function of
                path and parameter that gives one. It is called now, once for each parameter.

        Raises:
            AttributeError: If a selected rule does not know the name. Nothing is changed then.
            KeyError: If a path is not selected, a selected one has no value, or nothing is
                selected. Nothing is changed then.
            TypeError: If ``values`` or a value is none. Nothing is changed then.

        What the function raises goes on, with a note that says for which parameter; a parameter
        that has no array yet has no shape.

        Example:
            >>> import chainrule
            >>> net = chainrule.Sequential(*(chainrule.links.Linear(4, 4) for _ in range(3)))
            >>> rules = chainrule.optimizers.SGD(lr=0.1).setup(net).rules
            >>> def decayed(path, param):
            ...     return chainrule.inherit * 0.5 ** (2 - int(path.split("/")[1]))
            >>> rules.hyperparam.set_each("lr", decayed)
            >>> rules["/*/W"].hyperparam.get("lr")
            {'/0/W': 0.025, '/1/W': 0.05, '/2/W': 0.1}
        """
        pairs = self._selection._for_writing()
        self._check(name, pairs)
        if isinstance(values, Mapping):
            found = self._of_mapping(name, values, pairs)
        elif callable(values):
            found = self._of_function(values, pairs)
        else:
            raise TypeError(
                f"[rules] set_each: got {type(values).__name__}, expected a dict by path or a "
                "function of path and parameter"
            )
        self._write(
            [(entry, rule, {name: found[entry.path]}) for entry, rule in pairs],
        )

    def _of_mapping(
        self, name: str, values: Mapping[str, Any], pairs: list[tuple[Entry, UpdateRule]]
    ) -> dict[str, Any]:
        known = {path: entry.path for entry, _ in pairs for path in entry.paths}
        for path in values:
            if path not in known:
                raise KeyError(
                    f"[rules] set_each: {self._selection._label} does not select '{path}'"
                    + nearest_paths(path, list(known))
                )
        found = {known[path]: value for path, value in values.items()}
        lacking = [entry.path for entry, _ in pairs if entry.path not in found]
        if lacking:
            raise KeyError(f"[rules] set_each: no value of '{name}' for {listing(lacking)}")
        return found

    def _of_function(
        self, function: Callable[[str, Parameter], Any], pairs: list[tuple[Entry, UpdateRule]]
    ) -> dict[str, Any]:
        found = {}
        for entry, _ in pairs:
            try:
                found[entry.path] = function(entry.path, entry.param._shown())
            except BaseException as error:
                add_note(error, f"[rules] set_each stopped at {entry.path}")
                raise
        return found

    def get(self, name: str, default: Any = _MISSING) -> dict[str, Any]:
        """Read one hyperparameter of every selected rule.

        Args:
            name: Its name.
            default: Stands for the value of rules that do not know the name; without it they
                are an error.

        Returns:
            Effective values by path.

        Raises:
            AttributeError: If a rule does not know the name.
        """
        pairs = self._pairs()
        if default is _MISSING:
            self._check(name, pairs)
        out = {}
        for entry, rule in pairs:
            values = values_of(entry.path, rule)
            if name not in values and default is _MISSING:
                raise AttributeError(
                    f"[rules] {entry.path}: hyperparameter '{name}' of {algorithm_name(rule)} has "
                    "no value"
                )
            out[entry.path] = values.get(name, default)
        return out

    def get_dict(self) -> dict[str, dict[str, Any]]:
        """Read all hyperparameters of every selected rule.

        Returns:
            Effective values by path and name.
        """
        return {entry.path: values_of(entry.path, rule) for entry, rule in self._pairs()}

    def own(self) -> dict[str, dict[str, Any]]:
        """Read what is set on the selected rules themselves, not inherited.

        Returns:
            Values by path and name.
        """
        return {entry.path: own_values(rule.hyperparam) for entry, rule in self._pairs()}

    def __dir__(self) -> list[str]:
        names: dict[str, None] = dict.fromkeys(object.__dir__(self))
        for _, rule in self._pairs():
            names.update(dict.fromkeys(known_names(rule)))
        return list(names)

    def __repr__(self) -> str:
        pairs = self._pairs()
        names: dict[str, None] = {}
        for _, rule in pairs:
            names.update(dict.fromkeys(known_names(rule)))
        shown = []
        for name in names:
            values = [rule.hyperparam.get_dict().get(name, _MISSING) for _, rule in pairs]
            alike = all(same(value, values[0]) for value in values)
            shown.append(f"{name}={values[0]!r}" if alike else f"{name}=<differs>")
        return f"{self._selection._label}.hyperparam({', '.join(shown)})"
