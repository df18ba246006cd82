"""``param_groups``: rules with the same values, as PyTorch's surroundings expect them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chainrule import _core
from chainrule._core import Expression
from chainrule._explain import _levels
from chainrule._numbers import is_number
from chainrule.optimizer_hooks import WeightDecay
from chainrule.rules.entries import algorithm_name, native_name
from chainrule.rules.journal import Journal
from chainrule.rules.values import known_names
from chainrule.torch._decay import decay_of, set_decay
from chainrule.torch._names import as_number, native_values, torch_values
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod
    from chainrule.torch._parameter import TensorParameter

__all__ = ["Groups", "ParamGroup"]

_MISSING = object()

# Entries by which algorithms of torch.optim differ, and what they are where they change nothing.
_OPTIONS: dict[str, Any] = {
    "lr": None,
    "momentum": 0,
    "dampening": 0,
    "nesterov": False,
    "maximize": False,
    "amsgrad": False,
    "centered": False,
    "lr_decay": 0,
    "etas": None,
    "step_sizes": None,
    "decoupled_weight_decay": None,
}


def _version() -> tuple[int, ...]:
    return _core.values_version(), _core.structure_version(), WeightDecay._changes


def _parts(rule: UpdateRule, name: str) -> tuple[Any, ...]:
    """What a value is made of: the same for two rules where it is the same now and stays so."""
    parts: list[Any] = []
    for _, value, _ in _levels(rule.hyperparam, name):
        parts.append(value._text() if isinstance(value, Expression) else value)
        if not (isinstance(value, Expression) and value.uses_inherit):
            break
    return tuple(parts)


def _value_key(rule: UpdateRule) -> tuple[Any, ...]:
    return native_name(rule), tuple((name, _parts(rule, name)) for name in known_names(rule))


class _Fixed(list[Any]):
    """A list that follows from the rules: changes of it would not reach them."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise ValueError(
            "[param_groups] groups and their parameters follow from the rules' values: call "
            "optimizer.add_param_group, or set values on optimizer.rules[...]"
        )

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> Any:
        return list, (list(self),)


class ParamGroup(dict[str, Any]):
    """Parameters whose rules have the same values; a group of ``optimizer.param_groups``.

    Reading ``group['lr']`` gives the rules' number of this moment, writing it sets it on the rules.
    PyTorch's names (``lr``, ``betas``) and chainrule's (``alpha``, ``beta1``) stand side by side;
    other keys, such as the ``initial_lr`` of schedulers, are kept as in any dict. ``weight_decay``
    is the rate of the hook :class:`~chainrule.optimizer_hooks.WeightDecay` where the algorithm has
    no value of this name, and where ``decoupled_weight_decay`` is False, as it is where rules go on
    for an optimizer of ``torch.optim`` that adds the decay to the gradient.

    A group that a scheduler has seen, which has an ``initial_lr``, stays whole: a rule that gets
    another value on its own keeps it, whatever is written to the group, and follows in all others.
    """

    def __init__(self, groups: Groups, params: list[TensorParameter]) -> None:
        super().__init__()
        self._groups = groups
        self._algorithm: str | None = None
        self._take(params, params)

    def _take(self, params: list[TensorParameter], alike: list[TensorParameter]) -> None:
        """Have other parameters, of which some are alike: the group shows their values."""
        self._members, self._alike = params, alike
        super().__setitem__("params", _Fixed(param.tensor for param in params))
        super().__setitem__("param_names", _Fixed(param.name for param in params))
        self._targets: dict[str, list[_core.Hyperparameter]] = {}
        self._decay: WeightDecay | None = None  # the hook of these rules and of no others
        before, self._algorithm = self._algorithm, native_name(self._rule)
        if before not in (None, self._algorithm):
            for option in _OPTIONS:
                dict.pop(self, option, None)
        self._refresh()

    @property
    def _rule(self) -> UpdateRule:
        return self._alike[0].update_rule

    @property
    def _seen(self) -> bool:
        """Whether a scheduler goes by the number of groups."""
        return "initial_lr" in self

    def _decays_in_gradient(self, rule: UpdateRule | None = None) -> bool:
        return dict.get(self, "decoupled_weight_decay") is False or (
            "weight_decay" not in known_names(rule or self._rule)
        )

    def _following(self, name: str) -> list[UpdateRule]:
        """List the rules that have not been given a value of their own."""
        rules = [param.update_rule for param in self._members]
        if len(self._alike) == len(rules):
            return rules
        same = [rule for rule in rules if native_name(rule) == self._algorithm]
        if name == "weight_decay" and self._decays_in_gradient():
            native = self._groups._native
            rate = decay_of(native, self._rule)
            return [rule for rule in same if decay_of(native, rule) == rate]
        parts = _parts(self._rule, name)
        return [rule for rule in same if _parts(rule, name) == parts]

    def _values(self, rule: UpdateRule | None = None) -> dict[str, Any]:
        rule = rule or self._rule
        values = rule.hyperparam.get_dict()
        shown = torch_values({n: values[n] for n in known_names(rule) if n in values})
        if self._decays_in_gradient(rule):
            shown["weight_decay"] = decay_of(self._groups._native, rule)
        return shown

    def _kept(self, parts: list[list[TensorParameter]]) -> list[TensorParameter]:
        """Choose the part that goes on as the group did: the rules that nobody has set."""
        before = {id(param) for param in self._alike}

        def likeness(part: list[TensorParameter]) -> tuple[int, ...]:
            rule = part[0].update_rule
            same = sum(dict.get(self, name) == v for name, v in self._values(rule).items())
            own = len(rule.hyperparam.__getstate__()[2])
            return any(id(param) in before for param in part), same, -own, len(part)

        return max(parts, key=likeness)

    def _refresh(self) -> None:
        for name, value in self._values().items():
            super().__setitem__(name, value)

    # Reading

    def __getitem__(self, name: str) -> Any:
        # Whoever keeps a group finds today's numbers in it.
        self._groups.bring_up_to_date()
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Read a value, or a default where there is none."""
        self._groups.bring_up_to_date()
        return super().get(name, default)

    def items(self) -> Any:
        """Give pairs of name and value."""
        self._groups.bring_up_to_date()
        return super().items()

    def values(self) -> Any:
        """Give the values."""
        self._groups.bring_up_to_date()
        return super().values()

    def copy(self) -> dict[str, Any]:
        """Copy into a plain dict, of plain lists."""
        pairs = self.items()
        return {name: list(v) if isinstance(v, _Fixed) else v for name, v in pairs}

    def __reduce__(self) -> Any:
        return dict, (self.copy(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return self.copy()

    # Writing

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def _refuse_option(self, name: str, value: Any) -> None:
        """Refuse to keep what PyTorch's algorithm would follow and this one does not."""
        now = dict.get(self, name, _OPTIONS.get(name, value))
        if name in _OPTIONS and value != now:
            raise ValueError(
                f"[param_groups] {name}: {algorithm_name(self._rule)} has no such value: got "
                f"{value!r}, expected {now!r}; rules of another algorithm may have it: "
                "optimizer.rules[...].use(...)"
            )

    def _has_already(self, name: str, members: Any) -> bool:
        """Whether a list of members is what the group shows; trainers write that back."""
        now = self[name]
        if not isinstance(members, (list, tuple)) or len(members) != len(now):
            return False
        by_name = name == "param_names"
        return all(a is b or (by_name and a == b) for a, b in zip(members, now, strict=True))

    def __delitem__(self, name: str) -> None:
        if name in ("params", "param_names") or name in self._values():
            raise ValueError(f"[param_groups] '{name}' belongs to the rules and cannot be deleted")
        super().__delitem__(name)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Read a value; set it first where there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *others: Any, **values: Any) -> None:
        """Set several values, or none of them where one is refused."""
        known = known_names(self._rule)
        ours: dict[str, Any] = {}
        decay: dict[str, Any] = {}
        extras: dict[str, Any] = {}
        for name, value in dict(*others, **values).items():
            if name in ("params", "param_names"):
                if self._has_already(name, value):
                    continue
                raise ValueError(
                    f"[param_groups] '{name}' follows from the rules' values: set values on "
                    "optimizer.rules[...], or call optimizer.add_param_group"
                )
            if name == "weight_decay" and self._decays_in_gradient():
                decay[name] = value
                continue
            changed = native_values(name, value, known)
            if changed is None:
                self._refuse_option(name, value)
                extras[name] = value
            else:
                ours |= changed
        with Journal() as journal:
            if ours:
                self._groups.write(self, ours, journal)
            for rate in decay.values():
                self._groups.write_decay(self, rate, journal)
        super().update(extras)

    def __ior__(self, other: Any) -> ParamGroup:  # type: ignore[override, misc]
        self.update(other)
        return self

    def pop(self, name: str, *default: Any) -> Any:
        """Take a value out that does not belong to the rules."""
        if name not in self and default:
            return default[0]
        value = self[name]
        del self[name]
        return value

    def clear(self) -> None:
        """Refuse: groups have the values that rules have."""
        raise ValueError("[param_groups] values belong to the rules and cannot be deleted")

    popitem = clear  # type: ignore[assignment]

    def _extras(self) -> dict[str, Any]:
        known = self._values()
        return {name: value for name, value in self._entries().items() if name not in known}

    def _entries(self) -> dict[str, Any]:
        return {n: v for n, v in dict.items(self) if n not in ("params", "param_names")}

    def _forget(self) -> None:
        for name in self._extras():
            super().__delitem__(name)

    def _keep(self, extras: Mapping[str, Any]) -> None:
        """Have what somebody else keeps in a group, beside the values of rules."""
        meaning = "decoupled_weight_decay"
        if meaning in extras:
            super().__setitem__(meaning, extras[meaning])
        known = self._values()
        for name, value in extras.items():
            if name not in known:
                super().__setitem__(name, value)
        self._refresh()


class Groups:
    """All groups of an optimizer.

    There is one group for each distinct set of values at first, or those of the optimizer that was
    taken over. A group stays where it is: one whose rules get different values is split, and the
    new groups stand at the end; one that a scheduler has seen is not split.

    Args:
        native: The optimizer whose rules they are of.
    """

    def __init__(self, native: GradientMethod) -> None:
        self._native = native
        self._list: list[ParamGroup] = []
        self._shown: list[ParamGroup] = _Fixed()
        self._known: tuple[int, ...] = ()
        self._step = -1

    def __iter__(self) -> Iterator[ParamGroup]:
        return iter(self.current())

    def current(self) -> list[ParamGroup]:
        """Give the groups as the values are now."""
        self.bring_up_to_date()
        list.__setitem__(self._shown, slice(None), self._list)
        return self._shown

    def bring_up_to_date(self) -> None:
        """Split groups whose rules differ now, and note today's numbers."""
        state = _version()
        if state != self._known:
            self._known = state
            self._regroup()
        elif self._step != self._native.t:
            for group in self._list:
                group._refresh()
        self._step = self._native.t

    def _params(self) -> list[TensorParameter]:
        target = self._native.target
        assert target is not None
        return [p for p in target.params() if isinstance(p.update_rule, UpdateRule)]  # type: ignore

    def _regroup(self) -> None:
        cache: dict[Any, Any] = {}

        def key(param: TensorParameter) -> Any:
            rule = param.update_rule
            hyperparam = rule.hyperparam
            own = hyperparam.__getstate__()[2]
            quick = (type(rule), id(hyperparam.parent), repr(own) if own else None)
            if quick not in cache:
                cache[quick] = _value_key(rule)
            return cache[quick], decay_of(self._native, rule) if rule._hookable.pre else None

        left = {id(param): param for param in self._params()}
        for group in list(self._list):
            members = [param for param in group._members if left.pop(id(param), None) is not None]
            if not members:
                self._list = [each for each in self._list if each is not group]
                continue
            parts = _by(key, members)
            if group._seen:
                group._take(members, group._kept(parts) if len(parts) > 1 else members)
            else:
                group._take(parts[0], parts[0])
                self._add(parts[1:], group)
        self._add(_by(key, left.values()), None)

    def _add(self, parts: Iterable[list[TensorParameter]], like: ParamGroup | None) -> None:
        for params in parts:
            group = ParamGroup(self, params)
            if like is not None:
                same = group._algorithm == like._algorithm
                extras = like._extras().items()
                group._keep({n: value for n, value in extras if same or n not in _OPTIONS})
            self._list.append(group)

    def follow(self, successors: Mapping[TensorParameter, TensorParameter]) -> None:
        """Have parameters stand where those stood whose names and rules they have now."""
        for group in self._list:
            members = [successors.get(param, param) for param in group._members]
            alike = [successors.get(param, param) for param in group._alike]
            group._members = members
            group._alike = [p for p in alike if isinstance(p.update_rule, UpdateRule)] or alike
        self._known = ()

    def arrange(self, parts: Iterable[tuple[list[TensorParameter], Mapping[str, Any]]]) -> None:
        """Have the groups that another optimizer had; rules that were in none follow in theirs.

        Args:
            parts: Parameters, each in one part, and the entries of their group. Values among them
                are not set, but tell which of its rules it went on with.
        """
        self.bring_up_to_date()
        asked = [(params, extras) for params, extras in parts if params]
        taken = {id(param) for params, _ in asked for param in params}
        for group in self._list:
            rest = [param for param in group._members if id(param) not in taken]
            if rest:
                asked.append((rest, group._entries()))
        before, self._list = self._list, []
        for place, (params, extras) in enumerate(asked):
            if place < len(before):  # whoever keeps a group finds it again
                group = before[place]
                if len(before) != len(asked):
                    group._forget()
                group._take(params, params)
            else:
                group = ParamGroup(self, params)
            group._keep(extras)
            dict.update(group, extras)
            self._list.append(group)
        self._known = ()

    def write(self, group: ParamGroup, values: Mapping[str, Any], journal: Journal) -> None:
        """Set values on the rules of a group.

        Args:
            group: The group.
            values: Values by chainrule's names.
            journal: What takes them back.
        """
        self.bring_up_to_date()
        now = group._rule.hyperparam.get_dict()
        place = next((i for i, each in enumerate(self._list) if each is group), "")
        for name, value in values.items():
            if _same_number(now.get(name, _MISSING), value):
                continue  # an expression that gives this number stays
            if name not in group._targets:
                group._targets[name] = self._targets(group, name)
            for hyperparam in group._targets[name]:
                journal.set_value(hyperparam, name, value, f"param_groups[{place}]")
        self._written(group)

    def write_decay(self, group: ParamGroup, rate: Any, journal: Journal) -> None:
        """Set the rate of the decay that hooks add to the gradients of a group.

        Args:
            group: The group.
            rate: The rate.
            journal: What takes it back.

        Raises:
            TypeError: If it is no number.
        """
        self.bring_up_to_date()
        rate = as_number(rate)
        if not is_number(rate):
            raise TypeError(f"[param_groups] weight_decay: got {rate!r}, expected a number")
        if group._decay is not None:
            group._decay.rate = rate
        elif rate != decay_of(self._native, group._rule):
            rules = group._following("weight_decay")
            group._decay = set_decay(journal, self._native, rules, rate)
        self._written(group)

    def _written(self, group: ParamGroup) -> None:
        # The rules of a group have got the same: it need not be looked at again.
        self._known = _version()
        group._refresh()

    def _targets(self, group: ParamGroup, name: str) -> list[_core.Hyperparameter]:
        """Where a value is set for a group: once for all where that reaches no others."""
        rules = group._following(name)
        parent = self._common_parent(rules, group, name)
        return [rule.hyperparam for rule in rules] if parent is None else [parent]

    def _common_parent(
        self, rules: list[UpdateRule], group: ParamGroup, name: str
    ) -> _core.Hyperparameter | None:
        parent = rules[0].hyperparam.parent
        own = None if parent is None else parent._own(name)
        if parent is None or own is None or isinstance(own[0], Expression):
            return None
        if (own[1] or "").startswith("default of "):
            return None  # what an algorithm has by default is nobody's to change
        if any(r.hyperparam.parent is not parent or r.hyperparam._own(name) for r in rules):
            return None
        mine = {id(param) for param in group._members}
        for param in self._params():
            if id(param) not in mine and param.update_rule.hyperparam.parent is parent:
                return None
        return parent


def _by(key: Any, params: Iterable[TensorParameter]) -> list[list[TensorParameter]]:
    """Sort parameters into lists of those with the same key."""
    parts: dict[Any, list[TensorParameter]] = {}
    for param in params:
        parts.setdefault(key(param), []).append(param)
    return list(parts.values())


def _same_number(a: Any, b: Any) -> bool:
    try:
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=0.0)
    except TypeError:
        return a is b
