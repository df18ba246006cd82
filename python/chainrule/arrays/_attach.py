"""Giving arrays an optimizer."""

from __future__ import annotations

from typing import Any, TypeVar

from chainrule.arrays._link import ArrayLink
from chainrule.optimizer import GradientMethod

__all__ = ["attach"]

_Optimizer = TypeVar("_Optimizer", bound=GradientMethod)


def attach(arrays: Any, optimizer: _Optimizer) -> _Optimizer:
    """Give every one of some NumPy arrays an update rule of an optimizer.

    ``optimizer.update(gradients)`` then updates the arrays in place, in one native pass without a
    copy; ``gradients`` are arranged like ``arrays``. Where one is missing, or None, the array stays
    as it is, its state and count too (``rule.missing_grad`` may say otherwise). Gradients are read
    and not kept, and never changed, whatever the hooks do.

    Arrays may be views: transposed, sliced, reversed. Their paths are names with slashes:
    ``{"encoder": {"w": w}}`` and ``{"encoder/w": w}`` are both ``'/encoder/w'`` to
    ``optimizer.rules``; an element of a list has its number for a name.
    ``serializers.save_npz(file, optimizer)`` stores states and configuration,
    ``save_npz(file, optimizer.target)`` the arrays.

    Args:
        arrays: Arrays of a floating-point dtype by name: dicts, lists and tuples, in each other.
        optimizer: A new optimizer, such as ``chainrule.optimizers.Lion()``.

    Returns:
        The optimizer itself.

    Raises:
        TypeError: If something is no NumPy array or not of a floating-point dtype, or
            ``optimizer`` no optimizer.
        ValueError: If an array is read-only, not aligned, or shares memory with another or with
            itself; or if the optimizer has been set up before.

    Whatever is raised names the array, and nothing is changed then. ``optimizer.update`` raises
    KeyError for a name that there is not, ValueError and TypeError for a gradient that does not
    fit, or an array that has been given another shape, dtype or memory or made read-only since, and
    changes nothing either.

    Example:
        >>> import numpy as np, chainrule
        >>> from chainrule import optimizers, schedules
        >>> w, b = np.ones((2, 3), np.float32), np.ones(2, np.float32)
        >>> optimizer = attach({"w": w, "b": b}, optimizers.SGD(lr=0.5))
        >>> optimizer.rules["/b"].enabled = schedules.after(1)
        >>> gradients = {"w": np.ones_like(w), "b": np.ones_like(b)}
        >>> optimizer.update(gradients)
        >>> w[0], b
        (array([0.5, 0.5, 0.5], dtype=float32), array([1., 1.], dtype=float32))
        >>> optimizer.update(gradients)
        >>> b
        array([0.5, 0.5], dtype=float32)
        >>> optimizer.update({"v": np.ones(2, np.float32)})
        Traceback (most recent call last):
            ...
        KeyError: "[update] no such array: got '/v'; nearest: '/w', '/b'"
    """
    what: Any = optimizer
    if not isinstance(what, GradientMethod):
        kind = what.__name__ if isinstance(what, type) else type(what).__name__
        raise TypeError(
            f"[attach] got {kind}, expected an optimizer such as chainrule.optimizers.Lion()"
        )
    if optimizer.target is not None:
        raise ValueError(
            f"[attach] this {type(optimizer).__name__} is set up already: make one for each"
        )
    return optimizer.setup(ArrayLink(arrays))
