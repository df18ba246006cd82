"""Groups of parameters that an optimizer is given later."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from chainrule._numbers import is_number
from chainrule.rules.entries import native_name
from chainrule.rules.journal import Journal
from chainrule.rules.values import known_names
from chainrule.torch._algorithms import identify, maker
from chainrule.torch._decay import decay_of, set_decay
from chainrule.torch._groups import _OPTIONS, _parts
from chainrule.torch._names import as_number, native_values
from chainrule.torch._parameter import attached
from chainrule.torch._rebinding import rebind
from chainrule.torch._tensors import named_pairs

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod
    from chainrule.torch._facade import Optimizer
    from chainrule.update_rule import UpdateRule

__all__ = ["add_group"]

#: How PyTorch's optimizers are to compute, not what.
_IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")
#: What schedulers keep in groups.
_SCHEDULERS = (
    "initial_lr",
    "min_lr",
    "max_lr",
    "swa_lr",
    "initial_momentum",
    "base_momentum",
    "max_momentum",
)


def add_group(optimizer: Optimizer, group: Mapping[str, Any]) -> None:
    """Take further parameters; see :meth:`chainrule.torch.Optimizer.add_param_group`.

    Args:
        optimizer: The optimizer.
        group: Parameters and their values.
    """
    if not isinstance(group, Mapping) or "params" not in group:
        got = ", ".join(map(str, group)) if isinstance(group, Mapping) else type(group).__name__
        raise TypeError(
            f"[chainrule.torch] add_param_group: got {got or 'an empty dict'}, expected a dict "
            "with params"
        )
    pairs = _pairs(optimizer, group["params"])
    entries = {n: value for n, value in group.items() if n not in ("params", "param_names")}
    path = pairs[0][0] if pairs else "params"
    _refuse_values(entries, path)
    wanted = _wanted(optimizer, entries)
    rate = wanted.decay
    if rate is not None and not is_number(rate):
        raise TypeError(f"[add_param_group] {path}: weight_decay: got {rate!r}, expected a number")
    # Values that are refused are so here, before anything is changed.
    rules = [_new_rule(wanted) for _ in range(len(pairs) or 1)]
    known = optimizer._link.named
    more = {name: tensor for name, tensor in pairs if name not in known}
    given = {id(tensor): rule for (_, tensor), rule in zip(pairs, rules, strict=False)}
    with Journal() as journal:
        if pairs and rate is not None and rate != decay_of(optimizer.native, rules[0]):
            set_decay(journal, optimizer.native, rules, rate)
        rebind(optimizer, optimizer._more | more, given)
    for found in optimizer.param_groups:
        if any(id(tensor) in given for tensor in found["params"]):
            found._keep(wanted.entries)


def _pairs(optimizer: Optimizer, params: Any) -> list[tuple[str, torch.nn.Parameter]]:
    known = optimizer._link.named
    params = [params] if isinstance(params, torch.Tensor) else params
    pairs = named_pairs(params, "add_param_group", lambda _, tensor: _name_of(optimizer, tensor))
    for name, tensor in pairs:
        param = attached(tensor)
        mine = param is not None and any(param is other for other in optimizer._params)
        if param is not None and mine and param.update_rule is not None:
            raise ValueError(
                f"[chainrule.torch] {name} has a rule already: set "
                f"optimizer.rules[{name!r}].hyperparam, or .enabled = True to unfreeze it"
            )
        if name in known and known[name] is not param:
            raise ValueError(f"[chainrule.torch] the name {name!r} is taken")
    return pairs


def _name_of(optimizer: Optimizer, tensor: torch.Tensor) -> str:
    model = optimizer._link.model
    for name, param in () if model is None else model.named_parameters():
        if param is tensor:
            return name
    raise ValueError(
        "[chainrule.torch] add_param_group: got a parameter that the model does not have; give "
        "pairs of name and parameter"
    )


@dataclasses.dataclass
class _Wanted:
    """What a group says, sorted."""

    make: Callable[[], UpdateRule]
    values: dict[str, Any]  # by chainrule's names
    said: frozenset[str]  # those that the group itself gives
    decay: Any  # the rate that hooks add to the gradient; None where nobody says
    entries: dict[str, Any]  # what the group shows beside the values of rules


def _wanted(optimizer: Optimizer, entries: Mapping[str, Any]) -> _Wanted:
    if optimizer._theirs is not None:
        return _wanted_of_theirs(optimizer, entries, *optimizer._theirs)
    native = optimizer.native
    rule = native._new_rule()
    known = known_names(rule)
    now = _options_now(optimizer, rule)
    meaning = "decoupled_weight_decay"
    # Adding the decay to the gradient is possible with any rule.
    asked = {meaning: False} if entries.get(meaning) is False else {}
    options = {**_OPTIONS, meaning: "weight_decay" in known, **now, **asked}
    values, kept = _sorted(native, entries, known, options)
    said = frozenset(values)
    decay = None
    if "weight_decay" not in known:
        decay = values.pop("weight_decay", None)
    elif options[meaning] is False:
        decay = values.get("weight_decay", rule.hyperparam.weight_decay or None)
        values["weight_decay"] = 0.0
    return _Wanted(native._new_rule, values, said, decay, now | kept)


def _options_now(optimizer: Optimizer, rule: UpdateRule) -> dict[str, Any]:
    """What groups of the same algorithm have beside values, such as how a decay is meant."""
    for group in optimizer.param_groups:
        if group._algorithm == native_name(rule):
            extras = group._extras()
            return {n: extras[n] for n in (*_OPTIONS, *_IMPLEMENTATION) if n in extras}
    return {}


def _wanted_of_theirs(
    optimizer: Optimizer, entries: Mapping[str, Any], kind: str, names: Iterable[str]
) -> _Wanted:
    """As PyTorch's optimizer would have it: what the group does not say is as its defaults are."""
    defaults = {n: optimizer.defaults[n] for n in names if n in optimizer.defaults}
    full = defaults | {name: value for name, value in entries.items() if name in defaults}
    found = identify(full, (), kind, "add_param_group")
    start = full.get("initial_accumulator_value", 0)
    if start != 0:  # a state that is there goes on, but a new one starts from zeros
        raise ValueError(
            f"[add_param_group] {found.name} with initial_accumulator_value={start!r} has no "
            "counterpart for new parameters: expected initial_accumulator_value=0"
        )
    native = optimizer.native
    if native_name(native._new_rule()) not in found.algorithms:
        native = maker(found)()
    known = known_names(native._new_rule())
    values, kept = _sorted(native, entries, known, full)
    shown, said = full | kept, frozenset(values)
    values = found.values(full | {name: defaults[name] for name in defaults.keys() - kept}) | values
    decay: Any = as_number(full.get("weight_decay", 0.0))
    values.pop("weight_decay", None)
    if "weight_decay" in known:
        shown["decoupled_weight_decay"] = found.decoupled
        values["weight_decay"] = decay if found.decoupled else 0.0
    if found.decoupled:  # a hook of the optimizer stays, unless it is the decay of other groups
        decay = None if identify(defaults, (), kind).decoupled else 0.0
    return _Wanted(native._new_rule, values, said, decay, shown)


def _sorted(
    native: GradientMethod,
    entries: Mapping[str, Any],
    known: list[str],
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort entries: values of rules by chainrule's names, and what is kept for others."""
    values: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name, value in entries.items():
        changed = native_values(name, value, [*known, "weight_decay"])
        inert = name in _IMPLEMENTATION or name in _SCHEDULERS
        if changed is not None:
            values.update(changed)
        elif inert or (name in options and as_number(value) == options[name]):
            kept[name] = value
        else:
            raise KeyError(f"[chainrule.torch] {type(native).__name__} has no value {name!r}")
    return values, kept


def _refuse_values(entries: Mapping[str, Any], path: str) -> None:
    """Refuse here what would stop the next step, or the next change of the model."""
    for name, value in entries.items():
        several = name in ("betas", "etas", "step_sizes") and isinstance(value, (tuple, list))
        numbers = [as_number(each) for each in (value if several else [value])]
        if any(is_number(each) and not math.isfinite(each) for each in numbers):
            raise ValueError(
                f"[add_param_group] {path}: {name}: got {value!r}, expected a finite number"
            )


def _new_rule(wanted: _Wanted) -> UpdateRule:
    rule = wanted.make()
    for name, value in wanted.values.items():
        # What is said is the group's own; defaults that the optimizer has too are shared with it.
        if name in wanted.said or _parts(rule, name) != (value,):
            rule.hyperparam._set(name, value, "add_param_group")
    return rule
