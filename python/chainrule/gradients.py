"""Gradients of several outputs at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import _core
from chainrule._core import Variable

__all__ = ["backward", "grad"]


def _check(what: str, variables: Any) -> list[Variable]:
    if not isinstance(variables, (list, tuple)):
        raise TypeError(
            f"[{what}] got {type(variables).__name__}, expected a list or tuple of Variables"
        )
    return list(variables)


def grad(
    outputs: Sequence[Variable],
    inputs: Sequence[Variable],
    grad_outputs: Sequence[Variable | None] | None = None,
    grad_inputs: Sequence[Variable | None] | None = None,
    set_grad: bool = False,
    retain_grad: bool = False,
    enable_double_backprop: bool = False,
    loss_scale: float | None = None,
) -> list[Variable | None]:
    r"""Compute :math:`\sum_i \partial y_i / \partial x_j` for outputs :math:`y`, inputs :math:`x`.

    Only what lies between them is computed.

    Args:
        outputs: Variables to differentiate.
        inputs: Variables to differentiate with respect to.
        grad_outputs: Gradients to start from, one for each output; ones by default.
        grad_inputs: Added to the results, one for each input.
        set_grad: Set ``grad_var`` of the inputs to the results.
        retain_grad: Set ``grad_var`` of all Variables in between too.
        enable_double_backprop: Record the computation, so that the results can be
            differentiated.
        loss_scale: The gradient to start from instead of one.

    Returns:
        One Variable for each input; None where no path leads there.

    Raises:
        TypeError: If something is no Variable.
        ValueError: If numbers or shapes do not suit each other.

    Example:
        >>> import chainrule, numpy
        >>> x = chainrule.Variable(numpy.array(3.0))
        >>> (gx,) = chainrule.grad([x * x], [x], enable_double_backprop=True)
        >>> (ggx,) = chainrule.grad([gx], [x])
        >>> float(gx.array), float(ggx.array)
        (6.0, 2.0)
    """
    inputs = _check("grad", inputs)
    gradients: list[Any] = _core.grad(
        _check("grad", outputs),
        inputs,
        _check("grad", grad_outputs or []),
        _check("grad", grad_inputs or []),
        enable_double_backprop,
        1.0 if loss_scale is None else loss_scale,
        retain_grad,
    )
    if set_grad:
        for x, gradient in zip(inputs, gradients, strict=True):
            x.grad_var = gradient
    return gradients


def backward(
    outputs: Sequence[Variable],
    grad_outputs: Sequence[Variable | None] | None = None,
    retain_grad: bool = False,
    enable_double_backprop: bool = False,
    loss_scale: float | None = None,
) -> None:
    """Run backward from several outputs at once; gradients are added up in the leaves.

    Args:
        outputs: Variables to start from.
        grad_outputs: Gradients to start from, one for each output; the outputs' ``grad_var``
            by default.
        retain_grad: Keep the gradients of intermediate Variables too.
        enable_double_backprop: Record the computation of the gradients.
        loss_scale: The gradient that outputs of one element start from, instead of one.

    Raises:
        TypeError: If something is no Variable.
        ValueError: If numbers or shapes do not suit each other.
        RuntimeError: If nothing was recorded.
    """
    outputs = _check("backward", outputs)
    if grad_outputs is not None:
        grad_outputs = _check("backward", grad_outputs)
        if len(grad_outputs) != len(outputs):
            raise ValueError(
                f"[backward] number of grad_outputs: got {len(grad_outputs)}, expected "
                f"{len(outputs)}"
            )
        for y, gradient in zip(outputs, grad_outputs, strict=True):
            y.grad_var = gradient
    _core.backward(
        outputs, retain_grad, enable_double_backprop, 1.0 if loss_scale is None else loss_scale
    )
