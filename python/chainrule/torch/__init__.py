"""Update rules of chainrule for PyTorch's models.

``optimizer = chainrule.torch.attach(model, optimizers.AdamW(alpha=1e-3))`` gives every
``torch.nn.Parameter`` an ``update_rule``. The optimizer is a ``torch.optim.Optimizer`` for
schedulers, scalers and trainers, and has ``rules``, ``plan``, ``explain``, ``observe``,
``transaction`` beside that. ``docs/pytorch.md`` has recipes.

Importing chainrule does not import PyTorch; this module does.
"""

try:
    import torch as _torch
except ImportError as error:  # pragma: no cover
    raise ImportError("[chainrule.torch] PyTorch is not installed: pip install torch") from error

from chainrule.torch._attach import attach
from chainrule.torch._facade import Optimizer
from chainrule.torch._groups import ParamGroup
from chainrule.torch._report import StateReport

__all__ = ["Optimizer", "ParamGroup", "StateReport", "attach"]
