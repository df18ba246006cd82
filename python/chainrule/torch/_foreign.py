"""State dicts of ``torch.optim``, loaded into rules."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import torch
from chainrule.optimizer_hooks._weights import rules_of
from chainrule.rules.entries import algorithm_name, native_name
from chainrule.rules.journal import Journal
from chainrule.rules.values import known_names
from chainrule.serializers.npz import NpzDeserializer
from chainrule.torch._algorithms import Correspondence, identify, number
from chainrule.torch._decay import set_decay
from chainrule.torch._report import StateReport, cast_states
from chainrule.torch._state import from_tensor
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod
    from chainrule.torch._facade import Optimizer
    from chainrule.torch._parameter import TensorParameter

__all__ = ["load"]

_Group = Mapping[str, Any]


class _Loading:
    """Loads a state dict into rules, as an object that a deserializer can load."""

    def __init__(self, optimizer: Optimizer, work: list[_Work]) -> None:
        self.optimizer = optimizer
        self.work = work

    def serialize(self, serializer: NpzDeserializer) -> None:
        native = self.optimizer.native
        before = native.t
        serializer.on_failure(lambda: setattr(native, "t", before))
        journal = Journal()
        serializer.on_failure(journal.roll_back)
        rates: dict[float, list[UpdateRule]] = {}
        for each in self.work:
            rates.setdefault(each.decay, []).append(each.param.update_rule)
        for rate, rules in rates.items():
            set_decay(journal, native, rules, rate)
        for each in self.work:
            rule = each.param.update_rule
            for name, value in each.values.items():
                journal.set_value(rule.hyperparam, name, value, "load_state_dict")
            rule.serialize(serializer[each.param.name or ""])
        native.t = max((each.t for each in self.work), default=native.t)
        _share(journal, native, {name for each in self.work for name in each.values})


def _share(journal: Journal, native: GradientMethod, names: Iterable[str]) -> None:
    """Set on the optimizer what most rules have, so that it can be changed there."""
    heirs = [
        rule.hyperparam
        for rule, _ in rules_of(native)
        if rule.hyperparam.parent is native.hyperparam
    ]
    for name in names if heirs else ():
        own = [(hyperparam, hyperparam._own(name)) for hyperparam in heirs]
        counts = collections.Counter(entry[0] for _, entry in own if entry is not None)
        if all(entry is not None for _, entry in own):
            value = counts.most_common(1)[0][0]
            journal.set_value(native.hyperparam, name, value, "load_state_dict")
        kept = native.hyperparam._own(name)
        for hyperparam, entry in own:
            if entry is not None and kept is not None and entry[0] == kept[0]:
                journal.delete_value(hyperparam, name)


@dataclasses.dataclass
class _Work:
    """What one parameter's rule gets."""

    param: TensorParameter
    values: dict[str, Any]
    decay: float
    decoupled: bool
    t: int
    state: dict[str, np.ndarray]
    dtypes: dict[str, torch.dtype]
    fresh: bool  # there is no state for it


def load(
    optimizer: Optimizer,
    saved: Mapping[str, Any],
    strict: bool,
    names: Iterable[str] | None,
    kind: str = "",
) -> StateReport:
    """Load a state dict of ``torch.optim``, or leave everything as it was.

    Args:
        optimizer: The optimizer.
        saved: The state dict.
        strict: Whether all of it must fit.
        names: Names of the parameters in its order.
        kind: Name of the class in ``torch.optim`` that it is of, if that is known.

    Returns:
        What was loaded.

    Raises:
        KeyError: If parameters are missing or not known.
        ValueError: If shapes or algorithms do not fit.
    """
    report = StateReport("torch.optim", "name")
    work: list[_Work] = []
    parts = []
    order = _order(optimizer, saved, names, report, strict)
    for group in saved["param_groups"]:
        params = [order.get(number) for number in group["params"]]
        states = [saved["state"].get(number, {}) for number in group["params"]]
        if all(param is None for param in params):
            continue
        found = identify(group, states, kind)
        report.source = f"torch.optim.{found.name}"
        here = [
            _work(param, found, group, state)
            for param, state in zip(params, states, strict=True)
            if param is not None
        ]
        parts.append(([each.param for each in here], _extras(group, here[0])))
        work += here
    flat = {
        f"{each.param.name}/{name}": value for each in work for name, value in each.state.items()
    }
    optimizer._look("load_state_dict")
    deserializer = NpzDeserializer(flat, strict=True)
    deserializer.report.file = "state dict"
    deserializer.load(_Loading(optimizer, work))
    optimizer._tensors.done()
    optimizer._version = -1
    optimizer._groups.arrange(parts)
    report.notes += cast_states((each.param, each.dtypes) for each in work)
    for each in work:
        (report.fresh if each.fresh else report.loaded).append(each.param.name or "")
    return report


def _order(
    optimizer: Optimizer,
    saved: Mapping[str, Any],
    names: Iterable[str] | None,
    report: StateReport,
    strict: bool,
) -> dict[Any, TensorParameter]:
    """Which parameter each number of the state dict means."""
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    theirs: list[str] = []
    if names is not None:
        theirs = list(names)
    elif all("param_names" in group for group in saved["param_groups"]):
        theirs = [name for group in saved["param_groups"] for name in group["param_names"]]
    known = optimizer._link.named
    if not theirs:
        report.matched_by = "order"
        groups = optimizer._groups.current()
        sizes = [len(group["params"]) for group in saved["param_groups"]]
        if sizes == [len(group["params"]) for group in groups]:  # as PyTorch does
            members = [param for group in groups for param in group._members]
            return dict(zip(numbers, members, strict=True))
        if len(numbers) != len(optimizer._params):
            raise KeyError(
                f"[load_state_dict] the state dict is of another model: it has {len(numbers)} "
                f"parameters, this one {len(optimizer._params)}; give their names with names=[...]"
            )
        return dict(zip(numbers, optimizer._params, strict=True))
    if len(theirs) != len(numbers):
        raise ValueError(
            f"[load_state_dict] names: got {len(theirs)}, expected {len(numbers)}, one for each "
            "parameter of the state dict"
        )
    report.unused = [name for name in theirs if name not in known]
    report.missing = [p.name or "" for p in optimizer._params if not _any_name(known, p, theirs)]
    if strict and (report.unused or report.missing):
        raise KeyError(
            "[load_state_dict] the state dict is of another model: "
            f"missing {report.missing[:5]}, not known {report.unused[:5]}"
        )
    return {n: known[name] for n, name in zip(numbers, theirs, strict=True) if name in known}


def _any_name(
    known: Mapping[str, TensorParameter], param: TensorParameter, theirs: list[str]
) -> bool:
    return any(known.get(name) is param for name in theirs)


def _extras(group: _Group, work: _Work) -> dict[str, Any]:
    """What a group has that is no value of a rule, such as the ``initial_lr`` of schedulers."""
    extras = {n: value for n, value in group.items() if n not in ("params", "param_names")}
    meant = {"decoupled_weight_decay": work.decoupled} if "weight_decay" in work.values else {}
    return extras | meant


def _work(
    param: TensorParameter, found: Correspondence, group: _Group, state: Mapping[str, Any]
) -> _Work:
    rule, path = param.update_rule, param.name
    if not isinstance(rule, UpdateRule):
        raise ValueError(f"[load_state_dict] {path} has no update rule")
    if native_name(rule) not in found.algorithms:
        raise ValueError(
            f"[load_state_dict] {path}: the state is that of torch.optim.{found.name}, the rule "
            f"that of {algorithm_name(rule)}: expected {' or '.join(found.algorithms)}; give it "
            f"such a rule first: optimizer.rules[{path!r}].use(...)"
        )
    values = found.values(group)
    decay = float(number(group.get("weight_decay", 0)) or 0)
    # Before PyTorch 2.7 the groups of AdamW did not say that its decay stands beside the gradient.
    decoupled = found.decoupled or (
        "decoupled_weight_decay" not in group and algorithm_name(rule) == "AdamW"
    )
    if decoupled:
        values["weight_decay"], decay = decay, 0.0
    elif "weight_decay" in known_names(rule):
        values["weight_decay"] = 0.0
    known = {"step", *found.states, *found.scalars}
    if state and found.states and not known & set(state):
        raise ValueError(
            f"[load_state_dict] {path}: no state of torch.optim.{found.name}: got "
            f"{', '.join(map(str, state))}, expected {', '.join(known)}"
        )
    # SGD does not count.
    t = int(number(state.get("step", rule.t if found.name == "SGD" else 0)))
    arrays: dict[str, np.ndarray] = {"t": np.asarray(t)}
    dtypes: dict[str, torch.dtype] = {}
    for theirs, ours in found.states.items():
        value = state.get(theirs)
        if value is None:
            continue
        if tuple(value.shape) != tuple(param.shape):
            raise ValueError(
                f"[load_state_dict] {path}: {theirs!r} has another shape: got "
                f"{tuple(value.shape)}, expected {tuple(param.shape)}; was the order of the "
                "parameters another? give their names with names=[...]"
            )
        arrays[ours] = from_tensor(value * found.sign if found.sign != 1 else value)
        dtypes[ours] = value.dtype
    for theirs, ours in found.scalars.items():
        if theirs in state:
            arrays[ours] = np.asarray(float(number(state[theirs])))
    return _Work(
        param, values, decay, decoupled, t, arrays, dtypes, bool(found.states) and not state
    )
