"""The algorithms of ``torch.optim``: which one a group is of, and how it is called here."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from chainrule import optimizers
from chainrule.optimizer import GradientMethod
from chainrule.torch._nesterov import NesterovSGD

__all__ = ["Correspondence", "class_name", "identify", "maker", "number"]

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


def number(value: Any) -> Any:
    """Read a number that may be a tensor.

    Args:
        value: The number.

    Returns:
        It, no tensor.
    """
    return value.item() if isinstance(value, torch.Tensor) else value


def _pick(*names: str) -> Callable[[_Group], dict[str, Any]]:
    return lambda group: {name: number(group[name]) for name in names}


def _adam_like(group: _Group) -> dict[str, Any]:
    beta1, beta2 = map(number, group["betas"])
    return {"alpha": number(group["lr"]), "beta1": beta1, "beta2": beta2, "eps": group["eps"]}


_MV = {"exp_avg": "m", "exp_avg_sq": "v"}


def _sgd(name: str, group: _Group) -> Correspondence:
    if not group["momentum"]:
        return Correspondence(name, ("SGD",), _pick("lr"))
    states, values = {"momentum_buffer": "v"}, _pick("lr", "momentum")
    needs = {"dampening": 0}
    if group["nesterov"]:
        own = "chainrule.torch._nesterov.NesterovSGD.NesterovSGDRule"
        return Correspondence(name, (own,), values, states, needs=needs)
    return Correspondence(name, ("CorrectedMomentumSGD",), values, states, -1.0, needs=needs)


def _adam(name: str, group: _Group) -> Correspondence:
    def values(group: _Group) -> dict[str, Any]:
        fixed = {"eta": 1.0, "weight_decay_rate": 0, "adabound": False, "eps_hat": False}
        return _adam_like(group) | fixed | {"amsgrad": bool(group.get("amsgrad", False))}

    # Before PyTorch 2.7 the groups of AdamW did not say that its decay stands beside the gradient.
    decoupled = bool(group.get("decoupled_weight_decay", name == "AdamW"))
    states = {**_MV, "max_exp_avg_sq": "vhat"}
    return Correspondence(
        "AdamW" if decoupled else "Adam", ("Adam",), values, states, decoupled=decoupled
    )


def _nadam(name: str, group: _Group) -> Correspondence:
    def values(group: _Group) -> dict[str, Any]:
        return _adam_like(group) | {"momentum_decay": group["momentum_decay"]}

    scalars = {"mu_product": "mu_product"}
    return Correspondence(name, ("NAdam",), values, _MV, 1.0, scalars, _decoupled(group))


def _radam(name: str, group: _Group) -> Correspondence:
    return Correspondence(name, ("RAdam",), _adam_like, _MV, decoupled=_decoupled(group))


def _decoupled(group: _Group) -> bool:
    return bool(group.get("decoupled_weight_decay", False))


def _adamax(name: str, _: _Group) -> Correspondence:
    return Correspondence(name, ("Adamax",), _adam_like, {"exp_avg": "m", "exp_inf": "u"})


def _adagrad(name: str, _: _Group) -> Correspondence:
    values, needs = _pick("lr", "eps"), {"lr_decay": 0}
    return Correspondence(name, ("AdaGrad",), values, {"sum": "h"}, needs=needs)


def _rmsprop(name: str, _: _Group) -> Correspondence:
    def values(group: _Group) -> dict[str, Any]:
        return _pick("lr", "alpha", "eps")(group) | {"eps_inside_sqrt": False}

    needs = {"centered": False, "momentum": 0}
    return Correspondence(name, ("RMSprop",), values, {"square_avg": "ms"}, needs=needs)


def _adadelta(name: str, _: _Group) -> Correspondence:
    states, needs = {"square_avg": "msg", "acc_delta": "msdx"}, {"lr": 1.0}
    return Correspondence(name, ("AdaDelta",), _pick("rho", "eps"), states, needs=needs)


def _rprop(name: str, _: _Group) -> Correspondence:
    def values(group: _Group) -> dict[str, Any]:
        (minus, plus), (least, greatest) = group["etas"], group["step_sizes"]
        etas = {"eta_minus": minus, "eta_plus": plus}
        return {"lr": number(group["lr"]), **etas, "min_step": least, "max_step": greatest}

    return Correspondence(name, ("Rprop",), values, {"prev": "g", "step_size": "delta"})


_KNOWN: dict[str, Callable[[str, _Group], Correspondence]] = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adam,
    "NAdam": _nadam,
    "RAdam": _radam,
    "Adamax": _adamax,
    "Adagrad": _adagrad,
    "RMSprop": _rmsprop,
    "Adadelta": _adadelta,
    "Rprop": _rprop,
}

#: What makes rules of an algorithm, by its name.
_MAKERS: dict[str, Callable[[], GradientMethod]] = {
    "Adam": optimizers.Adam,
    "NAdam": optimizers.NAdam,
    "RAdam": optimizers.RAdam,
    "Adamax": optimizers.Adamax,
    "AdaGrad": optimizers.AdaGrad,
    "AdaDelta": optimizers.AdaDelta,
    "RMSprop": optimizers.RMSprop,
    "Rprop": optimizers.Rprop,
    "SGD": optimizers.SGD,
    "CorrectedMomentumSGD": optimizers.CorrectedMomentumSGD,
    "chainrule.torch._nesterov.NesterovSGD.NesterovSGDRule": NesterovSGD,
}

# Entries of groups that only one algorithm has.
_SIGNS = {
    "dampening": "SGD",
    "momentum_decay": "NAdam",
    "amsgrad": "Adam",
    "lr_decay": "Adagrad",
    "centered": "RMSprop",
    "rho": "Adadelta",
    "etas": "Rprop",
    "t0": "ASGD",
    "beta2_decay": "Adafactor",
    "ns_coefficients": "Muon",
    "line_search_fn": "LBFGS",
}


def class_name(optimizer: torch.optim.Optimizer) -> str:
    """Tell which class of ``torch.optim`` an optimizer computes as.

    Args:
        optimizer: The optimizer.

    Returns:
        The name of its class.

    Raises:
        ValueError: If it is of a class of somebody else's that steps in a way of its own.
    """
    cls = type(optimizer)
    for base in cls.__mro__:
        if base.__module__.split(".")[:2] == ["torch", "optim"]:
            if inspect.unwrap(base.step) is inspect.unwrap(cls.step):  # type: ignore[attr-defined]
                return base.__name__
            break
    raise ValueError(
        f"[chainrule.torch] attach: {cls.__module__}.{cls.__qualname__} has a step of its own: "
        "expected a class of torch.optim, or an optimizer of chainrule.optimizers"
    )


def identify(
    group: _Group,
    states: Iterable[Mapping[str, Any]],
    name: str = "",
    what: str = "load_state_dict",
) -> Correspondence:
    """Tell which algorithm a group of a state dict is of.

    Args:
        group: The group.
        states: States of its parameters.
        name: Name of the class in ``torch.optim``, if it is known.
        what: What it is for, as an error says.

    Returns:
        Its description.

    Raises:
        ValueError: If it is not known, or has an option that no rule has.
    """
    name = name or _guess(group, {key for state in states for key in state})
    if name not in _KNOWN:
        raise ValueError(
            f"[{what}] torch.optim.{name} has no counterpart: expected {', '.join(_KNOWN)}"
        )
    found = _KNOWN[name](name, group)
    for option, expected in {"maximize": False, **found.needs}.items():
        if group.get(option, expected) != expected:
            raise ValueError(
                f"[{what}] {found.name} with {option}={group[option]!r} has no "
                f"counterpart: expected {option}={expected!r}"
            )
    return found


def maker(found: Correspondence) -> Callable[[], GradientMethod]:
    """Tell what makes rules that compute as PyTorch does; by the same name, if there is such.

    Args:
        found: Description of PyTorch's algorithm.

    Returns:
        A class of optimizers.
    """
    return optimizers.AdamW if found.name == "AdamW" else _MAKERS[found.algorithms[0]]


def _guess(group: _Group, keys: set[str]) -> str:
    """Name the class of ``torch.optim`` that has such groups and states."""
    for entry, name in _SIGNS.items():
        if entry in group:
            return name
    if "betas" in group and "eps" in group:
        return _guess_adam(group, keys)
    raise ValueError(
        "[load_state_dict] not the state dict of an algorithm that is known here: its groups have "
        f"{', '.join(sorted(map(str, group)))}"
    )


def _guess_adam(group: _Group, keys: set[str]) -> str:
    """Tell Adam's relatives apart whose groups differ little."""
    if "weight_decay" not in group:
        return "SparseAdam"
    if "exp_inf" in keys:
        return "Adamax"
    # RAdam's groups say how the decay is meant since PyTorch 2.1, and `maximize` came later.
    if "decoupled_weight_decay" in group or "exp_avg_sq" in keys:
        return "RAdam"
    if "maximize" in group:
        return "Adamax"
    raise ValueError(
        "[load_state_dict] a state dict from before the first step, of an old PyTorch: RAdam or "
        "Adamax? Attach the optimizer itself, or save it after a step"
    )
