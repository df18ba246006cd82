"""Schedules: values that follow the step of the optimizer, or what the parent has.

A hyperparameter, and ``enabled``, may be set to an expression. It is evaluated in C++ at each
update, at the *step*: the number of updates that the optimizer has done before this one, so that
the first update sees step 0. :data:`inherit` stands for the value that the parent has under the
same name: for a parameter's rule, usually the optimizer's. Reading the attribute gives today's
number, a float; ``hyperparam.get_expression(name)`` gives the expression.

Expressions are combined with each other and with numbers by ``+ - * / **`` and comparisons, which
give 1.0 or 0.0; ``&``, ``|`` and ``~`` combine what is on where it is not zero.

Example:
    >>> import chainrule
    >>> from chainrule import optimizers, schedules
    >>> link = chainrule.links.Linear(2, 3)
    >>> rate = schedules.warmup(100) * schedules.cosine(0.1, 0.0, 1000)
    >>> optimizer = optimizers.SGD(lr=rate).setup(link)
    >>> link.b.update_rule.hyperparam.lr = chainrule.inherit * 2
    >>> link.W.update_rule.enabled = schedules.after(200)
    >>> optimizer.t = 500
    >>> round(optimizer.lr, 6), round(link.b.update_rule.hyperparam.lr, 6)
    (0.05, 0.1)
    >>> optimizer.lr = 0.25
    >>> link.b.update_rule.hyperparam.lr
    0.5
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from chainrule._core import Expression
from chainrule._numbers import is_number

__all__ = [
    "Expression",
    "Scalar",
    "after",
    "before",
    "constant",
    "cosine",
    "every",
    "exponential",
    "inherit",
    "linear",
    "maximum",
    "minimum",
    "piecewise",
    "polynomial",
    "step",
    "warmup",
]

#: What a hyperparameter may be: a number, or an expression. For annotations.
Scalar: TypeAlias = Expression | float

#: What the parent has under the same name.
inherit: Expression = Expression._make("inherit", [], [])

#: The number of updates that the optimizer has done before this one.
step: Expression = Expression._make("step", [], [])


def _make(op: str, args: Sequence[Scalar], numbers: Sequence[float]) -> Expression:
    for value in args:
        if not (isinstance(value, Expression) or is_number(value)):
            raise TypeError(f"[{op}] got {value!r}, expected a number or an expression")
    for number in numbers:
        if not is_number(number):
            raise TypeError(f"[{op}] got {number!r}, expected a number")
    plain = [value if isinstance(value, Expression) else float(value) for value in args]
    return Expression._make(op, plain, [float(number) for number in numbers])


def constant(value: float) -> Expression:
    """Make an expression of a number.

    Args:
        value: The number.

    Returns:
        The expression. Rarely needed: operators and schedules take numbers as they are.

    Raises:
        ValueError: If the number is not finite.

    Example:
        >>> constant(0.1) + 1
        constant(0.1) + 1.0
    """
    return _make("number", [], [value])


def minimum(a: Scalar, b: Scalar) -> Expression:
    """Take the lesser of two.

    Args:
        a: An expression or a number.
        b: The other.

    Returns:
        ``min(a, b)`` at each step.

    Example:
        >>> minimum(step / 10, 1.0)(3)
        0.3
    """
    return _make("minimum", [a, b], [])


def maximum(a: Scalar, b: Scalar) -> Expression:
    """Take the greater of two.

    Args:
        a: An expression or a number.
        b: The other.

    Returns:
        ``max(a, b)`` at each step.

    Example:
        >>> maximum(exponential(1.0, 0.5), 0.1)(10)
        0.1
    """
    return _make("maximum", [a, b], [])


def linear(start: Scalar, end: Scalar, steps: float, begin: float = 0) -> Expression:
    """Go from one value to another on a straight line.

    ``start + (end - start) * u`` where ``u = min(max((step - begin) / steps, 0), 1)``.

    Args:
        start: Where it begins.
        end: Where it ends and stays.
        steps: How many steps it takes; positive.
        begin: The first of them.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` is not positive.

    Example:
        >>> rate = linear(1.0, 0.0, 10, begin=5)
        >>> rate(0), rate(10), rate(20)
        (1.0, 0.5, 0.0)
    """
    return _make("linear", [start, end], [steps, begin])


def cosine(start: Scalar, end: Scalar, steps: float, begin: float = 0) -> Expression:
    """Go from one value to another on half a wave of the cosine.

    ``end + (start - end) * (1 + cos(pi * u)) / 2`` where
    ``u = min(max((step - begin) / steps, 0), 1)``.

    Args:
        start: Where it begins.
        end: Where it ends and stays.
        steps: How many steps it takes; positive.
        begin: The first of them.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` is not positive.

    Source:
        Loshchilov, Hutter, `SGDR: Stochastic Gradient Descent with Warm Restarts
        <https://arxiv.org/abs/1608.03983>`_.

    Example:
        >>> rate = cosine(1.0, 0.0, 100)
        >>> rate(0), rate(50), rate(100), rate(200)
        (1.0, 0.5, 0.0, 0.0)
    """
    return _make("cosine", [start, end], [steps, begin])


def polynomial(
    start: Scalar, end: Scalar, steps: float, power: float, begin: float = 0
) -> Expression:
    """Go from one value to another as a power of what is left of the way.

    ``end + (start - end) * (1 - u) ** power`` where
    ``u = min(max((step - begin) / steps, 0), 1)``.

    Args:
        start: Where it begins.
        end: Where it ends and stays.
        steps: How many steps it takes; positive.
        power: The exponent; positive.
        begin: The first step.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` or ``power`` is not positive.

    Example:
        >>> polynomial(1.0, 0.0, 10, 2)(5)
        0.25
    """
    return _make("polynomial", [start, end], [steps, power, begin])


def exponential(
    start: Scalar, rate: Scalar, steps: float = 1, begin: float = 0, staircase: bool = False
) -> Expression:
    """Multiply by the same factor again and again.

    ``start * rate ** u`` where ``u = max(step - begin, 0) / steps``, rounded down for a staircase.

    Args:
        start: Where it begins.
        rate: The factor.
        steps: How many steps it takes to be multiplied once; positive.
        begin: The first step.
        staircase: Whether it stays as it is for ``steps`` steps and then falls at once.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` is not positive.

    Example:
        >>> rate = exponential(1.0, 0.5, 10, staircase=True)
        >>> rate(9), rate(10), rate(25)
        (1.0, 0.5, 0.25)
    """
    return _make("exponential", [start, rate], [steps, begin, staircase])


def piecewise(boundaries: Sequence[float], values: Sequence[Scalar]) -> Expression:
    """Take one value after another.

    ``values[i]``, where ``i`` is the number of boundaries that are not greater than the step.

    Args:
        boundaries: The first step of each value but the first; rising.
        values: Numbers or expressions, one more than boundaries. Expressions see the step as it is.

    Returns:
        The schedule.

    Raises:
        ValueError: If the boundaries do not rise, or the counts do not fit.

    Example:
        >>> rate = piecewise([100, 200], [0.1, inherit, 0.001])
        >>> rate(99, 0.01), rate(100, 0.01), rate(1000, 0.01)
        (0.1, 0.01, 0.001)
    """
    return _make("piecewise", list(values), list(boundaries))


def warmup(steps: float, start: Scalar = 0.0) -> Expression:
    """Rise to 1 on a straight line, and stay there; to be multiplied by something.

    ``start + (1 - start) * min(step / steps, 1)``.

    Args:
        steps: How many steps it takes; positive.
        start: The factor of the first update.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``steps`` is not positive.

    Source:
        Goyal et al., `Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour
        <https://arxiv.org/abs/1706.02677>`_.

    Example:
        >>> rate = warmup(500) * cosine(3e-4, 0.0, 10000)
        >>> rate(0), round(rate(250), 6), round(rate(5000), 6)
        (0.0, 0.00015, 0.00015)
    """
    return _make("warmup", [start], [steps])


def after(n: int) -> Expression:
    """Be on from a step on.

    1 where ``step >= n``, 0 elsewhere: the first ``n`` updates go by without it.

    Args:
        n: The first step.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``n`` is negative or no whole number.

    Example:
        >>> after(3)(2), after(3)(3)
        (0.0, 1.0)
    """
    return _make("after", [], [n])


def before(n: int) -> Expression:
    """Be on until a step is reached.

    1 where ``step < n``, 0 elsewhere: for the first ``n`` updates.

    Args:
        n: The first step at which it is off.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``n`` is negative or no whole number.

    Example:
        >>> before(3)(2), before(3)(3)
        (1.0, 0.0)
    """
    return _make("before", [], [n])


def every(n: int) -> Expression:
    """Be on at one step of so many.

    1 where ``step`` is a multiple of ``n``, 0 elsewhere; the first update is one of them.

    Args:
        n: How often; positive.

    Returns:
        The schedule.

    Raises:
        ValueError: If ``n`` is not positive or no whole number.

    Example:
        >>> [int(every(3)(t)) for t in range(7)]
        [1, 0, 0, 1, 0, 0, 1]
        >>> (every(2) & after(3))(4)
        1.0
    """
    return _make("every", [], [n])
