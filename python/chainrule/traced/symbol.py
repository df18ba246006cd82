"""What a traced function computes with: a symbol for each value."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from chainrule.traced.trace import Trace, refuse

__all__ = ["Symbol"]

_NO_BRANCH = "use numpy.where(condition, a, b), numpy.minimum, numpy.maximum or numpy.clip"


class Symbol:
    """A value of a traced rule: of one element, or a number that is the same for all.

    Python's arithmetic, comparisons and NumPy's functions give further symbols; whatever else is
    done with it raises a :class:`TraceError`.

    Args:
        trace: Where operations are recorded.
        node: Its node.
        logical: Whether it is the result of a comparison.
    """

    __slots__ = ("_logical", "_node", "_trace")
    __hash__ = object.__hash__

    def __init__(self, trace: Trace, node: int, logical: bool = False) -> None:
        self._trace = trace
        self._node = node
        self._logical = logical

    # NumPy

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = f"numpy.{ufunc.__name__}"
        if method != "__call__":
            self._refuse(f"{name}.{method}", "a rule sees one element at a time")
        if kwargs:
            self._refuse(f"{name}(..., {next(iter(kwargs))}=)", "only its inputs may be given")
        function = _FUNCTIONS.get(ufunc.__name__)
        if function is None:
            self._refuse(name, f"known are {', '.join(sorted(_FUNCTIONS))}, where and clip")
        return function(*[self._symbol(x) for x in inputs])

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if function is np.where and len(args) == 3 and not kwargs:
            return self._where(*[self._symbol(x) for x in args])
        if function is np.clip:
            return self._clip(*args, **kwargs)
        name = f"numpy.{getattr(function, '__name__', function)}"
        self._refuse(name, "a rule sees one element at a time")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("the conversion to an array", "a rule's values are known only when it runs")

    # Operations

    def _symbol(self, value: Any) -> Symbol:
        """Take an operand: a symbol or a number."""
        if isinstance(value, Symbol):
            if value._trace is not self._trace:
                self._refuse("a value of another rule's trace")
            return value
        if isinstance(value, np.ndarray):
            if value.ndim:
                self._refuse(f"an array of shape {value.shape}", "a rule computes with numbers")
            value = value[()]
        if isinstance(value, bool | np.bool_):
            return Symbol(self._trace, self._trace.constant(float(value)), True)
        if isinstance(value, numbers.Real):
            return self._number(value)
        self._refuse(f"an operand that is no number: got {type(value).__name__}")

    def _make(self, op: str, *arguments: Symbol, logical: bool = False) -> Symbol:
        return Symbol(self._trace, self._trace.add(op, *[x._node for x in arguments]), logical)

    def _arithmetic(self, op: str, other: Symbol) -> Symbol:
        """Record arithmetic, except with a constant that leaves no finite result."""
        left, right = (self._trace.constant_value(x._node) for x in (self, other))
        for value in (left, right):
            if value is not None and not math.isfinite(value):
                self._refuse(f"'{op}' with the constant {value}", "what it gives is not finite")
        if op == "divide" and right == 0:
            self._refuse("a division by the constant 0", "what it gives is not finite")
        return self._make(op, self, other)

    def _number(self, value: Any) -> Symbol:
        try:
            return Symbol(self._trace, self._trace.constant(float(value)))
        except OverflowError:
            self._refuse("an operand that is too large for a float", "the largest is 1.8e308")

    def _power(self, exponent: Symbol) -> Symbol:
        return Symbol(self._trace, self._trace.power(self._node, exponent._node))

    def _not(self) -> Symbol:
        true = self if self._logical else self._make("not_equal", self, self._number(0))
        return Symbol(self._trace, self._make("subtract", self._number(1), true)._node, True)

    def _as_logical(self) -> Symbol:
        if self._logical:
            return self
        return self._make("not_equal", self, self._number(0), logical=True)

    def _and(self, other: Symbol) -> Symbol:
        return self._make("minimum", self._as_logical(), other._as_logical(), logical=True)

    def _or(self, other: Symbol) -> Symbol:
        return self._make("maximum", self._as_logical(), other._as_logical(), logical=True)

    def _xor(self, other: Symbol) -> Symbol:
        return self._make("not_equal", self._as_logical(), other._as_logical(), logical=True)

    def _where(self, condition: Symbol, a: Symbol, b: Symbol) -> Symbol:
        logical = a._logical and b._logical
        return self._make("where", condition._as_logical(), a, b, logical=logical)

    def _clip(self, x: Any, a_min: Any = None, a_max: Any = None, **kwargs: Any) -> Symbol:
        a_min, a_max = kwargs.pop("min", a_min), kwargs.pop("max", a_max)
        if kwargs:
            self._refuse(f"numpy.clip(..., {next(iter(kwargs))}=)", "only bounds may be given")
        out = self._symbol(x)
        if a_min is not None:
            out = self._make("maximum", out, self._symbol(a_min))
        return out if a_max is None else self._make("minimum", out, self._symbol(a_max))

    def clip(self, min: Any = None, max: Any = None) -> Symbol:
        """Bound the value, as ``numpy.clip`` does.

        Args:
            min: Lower bound.
            max: Upper bound.

        Returns:
            The bounded value.
        """
        return self._clip(self, min, max)

    # What has no meaning before the rule runs

    def _refuse(self, what: str, instead: str = "", attribute: bool = False) -> NoReturn:
        refuse(self._trace.rule, what, instead, attribute)

    def __bool__(self) -> bool:
        self._refuse(
            "a branch on a value ('if', 'while', 'and', 'or', 'not')",
            f"{_NO_BRANCH}; a hyperparameter whose default is True or False may be branched on",
        )

    def __float__(self) -> float:
        self._refuse(
            "the conversion to a number (float(), math.sqrt() and the like)",
            "numpy's functions take symbols: numpy.sqrt()",
        )

    __int__ = __index__ = __complex__ = __float__
    __round__ = __trunc__ = __float__

    def __format__(self, spec: str) -> str:
        if spec:
            self._refuse(f"the format '{spec}'", "a rule's values are known only when it runs")
        return repr(self)

    def __getitem__(self, index: Any) -> Any:
        self._refuse("indexing", "a rule sees one element at a time")

    def __setitem__(self, index: Any, value: Any) -> None:
        self._refuse("an assignment to elements", "compute the new value and return it")

    def __iter__(self) -> Any:
        self._refuse("iteration", "a rule sees one element at a time")

    def __len__(self) -> int:
        self._refuse("len()", "a rule sees one element at a time")

    def __contains__(self, value: Any) -> bool:
        self._refuse("'in'", "a rule sees one element at a time")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse(
            f"the attribute '{name}'", "a rule sees one element at a time, as a number", True
        )

    def _unknown_operator(self, *others: Any) -> Any:
        self._refuse("this operator", "known are + - * / ** abs, comparisons and & | ^ ~")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _unknown_operator
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _unknown_operator
    __matmul__ = __rmatmul__ = _unknown_operator

    def __repr__(self) -> str:
        node = self._trace.nodes[self._node]
        return f"<{node.op} in the trace of {self._trace.rule}>"


def _unary(op: str) -> Callable[[Symbol], Symbol]:
    return lambda x: x._make(op, x)


def _binary(op: str, logical: bool = False) -> Callable[[Symbol, Symbol], Symbol]:
    return lambda x, y: x._make(op, x, y, logical=logical)


def _arithmetic(op: str) -> Callable[[Symbol, Symbol], Symbol]:
    return lambda x, y: x._arithmetic(op, y)


def _swapped(op: str) -> Callable[[Symbol, Symbol], Symbol]:
    return lambda x, y: x._make(op, y, x, logical=True)


def _scaled(op: str, before: float = 1.0, after: float = 1.0) -> Callable[[Symbol], Symbol]:
    def function(x: Symbol) -> Symbol:
        inner = x if before == 1 else x._make("multiply", x, x._number(before))
        out = x._make(op, inner)
        return out if after == 1 else x._make("multiply", out, x._number(after))

    return function


def _isfinite(x: Symbol) -> Symbol:
    # Infinity minus itself, and NaN, are not 0.
    return x._make("equal", x._make("subtract", x, x), x._number(0), logical=True)


def _isinf(x: Symbol) -> Symbol:
    size = x._make("absolute", x)
    return x._make("equal", size, x._number(np.inf), logical=True)


def _copysign(x: Symbol, y: Symbol) -> Symbol:
    size = x._make("absolute", x)
    below = x._make("less", x._make("divide", x._number(1), y), x._number(0))
    negative = x._make("maximum", x._make("less", y, x._number(0)), below, logical=True)
    return x._where(negative, x._make("negative", size), size)


def _fmin(x: Symbol, y: Symbol, op: str = "minimum") -> Symbol:
    x_nan = x._make("not_equal", x, x, logical=True)
    y_nan = x._make("not_equal", y, y, logical=True)
    return x._where(x_nan, y, x._where(y_nan, x, x._make(op, x, y)))


_LN2 = float(np.log(2.0))
_LN10 = float(np.log(10.0))

#: NumPy's ufuncs by name.
_FUNCTIONS: dict[str, Callable[..., Symbol]] = {
    "absolute": _unary("absolute"),
    "add": _arithmetic("add"),
    "ceil": _scaled("floor", -1, -1),
    "copysign": _copysign,
    "divide": _arithmetic("divide"),
    "equal": _binary("equal", True),
    "exp": _unary("exp"),
    "exp2": _scaled("exp", _LN2),
    "expm1": _unary("expm1"),
    "fabs": _unary("absolute"),
    "float_power": lambda x, y: x._power(y),
    "floor": _unary("floor"),
    "fmax": lambda x, y: _fmin(x, y, "maximum"),
    "fmin": _fmin,
    "greater": _swapped("less"),
    "greater_equal": _swapped("less_equal"),
    "isfinite": _isfinite,
    "isinf": _isinf,
    "isnan": lambda x: x._make("not_equal", x, x, logical=True),
    "less": _binary("less", True),
    "less_equal": _binary("less_equal", True),
    "log": _unary("log"),
    "log10": _scaled("log", 1, 1 / _LN10),
    "log1p": _unary("log1p"),
    "log2": _scaled("log", 1, 1 / _LN2),
    "bitwise_and": lambda x, y: x._and(y),
    "bitwise_or": lambda x, y: x._or(y),
    "bitwise_xor": lambda x, y: x._xor(y),
    "invert": lambda x: x._not(),
    "logical_and": lambda x, y: x._and(y),
    "logical_not": lambda x: x._not(),
    "logical_or": lambda x, y: x._or(y),
    "logical_xor": lambda x, y: x._xor(y),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "multiply": _arithmetic("multiply"),
    "negative": _unary("negative"),
    "not_equal": _binary("not_equal", True),
    "positive": lambda x: x,
    "power": lambda x, y: x._power(y),
    "reciprocal": lambda x: x._make("divide", x._number(1), x),
    "sign": _unary("sign"),
    "sqrt": _unary("sqrt"),
    "square": _unary("square"),
    "subtract": _arithmetic("subtract"),
    "tanh": _unary("tanh"),
}


def _operator(name: str, reflected: bool = False) -> Callable[..., Symbol]:
    function = _FUNCTIONS[name]

    def operator(self: Symbol, *others: Any) -> Symbol:
        if len(others) > 1:
            self._refuse("pow() with a modulus", "known is pow(a, b), which is a ** b")
        operands = (self, *[self._symbol(x) for x in others])
        return function(*(operands[::-1] if reflected else operands))

    return operator


for _name, _ufunc in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "pow": "power",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}.items():
    setattr(Symbol, f"__{_name}__", _operator(_ufunc))
    setattr(Symbol, f"__r{_name}__", _operator(_ufunc, reflected=True))
for _name, _ufunc in {
    "neg": "negative",
    "pos": "positive",
    "abs": "absolute",
    "invert": "invert",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}.items():
    setattr(Symbol, f"__{_name}__", _operator(_ufunc))
