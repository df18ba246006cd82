"""All update rules of an optimizer: where selections begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.rules.entries import walk
from chainrule.rules.questions import Everything
from chainrule.rules.selection import Selection

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer

__all__ = ["Rules"]


class Rules(Selection):
    """All update rules of an optimizer; what ``optimizer.rules`` is.

    Args:
        optimizer: The optimizer.

    Example:
        >>> import chainrule, re
        >>> from chainrule import links as L, optimizers
        >>> encoder = chainrule.Sequential(L.Linear(2, 3), L.Linear(3, 3))
        >>> net = chainrule.Chain(encoder=encoder, head=L.Linear(3, 1))
        >>> optimizer = optimizers.Adam().setup(net)
        >>> rules = optimizer.rules
        >>> rules["/encoder/**/W"].paths
        ('/encoder/0/W', '/encoder/1/W')
        >>> rules["/encoder/**"].hyperparam.alpha = 1e-4
        >>> rules[net.head].enabled = False
        >>> rules[re.compile("/encoder/[0-9]/b")].add_hook(
        ...     chainrule.optimizer_hooks.WeightDecay(0.1))
        >>> rules["/encoder/2/W"]  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        KeyError: "[rules] no rule fits '/encoder/2/W' in rules; nearest: '/encoder/1/W', ...
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer, "rules", Everything())

    @property
    def missing(self) -> tuple[str, ...]:
        """Paths of the parameters that have no rule, and so are in no selection.

        ``param.update_rule = optimizer.create_update_rule()`` gives one.
        """
        self._all()
        target = self._optimizer.target
        assert target is not None
        return tuple(e.path for e in walk(target, self._optimizer) if e.rule is None)
