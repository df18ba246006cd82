"""Averages of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule._numbers import Number
from chainrule.optimizer_hooks._weights import Pairs, WeightHook

if TYPE_CHECKING:
    import numpy as np

    from chainrule._core import Variable

__all__ = ["EMA"]


class EMA(WeightHook):
    """Keeps an exponential moving average of the weights, to evaluate and to ship.

    After each update ``average += (1 - decay) * (p - average)``, beginning with the weights after
    the first. Training does not see it: ``with optimizer.averaged():`` lets the parameters hold
    their averages for a while. Averages are float32, and float64 for a float64 parameter; they are
    saved with the rules' states.

    It may stand on an optimizer, on one rule, or on a selection of rules. Several averages of one
    parameter stand by names of their own: ``optimizer.add_hook(EMA(0.99), name="fast")``.

    Args:
        decay: Share of the average that is kept at each update.

    Attributes:
        decay (float): As above; may be changed at any time.
        timing (str): ``'post'``: runs after the update.

    Raises:
        ValueError: If ``decay`` is not between 0 and 1.

    Source:
        Polyak and Juditsky, *Acceleration of stochastic approximation by averaging*, 1992.

    Example:
        >>> import numpy, chainrule
        >>> from chainrule.optimizers import SGD
        >>> from chainrule.optimizer_hooks import EMA
        >>> link = chainrule.Link(w=1)
        >>> link.w.array[:] = 0
        >>> optimizer = SGD(lr=1.0).setup(link)
        >>> optimizer.add_hook(EMA(0.75))
        >>> for grad in (-1.0, -4.0):
        ...     link.w.grad = numpy.full(1, grad, numpy.float32)
        ...     optimizer.update()
        >>> link.w.array, EMA.average_of(link.w.update_rule)
        (array([5.], dtype=float32), array([2.], dtype=float32))
    """

    name = "EMA"
    _state_name = "average"

    decay = Number(
        "Share of the average that is kept at each update.",
        "a number from 0 to 1",
        lambda decay: 0 <= decay <= 1,
    )

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay

    def averaged_value(self, rule: Any, param: Any = None) -> np.ndarray | Variable | None:
        """Give the average of a parameter; None before its first update.

        Args:
            rule: The rule of the parameter.
            param: The parameter itself; not asked.

        Returns:
            The array that the average is kept in; on a GPU a Variable, which ``torch.from_dlpack``
            and CuPy take.
        """
        return self._array(rule, self._name_on(rule))

    @classmethod
    def average_of(cls, rule: Any, name: str = "EMA") -> np.ndarray | Variable | None:
        """Give the average that a hook of this class keeps for a rule.

        Args:
            rule: The rule of a parameter.
            name: The name that the hook was added by.

        Returns:
            The array that the average is kept in, or None; on a GPU a Variable.
        """
        average: np.ndarray | Variable | None = rule._hook_states.get(name, {}).get(cls._state_name)
        return average

    def _after(self, pairs: Pairs, name: str) -> None:
        self._hooked(pairs, name, updated=True).average(1 - self.decay)
