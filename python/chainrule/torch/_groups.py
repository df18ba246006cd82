"""``param_groups``: rules with the same values, as PyTorch's surroundings expect them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chainrule import _core
from chainrule._core import Expression
from chainrule._explain import _levels
from chainrule.rules.entries import native_name
from chainrule.rules.values import known_names
from chainrule.torch._names import native_values, torch_values
from chainrule.torch._parameter import TensorParameter
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod

__all__ = ["Groups", "ParamGroup"]

_MISSING = object()


def _value_key(rule: UpdateRule) -> tuple[Any, ...]:
    """What two rules have in common whose values are the same now and stay so."""
    values = []
    for name in known_names(rule):
        parts: list[Any] = []
        for _, value, _ in _levels(rule.hyperparam, name):
            parts.append(value._text() if isinstance(value, Expression) else value)
            if not (isinstance(value, Expression) and value.uses_inherit):
                break
        values.append((name, tuple(parts)))
    return native_name(rule), tuple(values)


class ParamGroup(dict[str, Any]):
    """Parameters whose rules have the same values; a group of ``optimizer.param_groups``.

    Reading ``group['lr']`` gives the rules' number of this moment, writing it sets it on the rules.
    PyTorch's names (``lr``, ``betas``) and chainrule's (``alpha``, ``beta1``) stand side by side;
    other keys, such as the ``initial_lr`` of schedulers, are kept as in any dict.
    """

    def __init__(self, groups: Groups, params: list[TensorParameter]) -> None:
        super().__init__()
        self._groups = groups
        self._take(params)

    def _take(self, params: list[TensorParameter]) -> None:
        self._members = params
        super().__setitem__("params", [param.tensor for param in params])
        super().__setitem__("param_names", [param.name for param in params])
        self._parents: dict[str, _core.Hyperparameter | None] = {}
        self._refresh()

    def _rules(self) -> list[UpdateRule]:
        return [param.update_rule for param in self._members]

    def _values(self) -> dict[str, Any]:
        rule = self._members[0].update_rule
        values = rule.hyperparam.get_dict()
        return torch_values({n: values[n] for n in known_names(rule) if n in values})

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
        """Copy into a plain dict."""
        return dict(self.items())

    def __reduce__(self) -> Any:
        return dict, (self.copy(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return self.copy()

    # Writing

    def __setitem__(self, name: str, value: Any) -> None:
        if name in ("params", "param_names"):
            raise ValueError(
                f"[param_groups] '{name}' follows from the rules' values: set values on "
                "optimizer.rules[...], or call optimizer.add_param_group"
            )
        changed = native_values(name, value, known_names(self._members[0].update_rule))
        if changed is None:
            super().__setitem__(name, value)
            return
        self._groups.write(self, changed)

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
        """Set several values."""
        for name, value in dict(*others, **values).items():
            self[name] = value

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
        known = {"params", "param_names", *self._values()}
        return {name: value for name, value in dict.items(self) if name not in known}


class Groups:
    """All groups of an optimizer.

    There is one group for each distinct set of values at first. A group stays where it is: one
    whose rules get different values is split, and the new groups stand at the end.

    Args:
        native: The optimizer whose rules they are of.
    """

    def __init__(self, native: GradientMethod) -> None:
        self._native = native
        self._list: list[ParamGroup] = []
        self._known: tuple[int, int] = (-1, -1)
        self._step = -1

    def __iter__(self) -> Iterator[ParamGroup]:
        return iter(self.current())

    def current(self) -> list[ParamGroup]:
        """Give the groups as the values are now."""
        self.bring_up_to_date()
        return self._list

    def bring_up_to_date(self) -> None:
        """Split groups whose rules differ now, and note today's numbers."""
        state = _core.values_version(), _core.structure_version()
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
            hyperparam = param.update_rule.hyperparam
            own = hyperparam.__getstate__()[2]
            quick = (type(param.update_rule), id(hyperparam.parent), repr(own) if own else None)
            if quick not in cache:
                cache[quick] = _value_key(param.update_rule)
            return cache[quick]

        left = {id(param): param for param in self._params()}
        for group in list(self._list):
            parts: dict[Any, list[TensorParameter]] = {}
            for param in group._members:
                if left.pop(id(param), None) is not None:
                    parts.setdefault(key(param), []).append(param)
            if not parts:
                self._list.remove(group)
                continue
            first, *others = parts.values()
            group._take(first)
            self._add(others, group._extras())
        parts = {}
        for param in left.values():
            parts.setdefault(key(param), []).append(param)
        self._add(list(parts.values()), {})

    def _add(self, parts: list[list[TensorParameter]], extras: Mapping[str, Any]) -> None:
        for params in parts:
            group = ParamGroup(self, params)
            for name, value in extras.items():
                dict.__setitem__(group, name, value)
            self._list.append(group)

    def write(self, group: ParamGroup, values: Mapping[str, Any]) -> None:
        """Set values on the rules of a group.

        Args:
            group: The group.
            values: Values by chainrule's names.
        """
        self.bring_up_to_date()
        origin = f"param_groups[{next(i for i, g in enumerate(self._list) if g is group)}]"
        now = group._members[0].update_rule.hyperparam.get_dict()
        for name, value in values.items():
            if _same_number(now.get(name, _MISSING), value):
                continue  # an expression that gives this number stays
            parent = self._parent_for(group, name)
            if parent is not None:
                parent._set(name, value, origin)
                continue
            for rule in group._rules():
                rule.hyperparam._set(name, value, origin)
        # The rules of a group have got the same: it need not be looked at again.
        self._known = _core.values_version(), _core.structure_version()
        group._refresh()

    def _parent_for(self, group: ParamGroup, name: str) -> _core.Hyperparameter | None:
        """Where a value can be set once for all rules of a group and for no others."""
        if name not in group._parents:
            group._parents[name] = self._find_parent(group, name)
        return group._parents[name]

    def _find_parent(self, group: ParamGroup, name: str) -> _core.Hyperparameter | None:
        rules = group._rules()
        parent = rules[0].hyperparam.parent
        own = None if parent is None else parent._own(name)
        if parent is None or own is None or isinstance(own[0], Expression):
            return None
        if (own[1] or "").startswith("default of "):
            return None  # what an algorithm has by default is nobody's to change
        mine = {id(rule) for rule in rules}
        for param in self._params():
            hyperparam = param.update_rule.hyperparam
            if id(param.update_rule) in mine:
                if hyperparam.parent is not parent or hyperparam._own(name) is not None:
                    return None
            elif hyperparam.parent is parent:
                return None
        return parent


def _same_number(a: Any, b: Any) -> bool:
    try:
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=0.0)
    except TypeError:
        return a is b
