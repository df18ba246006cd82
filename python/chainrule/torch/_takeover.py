"""From an optimizer of ``torch.optim`` to one of chainrule with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from chainrule import optimizers
from chainrule.optimizer import GradientMethod
from chainrule.torch._algorithms import Correspondence, class_name, identify, number
from chainrule.torch._facade import Optimizer
from chainrule.torch._foreign import load
from chainrule.torch._names import torch_values
from chainrule.torch._nesterov import NesterovSGD
from chainrule.torch._tensors import named_tensors

__all__ = ["take_over"]

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


def take_over(model: Any, theirs: torch.optim.Optimizer, disabled_state: str) -> Optimizer:
    """Attach rules that go on where an optimizer of ``torch.optim`` is.

    Args:
        model: The model.
        theirs: The optimizer, with parameters of the model.
        disabled_state: As for :func:`chainrule.torch.attach`.

    Returns:
        The optimizer; parameters that the other one did not have get no rule.

    Raises:
        ValueError: If it has parameters that the model does not have, or options that no rule has.
    """
    cls = class_name(theirs)
    names = {id(tensor): name for name, tensor in reversed(named_tensors(model)[0])}
    saved = theirs.state_dict()
    order: list[str] = []
    kinds: list[Correspondence] = []
    for group, packed in zip(theirs.param_groups, saved["param_groups"], strict=True):
        strangers = [tensor for tensor in group["params"] if id(tensor) not in names]
        if strangers:
            raise ValueError(
                f"[chainrule.torch] attach: {type(theirs).__name__} has a parameter of shape "
                f"{tuple(strangers[0].shape)} that the model does not have"
            )
        order += [names[id(tensor)] for tensor in group["params"]]
        states = [saved["state"].get(n, {}) for n in packed["params"]]
        kinds.append(identify(packed, states, cls))
        packed.pop("param_names", None)
    made = {_maker(kind): _maker(kind)() for kind in kinds}
    optimizer = Optimizer(model, next(iter(made.values())), disabled_state)
    try:
        for group, kind in zip(theirs.param_groups, kinds, strict=True):
            mine = [names[id(tensor)] for tensor in group["params"]]
            other = made[_maker(kind)]
            if other is not optimizer.native:
                optimizer.rules[mine].use(other)
        for param in optimizer._params:
            if param.name not in order:
                param.update_rule = None
        optimizer.load_report = load(optimizer, saved, False, order, cls)
        optimizer.defaults |= torch_values(optimizer.native.hyperparam.get_dict())
        if "weight_decay" in theirs.defaults:
            optimizer.defaults["weight_decay"] = number(theirs.defaults["weight_decay"])
    except BaseException:
        optimizer.detach()
        raise
    return optimizer


def _maker(kind: Correspondence) -> Callable[[], GradientMethod]:
    """Which rules go on where another optimizer is; by the same name, if there are such."""
    return optimizers.AdamW if kind.name == "AdamW" else _MAKERS[kind.algorithms[0]]
