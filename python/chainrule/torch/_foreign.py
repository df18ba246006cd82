"""State dicts of ``torch.optim``: which algorithm they are of, and how it is called here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import torch
from chainrule.optimizer_hooks import WeightDecay
from chainrule.rules.entries import algorithm_name, native_name
from chainrule.rules.journal import Journal
from chainrule.serializers.npz import NpzDeserializer
from chainrule.torch._report import StateReport
from chainrule.torch._state import from_tensor
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.torch._facade import Optimizer
    from chainrule.torch._parameter import TensorParameter

__all__ = ["Correspondence", "identify", "load"]

_Group = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Correspondence:
    """How an algorithm of ``torch.optim`` is written here.

    Attributes:
        name: PyTorch's name.
        algorithms: Names of chainrule's algorithms that compute the same; the first is made where
            there is a choice.
        values: Makes values by chainrule's names of a group.
        states: Names of states, PyTorch's to chainrule's.
        sign: What states are multiplied by.
        scalars: Names of numbers beside the states.
        decoupled: Whether ``weight_decay`` is a value of the algorithm, not part of the gradient.
        needs: Values that a group must have for the definitions to agree.
    """

    name: str
    algorithms: tuple[str, ...]
    values: Callable[[_Group], dict[str, Any]]
    states: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sign: float = 1.0
    scalars: Mapping[str, str] = dataclasses.field(default_factory=dict)
    decoupled: bool = False
    needs: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _adam_like(group: _Group) -> dict[str, Any]:
    beta1, beta2 = map(_number, group["betas"])
    return {"alpha": _number(group["lr"]), "beta1": beta1, "beta2": beta2, "eps": group["eps"]}


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value


def _adam(group: _Group) -> dict[str, Any]:
    values = _adam_like(group)
    fixed = {"eta": 1.0, "weight_decay_rate": 0, "adabound": False, "eps_hat": False}
    return values | fixed | {"amsgrad": bool(group.get("amsgrad", False))}


def _etas(group: _Group) -> dict[str, Any]:
    (minus, plus), (least, greatest) = group["etas"], group["step_sizes"]
    lr = _number(group["lr"])
    return {
        "lr": lr,
        "eta_minus": minus,
        "eta_plus": plus,
        "min_step": least,
        "max_step": greatest,
    }


_MV = {"exp_avg": "m", "exp_avg_sq": "v"}


def _pick(*names: str) -> Callable[[_Group], dict[str, Any]]:
    return lambda group: {name: _number(group[name]) for name in names}


def identify(group: _Group, states: Iterable[Mapping[str, Any]]) -> Correspondence:
    """Tell which algorithm a group of a state dict is of.

    Args:
        group: The group.
        states: States of its parameters.

    Returns:
        Its description.

    Raises:
        ValueError: If it is not known, or has an option that no rule has.
    """
    found = _identify(group, {key for state in states for key in state})
    for name, expected in {"maximize": False, **found.needs}.items():
        if group.get(name, expected) != expected:
            raise ValueError(
                f"[load_state_dict] {found.name} with {name}={group[name]!r} has no counterpart: "
                f"expected {name}={expected!r}"
            )
    return found


def _identify(group: _Group, keys: set[str]) -> Correspondence:
    decoupled = bool(group.get("decoupled_weight_decay", False))
    if "dampening" in group:
        return _sgd(group)
    if "momentum_decay" in group:

        def nadam(group: _Group) -> dict[str, Any]:
            return _adam_like(group) | {"momentum_decay": group["momentum_decay"]}

        scalars = {"mu_product": "mu_product"}
        return Correspondence("NAdam", ("NAdam",), nadam, _MV, 1.0, scalars, decoupled)
    if "amsgrad" in group:
        name = "AdamW" if decoupled else "Adam"
        states = {**_MV, "max_exp_avg_sq": "vhat"}
        return Correspondence(name, ("Adam",), _adam, states, decoupled=decoupled)
    if "exp_inf" in keys:
        states = {"exp_avg": "m", "exp_inf": "u"}
        return Correspondence("Adamax", ("Adamax",), _adam_like, states)
    if "betas" in group and keys <= {"step", *_MV}:
        return Correspondence("RAdam", ("RAdam",), _adam_like, _MV, decoupled=decoupled)
    if "lr_decay" in group:
        needs = {"lr_decay": 0}
        return Correspondence(
            "Adagrad", ("AdaGrad",), _pick("lr", "eps"), {"sum": "h"}, needs=needs
        )
    if "centered" in group:
        values, needs = _pick("lr", "alpha", "eps"), {"centered": False, "momentum": 0}
        return Correspondence("RMSprop", ("RMSprop",), values, {"square_avg": "ms"}, needs=needs)
    if "rho" in group:
        states = {"square_avg": "msg", "acc_delta": "msdx"}
        return Correspondence(
            "Adadelta", ("AdaDelta",), _pick("rho", "eps"), states, needs={"lr": 1.0}
        )
    if "etas" in group:
        states = {"prev": "g", "step_size": "delta"}
        return Correspondence("Rprop", ("Rprop",), _etas, states)
    raise ValueError(
        "[load_state_dict] not the state dict of an algorithm that is known here: its groups have "
        f"{', '.join(sorted(map(str, group)))}"
    )


def _sgd(group: _Group) -> Correspondence:
    if not group["momentum"]:
        return Correspondence("SGD", ("SGD",), _pick("lr"))
    states, values = {"momentum_buffer": "v"}, _pick("lr", "momentum")
    needs = {"dampening": 0}
    if group["nesterov"]:
        own = "chainrule.torch._nesterov.NesterovSGD.NesterovSGDRule"
        return Correspondence("SGD", (own,), values, states, needs=needs)
    return Correspondence("SGD", ("CorrectedMomentumSGD",), values, states, -1.0, needs=needs)


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
        for each in self.work:
            rule = each.param.update_rule
            for name, value in each.values.items():
                journal.set_value(rule.hyperparam, name, value, "load_state_dict")
            _set_decay(journal, rule, each.decay)
            rule.serialize(serializer[each.param.name or ""])
        native.t = max((each.t for each in self.work), default=native.t)


@dataclasses.dataclass
class _Work:
    """What one parameter's rule gets."""

    param: TensorParameter
    values: dict[str, Any]
    decay: float
    t: int
    state: dict[str, np.ndarray]
    fresh: bool  # there is no state for it


def _set_decay(journal: Journal, rule: UpdateRule, rate: float) -> None:
    pre, post = dict(rule._hookable.pre), dict(rule._hookable.post)
    name = WeightDecay.name
    if rate:
        pre[name] = WeightDecay(rate)
    elif name in pre:
        del pre[name]
    else:
        return
    journal.set_hooks(rule, pre, post, rule._sort_hooks)


def load(
    optimizer: Optimizer, saved: Mapping[str, Any], strict: bool, names: Iterable[str] | None
) -> StateReport:
    """Load a state dict of ``torch.optim``, or leave everything as it was.

    Args:
        optimizer: The optimizer.
        saved: The state dict.
        strict: Whether all of it must fit.
        names: Names of the parameters in its order.

    Returns:
        What was loaded.

    Raises:
        KeyError: If parameters are missing or not known.
        ValueError: If shapes or algorithms do not fit.
    """
    report = StateReport("torch.optim", "name")
    work: list[_Work] = []
    order = _order(optimizer, saved, names, report, strict)
    for group in saved["param_groups"]:
        params = [order.get(number) for number in group["params"]]
        states = [saved["state"].get(number, {}) for number in group["params"]]
        if all(param is None for param in params):
            continue
        found = identify(group, states)
        report.source = f"torch.optim.{found.name}"
        for param, state in zip(params, states, strict=True):
            if param is not None:
                work.append(_work(optimizer, param, found, group, state, report))
    flat = {
        f"{each.param.name}/{name}": value for each in work for name, value in each.state.items()
    }
    optimizer._look("load_state_dict")
    deserializer = NpzDeserializer(flat, strict=True)
    deserializer.report.file = "state dict"
    deserializer.load(_Loading(optimizer, work))
    optimizer._tensors.done()
    optimizer._version = -1
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


def _work(
    optimizer: Optimizer,
    param: TensorParameter,
    found: Correspondence,
    group: _Group,
    state: Mapping[str, Any],
    report: StateReport,
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
    decay = float(_number(group.get("weight_decay", 0)) or 0)
    native = optimizer.native
    # Before PyTorch 2.7 the groups of AdamW did not say that its decay stands beside the gradient.
    decoupled = found.decoupled or (
        "decoupled_weight_decay" not in group and type(native).__name__ == "AdamW"
    )
    if decoupled:
        values["weight_decay"], decay = decay, 0.0
    # SGD does not count.
    t = int(_number(state.get("step", rule.t if found.name == "SGD" else 0)))
    arrays: dict[str, np.ndarray] = {"t": np.asarray(t)}
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
        array = from_tensor(value)
        arrays[ours] = array * found.sign if found.sign != 1 else array
    for theirs, ours in found.scalars.items():
        if theirs in state:
            arrays[ours] = np.asarray(float(_number(state[theirs])))
    return _Work(param, values, decay, t, arrays, bool(found.states) and not state)
