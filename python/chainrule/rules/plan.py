"""The configuration of an optimizer, with all of its rules, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chainrule._core import Hyperparameter
from chainrule.configuration import config
from chainrule.rules import plain, table
from chainrule.rules.attributes import ATTRIBUTES, POLICIES
from chainrule.rules.entries import Entry, algorithm_name, walk
from chainrule.rules.journal import own_entries, own_values
from chainrule.rules.patterns import listing
from chainrule.rules.replace import keep
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer
    from chainrule.link import Link

__all__ = ["FORMAT", "Plan", "describe", "make_plan", "optimizer_algorithm"]

#: What marks the data of a plan, and the version of what it holds.
FORMAT = {"format": "chainrule plan", "version": 1}


def optimizer_algorithm(optimizer: Optimizer) -> str:
    """Name the algorithm that an optimizer gives its rules.

    Args:
        optimizer: The optimizer.

    Returns:
        The name of a built-in algorithm, or module and name of a user's class of optimizers.
    """
    rule: type[UpdateRule] | None = getattr(optimizer, "_rule_class", None)
    if rule is not None and rule._strict and isinstance(rule._algorithm, str):
        return rule._algorithm
    return f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"


class _Describer:
    """Writes rules as plain data; objects that several of them share are written once."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._values: Hyperparameter | None = getattr(optimizer, "hyperparam", None)
        self.parents: list[dict[str, Any]] = []
        self.hooks: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}
        # A Hyperparameter that only C++ holds is another Python object at each look: stay at one.
        self._held: list[Any] = []

    def values(self, hyperparam: Hyperparameter) -> dict[str, Any]:
        return {name: plain.encode(value) for name, value in own_values(hyperparam).items()}

    def parent(self, hyperparam: Hyperparameter | None) -> str | int | None:
        if hyperparam is None:
            return None
        if hyperparam is self._values:
            return "optimizer"
        if id(hyperparam) not in self._places:
            self._held.append(hyperparam)
            above = self.parent(hyperparam.parent)
            self._places[id(hyperparam)] = len(self.parents)
            self.parents.append(
                {
                    "algorithm": plain.strict_name(hyperparam),
                    "parent": above,
                    "values": self.values(hyperparam),
                }
            )
        return self._places[id(hyperparam)]

    def hook(self, hook: Any) -> int:
        if id(hook) not in self._places:
            self._places[id(hook)] = len(self.hooks)
            data: dict[str, Any] = {"kind": plain.hook_kind(hook)}
            arguments = plain.hook_arguments(hook)
            if arguments is not None:
                data["arguments"] = arguments
            self.hooks.append(data)
        return self._places[id(hook)]

    def hooks_of(self, owner: Any) -> list[dict[str, Any]]:
        register = owner._hookable
        if register is None:
            return []
        return [
            {"name": name, "timing": timing, "hook": self.hook(hook)}
            for timing, hooks in (("pre", register.pre), ("post", register.post))
            for name, hook in hooks.items()
        ]

    def rule(self, rule: UpdateRule) -> dict[str, Any]:
        """Describe a rule; what is as in a new one is left out."""
        data: dict[str, Any] = {"algorithm": algorithm_name(rule)}
        parent = self.parent(rule.hyperparam.parent)
        if parent != "optimizer":
            data["parent"] = parent
        values = self.values(rule.hyperparam)
        if values:
            data["values"] = values
        enabled = ATTRIBUTES["enabled"]
        if enabled.kept(rule) is not True:
            data["enabled"] = plain.encode(enabled.kept(rule))
        origins = {name: origin for name, (_, origin) in own_entries(rule.hyperparam).items()}
        origins["enabled"] = enabled.origin(rule)
        origins = {name: origin for name, origin in origins.items() if origin is not None}
        if origins:
            data["origins"] = origins
        hooks = self.hooks_of(rule)
        if hooks:
            data["hooks"] = hooks
        policies = {
            policy.name: plain.encode(policy.get(rule))
            for policy in POLICIES
            if policy.is_on(rule) and policy.get(rule) != policy.default
        }
        if policies:
            data["policies"] = policies
        # First values that a rule remembers, where they are no longer its values.
        effective = rule.hyperparam.get_dict()
        scalars = {
            name: plain.encode(value)
            for name, value in rule._scalars.items()
            if name.startswith("initial_") and value != effective.get(name[8:])
        }
        if scalars:
            data["scalars"] = scalars
        return data


def describe(
    optimizer: Optimizer, pairs: Sequence[tuple[Entry, UpdateRule | None]]
) -> dict[str, Any]:
    """Write a configuration as plain data.

    Args:
        optimizer: The optimizer.
        pairs: Parameters with their rules.

    Returns:
        What JSON can hold.
    """
    describer = _Describer(optimizer)
    hyperparam = describer._values
    return {
        **FORMAT,
        "optimizer": {
            "class": type(optimizer).__name__,
            "algorithm": optimizer_algorithm(optimizer),
            "values": {} if hyperparam is None else describer.values(hyperparam),
            "hooks": describer.hooks_of(optimizer),
        },
        "rules": {entry.path: describer.rule(rule) for entry, rule in pairs if rule is not None},
        "parents": describer.parents,
        "hooks": describer.hooks,
        "without_rule": [entry.path for entry, rule in pairs if rule is None],
    }


class Plan(table.Tabular):
    """How the parameters of a link are updated, or would be; what ``optimizer.plan()`` gives.

    It is a picture of one moment. Printed, it is a table; nothing is allocated for it.

    Args:
        rows: A row for each parameter, those without a rule included.
        configuration: What :func:`describe` gives.

    Attributes:
        rows: The rows: :class:`chainrule.rules.table.Row`.
    """

    def __init__(self, rows: Sequence[table.Row], configuration: dict[str, Any]) -> None:
        self.rows = tuple(rows)
        self._configuration = configuration

    def _rows(self) -> Sequence[table.Row]:
        return self.rows

    @property
    def total_bytes(self) -> int:
        """Size of all states together, as far as it is known."""
        return sum(row.state_bytes or 0 for row in self.rows)

    @property
    def tied(self) -> tuple[tuple[str, ...], ...]:
        """Paths that are one parameter, in groups."""
        return tuple((row.path, *row.tied) for row in self.rows if row.tied)

    @property
    def without_rule(self) -> tuple[str, ...]:
        """Paths of parameters without a rule."""
        return tuple(row.path for row in self.rows if row.algorithm is None)

    @property
    def uninitialized(self) -> tuple[str, ...]:
        """Paths of parameters without an array; the size of their states is not known."""
        return tuple(row.path for row in self.rows if row.shape is None)

    def _summary(self, rows: Sequence[table.Row]) -> list[str]:
        lines = super()._summary(rows)
        for what, paths in (
            ("tied", [" = ".join(group) for group in self.tied]),
            ("without a rule", self.without_rule),
            ("without an array", self.uninitialized),
        ):
            if paths:
                lines.append(f"{what}: {listing(paths)}")
        return lines

    def __repr__(self) -> str:
        return f"<Plan: {self._summary(self.rows)[0]}>"

    def to_dict(self) -> dict[str, Any]:
        """Write the plan as plain data.

        Returns:
            What JSON can hold, and :meth:`Optimizer.apply_plan` takes. Under ``'rules'`` stands for
            each path: ``algorithm``; ``values``, ``enabled``, ``hooks`` and ``policies`` of the
            rule itself where they are not those of a new one; ``parent``, where other values come
            from, if not from the optimizer; and for the reader ``shape``, ``dtype``, ``tied`` and
            ``state_bytes``.
        """
        rules = {
            path: dict(data) for path, data in self._configuration["rules"].items()
        }  # one level is enough: what lies below is not changed here
        for row in self.rows:
            if row.path in rules:
                described = row.to_dict()
                for name in ("shape", "dtype", "tied", "state_bytes"):
                    rules[row.path][name] = described[name]
        return {
            **self._configuration,
            "rules": rules,
            "tied": [list(group) for group in self.tied],
            "uninitialized": list(self.uninitialized),
            "total_bytes": self.total_bytes,
        }


def make_plan(optimizer: Optimizer, link: Link | None = None) -> Plan:
    """Make a plan; see :meth:`Optimizer.plan`.

    Args:
        optimizer: The optimizer.
        link: A link that ``setup`` may be called with.

    Returns:
        The plan.
    """
    target = optimizer.target if link is None else link
    if target is None:
        raise RuntimeError(
            f"[plan] {type(optimizer).__name__} is not set up: give a link, or call setup(link)"
        )
    entries = walk(target)
    pairs: list[tuple[Entry, UpdateRule | None]] = [(entry, entry.rule) for entry in entries]
    if link is not None:
        pairs = [(entry, _rule_to_be(optimizer, entry)) for entry in entries]
    rows = [table.row_of(entry, rule) for entry, rule in pairs]
    return Plan(rows, describe(optimizer, pairs))


def _rule_to_be(optimizer: Optimizer, entry: Entry) -> UpdateRule:
    """The rule that ``setup`` would give."""
    rule = optimizer._new_rule()
    if entry.rule is not None and not config.chainer_semantics:
        keep(entry.rule, rule)
    if not entry.param._update_enabled:
        rule.enabled = False
    return rule
