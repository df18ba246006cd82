"""Putting a configuration on an optimizer: all of it or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule._core import Hyperparameter
from chainrule.rules import plain
from chainrule.rules.attributes import ATTRIBUTES, POLICIES, find_attribute
from chainrule.rules.entries import Entry, algorithm_name, walk
from chainrule.rules.journal import Journal, own_entries
from chainrule.rules.patterns import nearest_paths, suggestion
from chainrule.rules.plan import FORMAT, optimizer_algorithm
from chainrule.rules.shared import SharedHooks, SharedValues
from chainrule.rules.values import default_values, same
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["Application", "PlanReport"]

_RULE_KEYS = (
    "algorithm",
    "parent",
    "values",
    "enabled",
    "origins",
    "hooks",
    "policies",
    "scalars",
    "skipped",
)
_DESCRIBING = ("shape", "dtype", "tied", "state_bytes")


@dataclasses.dataclass
class PlanReport:
    """What :meth:`Optimizer.apply_plan` did.

    Attributes:
        applied: Paths of the rules that are now as the plan says.
        replaced: Rules that were replaced, such as ``'/l1/W: SGD -> Adam'``.
        changed: What is otherwise different from before, such as ``'/l1/W: values, hooks'``.
        problems: What did not fit and was left out, with ``strict=False``.
    """

    applied: list[str] = dataclasses.field(default_factory=list)
    replaced: list[str] = dataclasses.field(default_factory=list)
    changed: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.applied)} rules applied"]
        for what in ("replaced", "changed", "problems"):
            lines += [f"  {what:<9}{line}" for line in getattr(self, what)]
        return "\n".join(lines)


class Application:
    """Puts a plan's data on an optimizer.

    Args:
        optimizer: The optimizer, set up.
        data: What :meth:`Plan.to_dict` gives.
        journal: Takes down every change.
        strict: Whether what does not fit is an error; otherwise it is left out and reported.
        hooks: Hooks that are not built in, by name or by kind (``module.name``).
        algorithms: Classes of rules that are not built in, by name.
        prefix: What errors begin with.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        data: Any,
        journal: Journal,
        *,
        strict: bool = True,
        hooks: Mapping[str, Any] | None = None,
        algorithms: Mapping[str, Callable[..., UpdateRule]] | None = None,
        prefix: str = "[apply_plan]",
    ) -> None:
        if optimizer.target is None:
            raise RuntimeError(
                f"{prefix} {type(optimizer).__name__} is not set up: call setup(link) first"
            )
        self.optimizer = optimizer
        self.journal = journal
        self.prefix = prefix
        self.report = PlanReport()
        self._strict = strict
        self._algorithms = algorithms or {}
        self._data = self._checked(data)
        self._entries = walk(optimizer.target, optimizer)
        self._hooks = SharedHooks(self, self._data["hooks"], hooks or {})
        self._values = SharedValues(self, self._data)

    def problem(self, kind: type[Exception], message: str) -> None:
        """Raise an error, or take it down where that is asked for."""
        message = f"{self.prefix} {message}"
        if self._strict:
            raise kind(message)
        self.report.problems.append(message)

    def decode(self, where: str, data: Any, present: Any = None) -> tuple[bool, Any]:
        """Read a value; where data only name an object, the present one stays if it is such."""
        try:
            return True, plain.decode(data)
        except plain.Opaque as error:
            if plain.encode(present) == data:
                return True, present
            self.problem(ValueError, f"{where}: {error}")
        except ValueError as error:
            self.problem(ValueError, f"{where}: {error}")
        return False, None

    def set_values(
        self,
        where: str,
        hyperparam: Hyperparameter,
        data: Any,
        known: Mapping[str, Any] | None,
        origins: Any = None,
    ) -> bool:
        """Make the values set on a Hyperparameter exactly those that are given.

        Args:
            where: What has the values, for errors.
            hyperparam: The Hyperparameter.
            data: Encoded values by name.
            known: Names that may be set; None where any may.
            origins: What the values were set through, by name.

        Returns:
            Whether something is different now.
        """
        before = own_entries(hyperparam)
        origins = self._mapping(where, "origins", origins or {})
        changed = False
        wanted = {}
        for name, encoded in self._mapping(where, "values", data).items():
            if known is not None and name not in known:
                self.problem(
                    AttributeError, f"{where}: no hyperparameter '{name}'" + suggestion(name, known)
                )
                continue
            present = before.get(name, (None,))[0]
            fits, value = self.decode(f"{where}: {name}", encoded, present)
            if fits:
                wanted[name] = (value, _text(origins.get(name)))
        for name in before:
            if name not in wanted:
                self.journal.delete_value(hyperparam, name)
                changed = True
        for name, (value, origin) in wanted.items():
            if name in before:
                old, old_origin = before[name]
                if type(old) is type(value) and same(old, value) and old_origin == origin:
                    continue
            try:
                self.journal.set_value(hyperparam, name, value, origin)
            except (TypeError, ValueError, AttributeError) as error:
                self.problem(type(error), f"{where}: {error}")
            else:
                changed = True
        return changed

    def run(self) -> PlanReport:
        """Apply everything; whoever made the journal takes it back on errors."""
        orders = self._orders()
        self._hooks.look_around(orders)
        self._values.look_around(orders)
        self._apply_optimizer()
        for entry, data in orders:
            self._apply_rule(entry, data)
        return self.report

    # Reading the data

    def _mapping(self, where: str, what: str, data: Any) -> Mapping[str, Any]:
        if not isinstance(data, Mapping):
            raise ValueError(
                f"{self.prefix} {where}: {what}: got {type(data).__name__}, expected a dict"
            )
        return data

    def _checked(self, data: Any) -> dict[str, Any]:
        data = dict(self._mapping("the plan", "data", data))
        for name, expected in FORMAT.items():
            if data.get(name) != expected:
                raise ValueError(
                    f"{self.prefix} not the data of a plan: '{name}' is {data.get(name)!r}, "
                    f"expected {expected!r}"
                )
        for name, kind in (
            ("optimizer", Mapping),
            ("rules", Mapping),
            ("parents", list),
            ("hooks", list),
            ("without_rule", list),
        ):
            if not isinstance(data.get(name), kind):
                raise ValueError(
                    f"{self.prefix} the plan: '{name}': got {type(data.get(name)).__name__}, "
                    f"expected a {'list' if kind is list else 'dict'}"
                )
        return data

    def _orders(self) -> list[tuple[Entry, Mapping[str, Any]]]:
        """Bring the plan's rules and the parameters together."""
        rules: Mapping[str, Any] = self._data["rules"]
        by_path = {entry.path: entry for entry in self._entries}
        aliases = {path: entry for entry in self._entries for path in entry.aliases}
        orders = []
        for path, data in rules.items():
            if not isinstance(path, str):
                raise ValueError(f"{self.prefix} 'rules': got the key {path!r}, expected a path")
            data = self._mapping(path, "its rule", data)
            for key in data:
                if key not in _RULE_KEYS and key not in _DESCRIBING:
                    self.problem(
                        ValueError, f"{path}: no entry '{key}'{suggestion(key, _RULE_KEYS)}"
                    )
            if not isinstance(data.get("algorithm"), str):
                self.problem(ValueError, f"{path}: no algorithm: got {data.get('algorithm')!r}")
            elif path in by_path:
                orders.append((by_path[path], data))
            elif path in aliases:
                self.problem(KeyError, f"'{path}' is tied to '{aliases[path].path}' here")
            else:
                self.problem(
                    KeyError, f"no parameter '{path}'" + nearest_paths(path, list(by_path))
                )
        without = set(self._data["without_rule"])
        for path, entry in by_path.items():
            if path not in rules and entry.rule is not None:
                if path in without:
                    self.journal.set_rule(entry.param, None)
                    self.report.changed.append(f"{path}: no rule any more")
                else:
                    self.problem(
                        KeyError,
                        f"the plan has nothing for '{path}'" + nearest_paths(path, list(rules)),
                    )
        return orders

    # Changing

    def _apply_optimizer(self) -> None:
        data = self._data["optimizer"]
        if self.same_algorithm:
            self._values.get("optimizer", "the optimizer")
        register = self.optimizer._hookable
        if register is None:
            return
        before = (list(register.pre.items()), list(register.post.items()))
        pre, post = self._hooks.registers("optimizer", None, data.get("hooks", []))
        if (list(pre.items()), list(post.items())) != before:
            self.journal.set_hooks(self.optimizer, pre, post, self.optimizer._changed)
            self.report.changed.append("optimizer: hooks")

    def _rule_for(self, entry: Entry, name: str) -> UpdateRule | None:
        """The present rule where its algorithm is the plan's, otherwise a new one."""
        present = entry.rule
        if present is not None and plain.is_of(present, name):
            return present
        make = self._algorithms.get(name) or plain.algorithms().get(name)
        if make is None:
            known = [*plain.algorithms(), *self._algorithms]
            self.problem(KeyError, f"{entry.path}: no algorithm '{name}'" + suggestion(name, known))
            return None
        rule = make()
        if not isinstance(rule, UpdateRule):
            raise TypeError(
                f"{self.prefix} {entry.path}: algorithms['{name}'] made a {type(rule).__name__}, "
                "expected UpdateRule"
            )
        was = "no rule" if present is None else algorithm_name(present)
        self.report.replaced.append(f"{entry.path}: {was} -> {name}")
        return rule

    def _apply_rule(self, entry: Entry, data: Mapping[str, Any]) -> None:
        path, present = entry.path, entry.rule
        rule = self._rule_for(entry, data["algorithm"])
        if rule is None:
            return
        changed = []
        named = data["algorithm"] if rule._algorithm != data["algorithm"] else None
        if data["algorithm"] in plain.algorithms() and rule._named != named:
            self.journal.set_plain(rule, "_named", named)
            changed.append("algorithm")
        parent = self._values.get(data.get("parent", "optimizer"), path, rule._algorithm)
        if rule is not present or rule.hyperparam.parent is not parent:
            strict = rule._algorithm if type(rule)._strict else None
            hyperparam = Hyperparameter._make(parent, strict)
            self.journal.set_hyperparam(rule, hyperparam)
            changed.append("parent")
        # At once, and not when the next update begins: whether a parameter takes part in the
        # forward pass before it may hang on it.
        rule.hyperparam._set_clock(self.optimizer._clock)
        known = default_values(rule) if type(rule)._strict else None
        values, origins = data.get("values", {}), data.get("origins")
        if self.set_values(path, rule.hyperparam, values, known, origins):
            changed.append("values")
        # What a rule remembers of its first values, it takes from those that it begins with.
        if rule.t == 0 and rule._algorithm is not None:
            self.journal.begin(rule)
        for name, value in self._mapping(path, "scalars", data.get("scalars", {})).items():
            fits, value = self.decode(f"{path}: {name}", value)
            if name not in rule._scalars:
                self.problem(
                    ValueError, f"{path}: no number '{name}'{suggestion(name, rule._scalars)}"
                )
            elif fits:
                self.journal.set_scalar(rule, name, value)
        pre, post = self._hooks.registers(path, rule, data.get("hooks", []))
        register = rule._hookable
        before = (list(register.pre.items()), list(register.post.items()))
        if (list(pre.items()), list(post.items())) != before:
            self.journal.set_hooks(rule, pre, post, rule._sort_hooks)
            changed.append("hooks")
        if rule is not present:
            self.journal.set_rule(entry.param, rule)
        if self._apply_attributes(path, rule, data):
            changed.append("attributes")
        if changed and rule is present:
            self.report.changed.append(f"{path}: {', '.join(changed)}")
        self.report.applied.append(path)

    def _apply_attributes(self, path: str, rule: UpdateRule, data: Mapping[str, Any]) -> bool:
        """Set ``enabled`` and policies. The rule sits on its parameter already, which hears it."""
        wanted = {policy.name: policy.default for policy in POLICIES if policy.is_on(rule)}
        given = {"enabled": True, **self._mapping(path, "policies", data.get("policies", {}))}
        if "enabled" in data.get("policies", {}):
            self.problem(ValueError, f"{path}: 'enabled' stands beside 'policies', not in it")
        given["enabled"] = data.get("enabled", True)
        for name, encoded in given.items():
            try:
                attribute = find_attribute(name, path, rule)
            except AttributeError as error:
                self.problem(AttributeError, str(error).removeprefix("[rules] "))
                continue
            fits, value = self.decode(f"{path}: {name}", encoded, attribute.kept(rule))
            if fits:
                wanted[name] = value
        changed = False
        origins = data.get("origins") or {}
        for name, value in wanted.items():
            attribute = ATTRIBUTES[name]
            origin = _text(origins.get(name)) if name == "enabled" else None
            if not same(attribute.kept(rule), value) or attribute.origin(rule) != origin:
                try:
                    self.journal.set_attribute(rule, attribute, value, origin)
                except (TypeError, ValueError) as error:
                    self.problem(type(error), f"{path}: {error}")
                changed = True
        return changed

    @property
    def same_algorithm(self) -> bool:
        """Whether the plan's optimizer gives its rules the same algorithm as this one."""
        saved = self._data["optimizer"].get("algorithm")
        return bool(saved == optimizer_algorithm(self.optimizer))


def _text(origin: Any) -> str | None:
    return None if origin is None else str(origin)
