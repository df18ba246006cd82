"""Compares gradients with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import Variable
from chainrule.configuration import using_config
from chainrule.gradients import grad
from chainrule.variable import as_array

__all__ = [
    "NondifferentiableError",
    "assert_allclose",
    "check_backward",
    "check_double_backward",
    "numerical_grad",
]


class NondifferentiableError(Exception):
    """The function has a kink at the point where its gradient was to be checked."""


def assert_allclose(
    x: Any, y: Any, atol: float = 1e-5, rtol: float = 1e-4, verbose: bool = True
) -> None:
    """Raises unless two arrays are close: ``|x - y| <= atol + rtol * |y|`` for every element.

    Args:
        x: Array or Variable.
        y: Array or Variable, the reference.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        verbose: Show the arrays in the error.

    Raises:
        AssertionError: If they are not close.

    Example:
        >>> import numpy as np
        >>> from chainrule import gradient_check
        >>> gradient_check.assert_allclose(np.ones(2), np.ones(2) + 1e-9)
    """
    np.testing.assert_allclose(as_array(x), as_array(y), rtol=rtol, atol=atol, verbose=verbose)


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def _inner(outputs: Sequence[Any], grad_outputs: Sequence[Any]) -> float:
    """Sum of all products of outputs with their gradients, in float64; None counts as zero."""
    pairs = zip(outputs, grad_outputs, strict=True)
    return float(
        sum(
            np.sum(np.asarray(y, np.float64) * np.asarray(gy, np.float64))
            for y, gy in pairs
            if y is not None and gy is not None
        )
    )


def _check_smooth(values: Sequence[float], position: Any, atol: float, rtol: float) -> None:
    """Raise where values at -1, -1/2, 0, 1/2, 1 times eps lie on no parabola."""
    steps = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    fit = np.polyval(np.polyfit(steps, values, 2), steps)
    spread = np.max(values) - np.min(values)
    if np.max(np.abs(fit - values)) > atol + rtol * spread:
        raise NondifferentiableError(
            f"[numerical_grad] the function has a kink at element {position}: values around it "
            f"are {list(values)}, expected a smooth curve"
        )


def numerical_grad(
    f: Callable[[], Any],
    inputs: Sequence[np.ndarray],
    grad_outputs: Sequence[Any],
    eps: float = 1e-3,
    detect_nondifferentiable: bool = False,
    diff_atol: float = 0,
    diff_rtol: float = 1e-2,
    center_outputs: Sequence[np.ndarray] | None = None,
) -> tuple[np.ndarray, ...]:
    """Gradients by central differences.

    ``(f(x + eps) - f(x - eps)) / (2 * eps)``, element by element of every input.

    Args:
        f: Function of no arguments; reads ``inputs``, which are changed in place, and returns
            its outputs.
        inputs: Arrays of floats.
        grad_outputs: Gradients of the outputs; None for zeros.
        eps: Half of the distance.
        detect_nondifferentiable: Evaluate at five points and raise where they lie on no parabola.
        diff_atol: Absolute tolerance of this.
        diff_rtol: Relative tolerance of this.
        center_outputs: The outputs at ``inputs``, if known.

    Returns:
        One gradient for each input, of its shape and dtype.

    Raises:
        NondifferentiableError: If a kink was found.

    Example:
        >>> import numpy as np
        >>> from chainrule import gradient_check
        >>> x = np.array([3.0])
        >>> gradient_check.numerical_grad(lambda: (x * x,), (x,), (np.ones(1),))[0].round(6)
        array([6.])
    """
    grads = []
    for x in inputs:
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            raise TypeError("[numerical_grad] inputs must be NumPy arrays of floats")
        gradient = np.zeros(x.shape, np.float64)
        for position in np.ndindex(x.shape):
            start = x[position].copy()

            def value(step: float, x: Any = x, at: Any = position, start: Any = start) -> float:
                x[at] = start + step * eps
                return _inner(_as_tuple(f()), grad_outputs)

            low, high = value(-1.0), value(1.0)
            if detect_nondifferentiable:
                half_low, half_high = value(-0.5), value(0.5)
                center = (
                    _inner(center_outputs, grad_outputs)
                    if center_outputs is not None
                    else value(0.0)
                )
                _check_smooth(
                    (low, half_low, center, half_high, high), position, diff_atol, diff_rtol
                )
            x[position] = start
            gradient[position] = (high - low) / (2 * eps)
        grads.append(gradient.astype(x.dtype))
    return tuple(grads)


def _directions(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One random direction of length one through all arrays, with no element near zero."""
    directions = []
    for array in arrays:
        size = np.random.uniform(0.2, 1.0, array.shape)
        directions.append(size * np.random.choice([-1.0, 1.0], array.shape))
    length = np.sqrt(sum(np.sum(np.square(d)) for d in directions))
    return [d / length if length > 0 else d for d in directions]


def check_backward(
    func: Callable[..., Any],
    x_data: Any,
    y_grad: Any,
    params: Any = (),
    eps: float = 1e-3,
    atol: float = 1e-5,
    rtol: float = 1e-4,
    no_grads: Sequence[bool] | None = None,
    dtype: Any = None,
    detect_nondifferentiable: bool = False,
) -> None:
    """Checks gradients against the slope along one random direction.

    The slope of ``sum(y_grad * func(x + t * d))`` at ``t = 0``, by central differences, is compared
    with ``sum(d * gx)``, where ``d`` runs through all inputs and parameters at once.

    Args:
        func: Takes one Variable for each of ``x_data`` and returns one or several.
        x_data: Array or arrays.
        y_grad: Gradient or gradients of the outputs; None for a scalar output.
        params: Variables ``func`` reads too.
        eps: Half of the distance.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        no_grads: For each of ``x_data``, whether it takes no gradient; by default those do not
            that hold no floats.
        dtype: Compute in this dtype, float64 for example.
        detect_nondifferentiable: Raise where the function has a kink along the direction.

    Raises:
        AssertionError: If the gradients differ from the slope.
        NondifferentiableError: If a kink was found.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> from chainrule import gradient_check
        >>> gradient_check.check_backward(F.tanh, np.array([0.5]), np.array([1.0]))
    """
    arrays = [np.array(as_array(x)) for x in _as_tuple(x_data)]
    variables = _as_tuple(params)
    if dtype is not None:
        arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in arrays]
    if no_grads is None:
        no_grads = [x.dtype.kind != "f" for x in arrays]
    if len(no_grads) != len(arrays):
        raise ValueError(f"[check_backward] no_grads: got {len(no_grads)}, expected {len(arrays)}")

    xs = [Variable(x, requires_grad=not no) for x, no in zip(arrays, no_grads, strict=True)]
    starts = [p.array for p in variables]
    try:
        for p, start in zip(variables, starts, strict=True):
            p.array = start.astype(dtype) if dtype is not None else start.copy()
        moved: list[Variable] = [x for x, no in zip(xs, no_grads, strict=True) if not no]
        moved += variables
        ys = _as_tuple(func(*xs))
        gys = [None if gy is None else as_array(gy) for gy in _as_tuple(y_grad)]
        if len(gys) == 1 and gys[0] is None:
            gys = [np.ones_like(y.array) for y in ys]
        if len(gys) != len(ys):
            raise ValueError(f"[check_backward] y_grad: got {len(gys)}, expected {len(ys)}")
        used = [
            (y, Variable(gy.astype(y.dtype)))
            for y, gy in zip(ys, gys, strict=True)
            if y is not None and gy is not None
        ]
        grads = grad([y for y, _ in used], moved, [gy for _, gy in used])
        gradients = [None if g is None else g.array for g in grads]

        centers = [v.array.copy() for v in moved]
        directions = _directions(centers)
        t = np.zeros((), np.float64)

        def along() -> list[Any]:
            # Writing into the arrays moves parameters and inputs alike, whatever func closes over.
            for v, center, d in zip(moved, centers, directions, strict=True):
                v.array[...] = center + t * d
            with using_config("enable_backprop", True):
                return [None if y is None else y.array for y in _as_tuple(func(*xs))]

        slope = numerical_grad(
            along, (t,), gys, eps, detect_nondifferentiable, diff_atol=1e-7 * eps
        )[0]
        expected = _inner(gradients, directions)
        np.testing.assert_allclose(
            expected,
            slope,
            rtol=rtol,
            atol=atol,
            err_msg="[check_backward] gradients differ from the numerical slope (second)",
        )
    finally:
        for p, start in zip(variables, starts, strict=True):
            p.array = start


def check_double_backward(
    func: Callable[..., Any],
    x_data: Any,
    y_grad: Any,
    x_grad_grad: Any,
    params: Any = (),
    params_grad_grad: Any = (),
    eps: float = 1e-3,
    atol: float = 1e-4,
    rtol: float = 1e-3,
    no_grads: Sequence[bool] | None = None,
    dtype: Any = None,
    detect_nondifferentiable: bool = False,
) -> None:
    """Checks gradients of gradients against the slope along one random direction.

    Args:
        func: Takes one Variable for each of ``x_data`` and returns one or several.
        x_data: Array or arrays.
        y_grad: Gradient or gradients of the outputs.
        x_grad_grad: What the gradients of ``x_data`` are multiplied with.
        params: Variables ``func`` reads too.
        params_grad_grad: What their gradients are multiplied with.
        eps: Half of the distance.
        atol: Absolute tolerance.
        rtol: Relative tolerance.
        no_grads: For each of ``x_data``, whether it takes no gradient.
        dtype: Compute in this dtype, float64 for example.
        detect_nondifferentiable: Raise where the gradient has a kink along the direction.

    Raises:
        AssertionError: If the gradients differ from the slope.
        NondifferentiableError: If a kink was found.

    Example:
        >>> import numpy as np
        >>> import chainrule.functions as F
        >>> from chainrule import gradient_check
        >>> gradient_check.check_double_backward(
        ...     F.tanh, np.array([0.5]), np.array([1.0]), np.array([1.0])
        ... )
    """
    xs_data, gys_data = _as_tuple(x_data), _as_tuple(y_grad)
    variables = _as_tuple(params)
    ggxs = _as_tuple(x_grad_grad) + _as_tuple(params_grad_grad)
    if no_grads is None:
        no_grads = [as_array(x).dtype.kind != "f" for x in xs_data]
    count = len(xs_data)

    def first_gradients(*inputs: Variable) -> tuple[Any, ...]:
        xs, gys = inputs[:count], inputs[count:]
        wanted = [x for x, no in zip(xs, no_grads, strict=True) if not no]
        ys = _as_tuple(func(*xs))
        grads = grad(ys, [*wanted, *variables], gys, enable_double_backprop=True)
        found = iter(grads)
        gxs = [None if no else next(found) for no in no_grads]
        return (*gxs, *found)

    check_backward(
        first_gradients,
        (*xs_data, *gys_data),
        ggxs,
        variables,
        eps,
        atol,
        rtol,
        [*no_grads, *(False for _ in gys_data)],
        dtype,
        detect_nondifferentiable,
    )
