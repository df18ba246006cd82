"""Update rules for plain NumPy arrays: no links, no variables, gradients from anywhere.

:func:`attach` gives every array an update rule; the optimizer then takes gradients by name and
updates the arrays in place. Everything else is as for a link: selections, schedules, hooks, plans,
transactions, statistics, snapshots.

Example:
    >>> import numpy as np, chainrule
    >>> from chainrule import optimizers
    >>> x = np.linspace(-1, 1, 20, dtype=np.float32)
    >>> w, b = np.zeros(1, np.float32), np.zeros((), np.float32)
    >>> optimizer = chainrule.arrays.attach({"w": w, "b": b}, optimizers.MomentumSGD(lr=0.3))
    >>> optimizer.rules["/b"].hyperparam.lr = chainrule.inherit * 0.5
    >>> for _ in range(200):
    ...     error = w * x + b - (3 * x + 1)
    ...     optimizer.update({"w": np.mean(error * x, keepdims=True), "b": np.mean(error)})
    >>> print(w.round(2), b.round(2))
    [3.] 1.0
"""

from chainrule.arrays._attach import attach
from chainrule.arrays._link import ArrayLink
