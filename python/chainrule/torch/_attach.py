"""The way in."""

from __future__ import annotations

from typing import Any

import torch
from chainrule.torch._facade import Optimizer
from chainrule.torch._takeover import take_over

__all__ = ["attach"]


def attach(model: Any, optimizer: Any, *, disabled_state: str = "keep") -> Optimizer:
    """Give every parameter of a PyTorch model an update rule.

    Afterwards ``p.update_rule`` is the rule of a parameter, and ``optimizer.rules`` selects rules
    by PyTorch's names. Parameters are updated in place, in their own memory, all in one native
    pass, on the CPU and on CUDA devices. A parameter with ``requires_grad=False`` gets a rule that
    is off; switching rules on and off switches ``requires_grad``.

    Args:
        model: A ``torch.nn.Module``; or pairs of names and parameters, or a dict of them. What
            ``torch.compile`` or ``DistributedDataParallel`` have wrapped may be given as it is.
        optimizer: An optimizer of :mod:`chainrule.optimizers` that is not set up yet; or one of
            ``torch.optim`` with the model's parameters, whose groups, values and states are then
            taken over, with PyTorch's definition of the algorithm.
        disabled_state: ``'keep'`` keeps the state of a rule that is switched off, ``'drop'`` frees
            its memory; it starts anew then.

    Returns:
        A ``torch.optim.Optimizer``: step, zero_grad, param_groups, state_dict, schedulers, scalers
        and hooks as usual.

    Raises:
        TypeError: If a parameter that takes a gradient is complex, sparse, on the meta device or
            on a device that chainrule cannot use.
        ValueError: If the optimizer is in use.
        RuntimeError: If a parameter is attached to another optimizer.

    Whatever is raised, nothing is changed then.

    Example:
        >>> import torch, chainrule.torch
        >>> from chainrule import optimizers
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(),
        ...                             torch.nn.Linear(8, 1))
        >>> optimizer = chainrule.torch.attach(model, optimizers.AdamW(alpha=1e-3))
        >>> optimizer.rules["*.bias"].hyperparam.alpha = chainrule.inherit * 2
        >>> model[0].weight.update_rule.enabled = False
        >>> model[0].weight.requires_grad
        False
        >>> model(torch.ones(2, 4)).sum().backward()
        >>> optimizer.step()
        >>> optimizer.zero_grad()
        >>> print(optimizer.rules)
        path      shape   dtype    algorithm  values                        enabled  state
        0.weight  (8, 4)  float32  AdamW      alpha=0.001                   no       256 B
        0.bias    (8,)    float32  AdamW      alpha=0.002* (inherit * 2.0)  yes      64 B
        2.weight  (1, 8)  float32  AdamW      alpha=0.001                   yes      64 B
        2.bias    (1,)    float32  AdamW      alpha=0.002* (inherit * 2.0)  yes      8 B
        4 parameters, 49 elements, 392 B of state
        * set on the rule itself
    """
    if isinstance(optimizer, torch.optim.Optimizer) and not isinstance(optimizer, Optimizer):
        return take_over(model, optimizer, disabled_state)
    return Optimizer(model, optimizer, disabled_state)
