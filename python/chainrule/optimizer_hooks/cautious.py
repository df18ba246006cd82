"""Updates that never go up the gradient."""

from __future__ import annotations

from typing import Any

__all__ = ["Cautious"]


class Cautious:
    """Takes the components out of an update that go against the gradient.

    With ``d`` the change of a parameter that its rule would make, ``g`` the gradient as the other
    hooks leave it, and ``n`` the number of elements for which ``d * g < 0``,

    ``p += d * (d * g < 0) * size / (n + 1)``.

    States are updated as ever, and the decay of the parameter itself, as AdamW has it, is no part
    of ``d``. The rule must be one of :mod:`chainrule.optimizers` whose change does not look at the
    parameter; others are refused.

    It may stand on an optimizer, on one rule, or on a selection of rules, in any place among other
    hooks.

    Attributes:
        timing (str): ``'pre'``.

    Raises:
        ValueError: By ``update``, if a rule's change looks at the parameter.
        TypeError: If the rule is written in Python.

    Source:
        Liang et al., `Cautious Optimizers: Improving Training with One Line of Code
        <https://arxiv.org/abs/2411.16085>`_, 2024.

    Example:
        >>> import numpy, chainrule
        >>> from chainrule.optimizers import MomentumSGD
        >>> from chainrule.optimizer_hooks import Cautious
        >>> link = chainrule.Link(w=2)
        >>> link.w.array[:] = 0
        >>> optimizer = MomentumSGD(lr=1.0).setup(link)
        >>> optimizer.add_hook(Cautious())
        >>> for grad in ([1, 1], [1, -0.5]):
        ...     link.w.grad = numpy.array(grad, numpy.float32)
        ...     optimizer.update()
        >>> link.w.array.round(2)  # the second velocity still goes down where the gradient turned
        array([-2.57, -0.67], dtype=float32)
    """

    name = "Cautious"
    timing = "pre"
    _only = "pre"

    def __call__(self, owner: Any, param: Any = None) -> None:
        """Do nothing: the native core asks for the hook itself.

        Args:
            owner: The optimizer, or the update rule of ``param``.
            param: The parameter.
        """
