"""Gradients from the sharpest place nearby."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule import _core
from chainrule._numbers import Number

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = ["SAM"]

# By the ids of hooks: one object may stand on optimizers of several threads.
_second_pass = threading.local()


class SAM:
    """Takes the gradient where the loss nearby is greatest, for flat minima.

    ``optimizer.update(lossfun, *args)`` computes the gradient, moves the parameters to
    ``p + rho * g / norm``, computes loss and gradient there again, puts the parameters back bit by
    bit, and updates with the second gradient. ``norm`` is the Euclidean norm of the gradients of
    all parameters that the hook stands on. So each update costs two forward and backward passes.
    If the norm is zero or not finite, the parameters stay where they are.

    It may stand on an optimizer, on one rule, or on a selection of rules: then only those
    parameters move.

    Args:
        rho: How far the parameters move, together.

    Attributes:
        rho (float): As above; may be changed at any time.
        timing (str): ``'pre'``.

    Raises:
        ValueError: If ``rho`` is negative.
        RuntimeError: By ``update``, without a loss function. Nothing is changed then.

    Source:
        Foret et al., `Sharpness-Aware Minimization for Efficiently Improving Generalization
        <https://arxiv.org/abs/2010.01412>`_, 2020.

    Example:
        >>> import chainrule
        >>> import chainrule.functions as F
        >>> from chainrule.optimizers import SGD
        >>> from chainrule.optimizer_hooks import SAM
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 1
        >>> optimizer = SGD(lr=0.5).setup(link)
        >>> optimizer.add_hook(SAM(rho=0.5))
        >>> optimizer.update(lambda: F.sum(link.w * link.w))  # the gradient at 1.5 is 3
        >>> link.w.array
        array([-0.5], dtype=float32)
    """

    name = "SAM"
    timing = "pre"
    _only = "pre"

    rho = Number(
        "How far the parameters move, together.",
        "a finite number from 0 on",
        lambda rho: 0 <= rho < math.inf,
    )

    def __init__(self, rho: float = 0.05) -> None:
        self.rho = rho

    @property
    def _moved(self) -> bool:
        """Whether this thread is in an update with gradients of the second pass."""
        return str(id(self)) in _second_pass.__dict__

    @_moved.setter
    def _moved(self, moved: bool) -> None:
        if moved:
            _second_pass.__dict__[str(id(self))] = True
        else:
            _second_pass.__dict__.pop(str(id(self)), None)

    def __call__(self, owner: Any, param: Any = None) -> None:
        """Check that the gradients are those of the second pass.

        Args:
            owner: The optimizer, or the update rule of ``param``.
            param: The parameter.
        """
        if not self._moved:
            raise RuntimeError(
                "[SAM] a second gradient is needed: call optimizer.update(lossfun, *args), which "
                "computes both, instead of optimizer.update() or rule.update(param)"
            )

    @contextlib.contextmanager
    def _perturbed(self, params: list[Parameter]) -> Iterator[None]:
        """Let parameters be elsewhere for a while."""
        moved = _core.Perturbation(params, self.rho)
        try:
            yield
        finally:
            moved.restore()
