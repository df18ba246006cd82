"""Groups of parameters that an optimizer is given later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from chainrule.torch._names import native_values
from chainrule.torch._parameter import attached
from chainrule.torch._rebinding import rebind
from chainrule.torch._tensors import named_pairs

if TYPE_CHECKING:
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
    values, kept = _values(optimizer, group)
    # Values that are refused are so here, before anything is changed.
    rules = [_new_rule(optimizer, values) for _ in range(len(pairs) or 1)]
    known = optimizer._link.named
    more = {name: tensor for name, tensor in pairs if name not in known}
    given = {id(tensor): rule for (_, tensor), rule in zip(pairs, rules, strict=False)}
    rebind(optimizer, optimizer._more | more, given)
    for found in optimizer.param_groups if kept else ():
        if any(id(tensor) in given for tensor in found["params"]):
            for name, value in kept.items():
                found.setdefault(name, value)


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


def _values(
    optimizer: Optimizer, group: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sort what a group says: values of rules by chainrule's names, and what is kept for others."""
    native = optimizer.native
    known = native.create_update_rule().hyperparam.get_dict()
    values: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name, value in group.items():
        if name in ("params", "param_names"):
            continue
        changed = native_values(name, value, known)
        if changed is not None:
            values.update(changed)
        elif name in _IMPLEMENTATION or name in _SCHEDULERS or (name == "maximize" and not value):
            kept[name] = value
        else:
            raise KeyError(f"[chainrule.torch] {type(native).__name__} has no value {name!r}")
    return values, kept


def _new_rule(optimizer: Optimizer, values: Mapping[str, Any]) -> UpdateRule:
    rule = optimizer.native._new_rule()
    for name, value in values.items():
        rule.hyperparam._set(name, value, "add_param_group")
    return rule
