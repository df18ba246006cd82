"""Objects of a plan that several rules share: hooks, and values that rules fall back to.

Where the same object stands in the same places already, it is kept and brought up to date, so
that whoever holds it (``muon = optimizers.Muon(...)``) still changes the rules with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chainrule._core import Hyperparameter
from chainrule._hookable import refuse_no_hook, refuse_timing
from chainrule.rules import plain
from chainrule.rules.entries import Entry
from chainrule.rules.patterns import suggestion
from chainrule.rules.values import algorithm_defaults
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.rules.apply import Application

__all__ = ["SharedHooks", "SharedValues"]

_Orders = Sequence[tuple[Entry, Mapping[str, Any]]]


class SharedHooks:
    """The hooks of a plan.

    Args:
        application: What they are for.
        data: The plan's list of hooks.
        registry: Hooks that are not built in, by name or by kind.
    """

    def __init__(
        self, application: Application, data: list[Any], registry: Mapping[str, Any]
    ) -> None:
        self._application = application
        self._data = data
        self._registry = registry
        self._made: dict[int, Any] = {}
        self._present: dict[int, Any] = {}

    def look_around(self, orders: _Orders) -> None:
        """Find which present objects stand where the plan's hooks stand."""
        optimizer = self._application.optimizer
        owners: list[tuple[Any, Any]] = [
            (optimizer, self._application._data["optimizer"].get("hooks", []))
        ]
        owners += [(entry.rule, data.get("hooks", [])) for entry, data in orders]
        taken: set[int] = set()
        for owner, hooks in owners:
            register = None if owner is None else owner._hookable
            if register is None:
                continue
            present = {**register.pre, **register.post}
            for place in hooks if isinstance(hooks, list) else []:
                number = self._number(place)
                hook = None if number is None else present.get(place.get("name"))
                if number is None or hook is None or number in self._present:
                    continue
                alike = plain.hook_kind(hook) == self._data[number].get("kind")
                if alike and id(hook) not in taken:
                    self._present[number] = hook
                    taken.add(id(hook))

    def _number(self, place: Any) -> int | None:
        number = place.get("hook") if isinstance(place, Mapping) else None
        if type(number) is not int or not 0 <= number < len(self._data):
            return None
        return number if isinstance(self._data[number], Mapping) else None

    def registers(
        self, where: str, rule: UpdateRule | None, hooks: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the hooks of one owner, before and after an update.

        Args:
            where: The owner, for errors.
            rule: The rule that gets them; None for the optimizer.
            hooks: The plan's list of places.

        Returns:
            Two dicts by name.
        """
        pre: dict[str, Any] = {}
        post: dict[str, Any] = {}
        prefix = self._application.prefix
        if not isinstance(hooks, list):
            raise ValueError(
                f"{prefix} {where}: hooks: got {type(hooks).__name__}, expected a list"
            )
        for place in hooks:
            number = self._number(place)
            if number is None or not isinstance(place.get("name"), str):
                raise ValueError(f"{prefix} {where}: no place of a hook: got {place!r}")
            timing = place.get("timing")
            if timing not in ("pre", "post"):
                raise ValueError(
                    f"{prefix} {where}: timing of a hook: got {timing!r}, expected 'pre' or 'post'"
                )
            hook = self._get(number, where, place["name"])
            if hook is None:
                continue
            try:
                refuse_no_hook(hook)
                refuse_timing(hook, timing)
                if rule is not None:
                    rule._refuse_hook(hook)
            except (TypeError, ValueError) as error:
                self._application.problem(type(error), f"{where}: hook '{place['name']}': {error}")
            else:
                (pre if timing == "pre" else post)[place["name"]] = hook
        return pre, post

    def _get(self, number: int, where: str, name: str) -> Any:
        if number not in self._made:
            self._made[number] = self._make(number, where, name)
        return self._made[number]

    def _make(self, number: int, where: str, name: str) -> Any:
        data, application = self._data[number], self._application
        kind, arguments = str(data.get("kind")), data.get("arguments")
        present = self._present.get(number)
        try:
            if isinstance(arguments, Mapping):
                if present is None:
                    return plain.make_hook(kind, arguments)
                plain.make_hook(kind, arguments)  # says what is wrong with them
                if plain.hook_arguments(present) != arguments:
                    for argument, value in arguments.items():
                        application.journal.set_plain(present, argument, plain.decode(value))
                    application.report.changed.append(f"{where}: hook '{name}'")
                return present
        except (KeyError, ValueError) as error:
            application.problem(type(error), f"{where}: {error.args[0]}")
            return None
        for key in (name, kind):
            if key in self._registry:
                return self._registry[key]
        if present is None:
            application.problem(
                KeyError,
                f"{where}: hook '{name}' ({kind}) is not built in: add it before, or give "
                f"hooks={{'{name}': ...}}" + suggestion(name, self._registry),
            )
        return present


class SharedValues:
    """The Hyperparameters of a plan that rules fall back to.

    Args:
        application: What they are for.
        data: The plan.
    """

    def __init__(self, application: Application, data: Mapping[str, Any]) -> None:
        self._application = application
        self._optimizer = data["optimizer"]
        self._parents: list[Any] = data["parents"]
        for number, saved in enumerate(self._parents):
            if not isinstance(saved, Mapping) or "algorithm" not in saved:
                raise ValueError(
                    f"{application.prefix} parents[{number}]: got {saved!r}, expected a dict with "
                    "an 'algorithm'"
                )
        self._made: dict[str | int, Hyperparameter] = {}
        self._present: dict[str | int, Hyperparameter] = {}

    def look_around(self, orders: _Orders) -> None:
        """Find which present objects play the part of the plan's."""
        application = self._application
        main = getattr(application.optimizer, "hyperparam", None)
        taken = {id(main)}
        if application.same_algorithm and main is not None:
            self._present["optimizer"] = main
        for entry, data in orders:
            rule, reference = entry.rule, data.get("parent", "optimizer")
            if rule is None or not plain.is_of(rule, data["algorithm"]):
                continue
            parent = rule.hyperparam.parent
            if parent is None or reference is None or id(parent) in taken:
                continue
            saved = self._saved(reference, entry.path)
            alike = plain.strict_name(parent) == saved["algorithm"]
            # Chains of more than one are made anew.
            alone = saved.get("parent") is None and parent.parent is None
            if reference not in self._present and alike and alone:
                self._present[reference] = parent
                taken.add(id(parent))

    def _saved(self, reference: Any, where: str) -> Mapping[str, Any]:
        if reference == "optimizer":
            algorithm = self._optimizer.get("algorithm")
            strict = algorithm if algorithm in plain.algorithms() else None
            return {"algorithm": strict, "values": self._optimizer.get("values", {})}
        parents = self._parents
        if type(reference) is int and 0 <= reference < len(parents):
            saved: Mapping[str, Any] = parents[reference]
            above = saved.get("parent")
            # What is above was written before: a plan cannot go round in circles.
            if type(above) is not int or above < reference:
                return saved
        raise ValueError(
            f"{self._application.prefix} {where}: where its values come from: got {reference!r}, "
            f"expected 'optimizer', None or one of {len(parents)} parents"
        )

    def get(self, reference: Any, where: str, own: Any = None) -> Hyperparameter | None:
        """Give the Hyperparameter that a rule falls back to.

        Args:
            reference: How the plan calls it.
            where: Path of the rule.
            own: The rule's algorithm, which need not be built in.

        Returns:
            The Hyperparameter, up to date.
        """
        if reference is None:
            return None
        if not isinstance(reference, (str, int)) or reference not in self._made:
            self._made[reference] = self._make(reference, where, own)
        return self._made[reference]

    def _make(self, reference: Any, where: str, own: Any) -> Hyperparameter:
        application = self._application
        saved = self._saved(reference, where)
        name = "optimizer" if reference == "optimizer" else f"values {reference}, for {where}"
        hyperparam = self._present.get(reference)
        algorithm = saved["algorithm"]
        known = None
        if algorithm is not None:
            if algorithm == getattr(own, "name", None):
                algorithm = own
            elif algorithm not in plain.algorithms():
                raise KeyError(
                    f"{application.prefix} {name}: no algorithm '{algorithm}'"
                    + suggestion(str(algorithm), plain.algorithms())
                )
            else:
                algorithm = plain.native_algorithm(algorithm)
            known = algorithm_defaults(algorithm)
        is_new = hyperparam is None
        if hyperparam is None:
            above = self.get(saved.get("parent"), where, own)
            hyperparam = Hyperparameter._make(above, algorithm)
        if application.set_values(name, hyperparam, saved.get("values", {}), known) and not is_new:
            application.report.changed.append(f"{name}: values")
        return hyperparam
