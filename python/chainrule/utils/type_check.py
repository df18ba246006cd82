"""Checks of shapes and dtypes whose errors show what was expected of what.

``check_type_forward(in_types)`` of a function written in Python gets one :class:`Expr` per
input. Arithmetic and comparisons on it build expressions; :func:`expect` evaluates them::

    def check_type_forward(self, in_types):
        type_check.expect(in_types.size() == 2)
        x, w = in_types
        type_check.expect(x.dtype.kind == "f", x.shape[1] == w.shape[0])
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "Expr",
    "InvalidType",
    "TypeInfo",
    "TypeInfoTuple",
    "Variable",
    "eval",
    "expect",
    "expect_broadcast_shapes",
    "get_types",
    "make_variable",
    "prod",
    "same_types",
]

_ATOM = 8


class InvalidType(Exception):
    """Inputs of the wrong number, shape or dtype.

    Args:
        expect: What was expected.
        actual: What there was.
        msg: Both, with the function's name.
    """

    def __init__(self, expect: str, actual: str, msg: str | None = None) -> None:
        super().__init__(f"Expect: {expect}\nActual: {actual}" if msg is None else msg)
        self.expect = expect
        self.actual = actual

    def __reduce__(self) -> tuple[Any, ...]:
        return InvalidType, (self.expect, self.actual, str(self))


class Expr:
    """A value with the text of how it was asked for.

    Args:
        text: How it is written.
        priority: How tightly its outermost operator binds.
        evaluate: Gives its value.
    """

    def __init__(self, text: str, priority: int, evaluate: Callable[[], Any]) -> None:
        self._text = text
        self._priority = priority
        self._evaluate = evaluate

    def eval(self) -> Any:
        """Compute the value.

        Returns:
            It.
        """
        return self._evaluate()

    def __str__(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        raise RuntimeError(
            "An Expr instance cannot be evaluated as bool. Please use "
            "chainrule.utils.type_check.eval() to evaluate an expression."
        )

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        return Expr(f"{self}.{name}", _ATOM, lambda: getattr(self.eval(), name))

    def __getitem__(self, key: Any) -> Expr:
        if isinstance(key, slice):
            shown = ":".join("" if p is None else str(p) for p in (key.start, key.stop))
            shown += "" if key.step is None else f":{key.step}"
        else:
            shown = _text(key)
        return Expr(f"{self}[{shown}]", _ATOM, lambda: self.eval()[_value(key)])

    def __call__(self, *args: Any) -> Expr:
        """Call the value when evaluated.

        Args:
            *args: Arguments: values or expressions.

        Returns:
            An expression.
        """
        shown = ", ".join(_text(a) for a in args)
        return Expr(f"{self}({shown})", _ATOM, lambda: self.eval()(*(_value(a) for a in args)))

    def __neg__(self) -> Expr:
        return Expr("-" + _enclose(self, 6), 6, lambda: -self.eval())


class Comparison(Expr):
    """A comparison, which can be tested.

    Args:
        left: Left operand.
        right: Right operand.
        sign: The comparison's sign.
        opposite: The sign that holds where this one does not.
        function: Compares two values.
    """

    def __init__(
        self,
        left: Any,
        right: Any,
        sign: str,
        opposite: str,
        function: Callable[[Any, Any], Any],
    ) -> None:
        super().__init__(
            f"{_enclose(left, 1)} {sign} {_enclose(right, 1)}",
            1,
            lambda: function(_value(left), _value(right)),
        )
        self._left, self._right, self._opposite = left, right, opposite

    def expect(self) -> None:
        """Test it.

        Raises:
            InvalidType: If it does not hold.
        """
        if not self.eval():
            raise InvalidType(
                str(self), f"{_value(self._left)} {self._opposite} {_value(self._right)}"
            )


def _value(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(_value(item) for item in x)
    return x.eval() if isinstance(x, Expr) else x


def _text(x: Any) -> str:
    return str(x) if isinstance(x, Expr) else repr(x)


def _enclose(x: Any, priority: int, strictly: bool = False) -> str:
    """The text of an operand, in parentheses where its operator binds less."""
    if not isinstance(x, Expr):
        return repr(x)
    looser = x._priority <= priority if strictly else x._priority < priority
    return f"({x})" if looser else str(x)


def _binary(
    sign: str, priority: int, function: Callable[[Any, Any], Any], right_associative: bool = False
) -> tuple[Callable[..., Expr], Callable[..., Expr]]:
    def build(left: Any, right: Any) -> Expr:
        text = (
            f"{_enclose(left, priority, right_associative)} {sign} "
            f"{_enclose(right, priority, not right_associative)}"
        )
        return Expr(text, priority, lambda: function(_value(left), _value(right)))

    return build, lambda right, left: build(left, right)


for _name, _sign, _priority, _function in (
    ("add", "+", 4, operator.add),
    ("sub", "-", 4, operator.sub),
    ("mul", "*", 5, operator.mul),
    ("truediv", "/", 5, operator.truediv),
    ("floordiv", "//", 5, operator.floordiv),
    ("mod", "%", 5, operator.mod),
    ("pow", "**", 7, operator.pow),
):
    _forward, _reflected = _binary(_sign, _priority, _function, _name == "pow")
    setattr(Expr, f"__{_name}__", _forward)
    setattr(Expr, f"__r{_name}__", _reflected)


def _comparison(
    sign: str, opposite: str, function: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Comparison]:
    return lambda left, right: Comparison(left, right, sign, opposite, function)


for _name, _sign, _opposite in (
    ("eq", "==", "!="),
    ("ne", "!=", "=="),
    ("lt", "<", ">="),
    ("le", "<=", ">"),
    ("gt", ">", "<="),
    ("ge", ">=", "<"),
):
    setattr(Expr, f"__{_name}__", _comparison(_sign, _opposite, getattr(operator, _name)))


class Variable(Expr):
    """A named value, the leaf of expressions.

    Args:
        value: The value.
        name: Its name in messages.
    """

    def __init__(self, value: Any, name: str) -> None:
        super().__init__(name, _ATOM, lambda: value)


class TypeInfo:
    """Shape and dtype of one input.

    Args:
        shape: The shape.
        dtype: The dtype.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape = shape
        self.dtype = dtype
        self.ndim = len(shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))


class TypeInfoTuple(tuple[Expr, ...]):
    """The inputs of a function, as ``check_type_forward`` sees them."""

    name: str

    def size(self) -> Expr:
        """Give the number of inputs.

        Returns:
            An expression.
        """
        return Variable(len(self), f"{self.name}.size")


def get_types(data: Sequence[Any], name: str, accept_none: bool = False) -> TypeInfoTuple:
    """Describe arrays.

    Args:
        data: The arrays.
        name: Name of the tuple in messages.
        accept_none: Whether None may stand for an array.

    Returns:
        One expression for each.

    Raises:
        TypeError: If there is None where it may not be.
    """
    if not accept_none and any(x is None for x in data):
        raise TypeError(f"[type_check] {name}: got None, expected arrays")
    types = TypeInfoTuple(
        Variable(None if x is None else TypeInfo(x.shape, x.dtype), f"{name}[{i}]")
        for i, x in enumerate(data)
    )
    types.name = name
    return types


def make_variable(value: Any, name: str) -> Variable:
    """Name a value, so that it can stand in an expression.

    Args:
        value: The value.
        name: Its name in messages.

    Returns:
        An expression.
    """
    return Variable(value, name)


def _argname(in_types: Iterable[Expr], names: Iterable[str]) -> None:
    """Give the inputs the names of a function's arguments in messages."""
    for in_type, name in zip(in_types, names, strict=True):
        in_type._text = name


def prod(xs: Any) -> Any:
    """Multiply the extents of a shape.

    Args:
        xs: A shape, or an expression for one.

    Returns:
        The product, or an expression for it.
    """

    def multiply(shape: Any) -> int:
        return int(np.prod(shape, dtype=np.int64))

    if isinstance(xs, Expr):
        return Expr(f"prod({xs})", _ATOM, lambda: multiply(xs.eval()))
    return multiply(xs)


def eval(exp: Any) -> Any:
    """Compute an expression.

    Args:
        exp: An expression, or a plain value.

    Returns:
        Its value.
    """
    return _value(exp)


def expect(*bool_exprs: Any) -> None:
    """Test comparisons.

    Args:
        *bool_exprs: Comparisons of expressions, or plain bools.

    Raises:
        InvalidType: If one does not hold.

    Example:
        >>> x = Variable(TypeInfo((2, 3), "float32"), "x")
        >>> expect(x.ndim == 3)
        Traceback (most recent call last):
        ...
        chainrule.utils.type_check.InvalidType: Expect: x.ndim == 3
        Actual: 2 != 3
    """
    for expression in bool_exprs:
        if isinstance(expression, Comparison):
            expression.expect()
        elif not _value(expression):
            raise InvalidType(_text(expression), repr(_value(expression)))


def expect_broadcast_shapes(*shape_types: Any) -> None:
    """Test that shapes can be broadcast together.

    Args:
        *shape_types: Expressions for shapes.

    Raises:
        InvalidType: If they cannot.
    """
    shapes = [_value(shape) for shape in shape_types]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        pairs = [f"{_text(s)} = {shape}" for s, shape in zip(shape_types, shapes, strict=True)]
        message = "cannot broadcast inputs of the following shapes:\n" + "\n".join(pairs)
        raise InvalidType("each dimension has the same size or is 1", message, message) from None


def same_types(*arrays: Any) -> bool:
    """Tell whether all values are NumPy arrays.

    Args:
        *arrays: The values.

    Returns:
        True if they are.
    """
    return all(isinstance(array, np.ndarray) for array in arrays)
