"""From a function to an optimizer class and its update rule."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import types
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, overload

from chainrule import _core
from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.serializer import AbstractSerializer, Deserializer
from chainrule.traced.signature import Signature, read_signature
from chainrule.traced.symbol import Symbol
from chainrule.traced.trace import Node, Trace, TraceError, refused_elsewhere
from chainrule.update_rule import UpdateRule

__all__ = ["ElementwiseMethod", "ElementwiseRule", "elementwise_rule"]

_MOST_SWITCHES = 4


class _Variant(NamedTuple):
    """The rule for some values of its switches, as the core takes it."""

    switches: list[tuple[int, bool]]
    states: list[int]
    nodes: list[Node]
    param: int
    results: list[int]


class _Algorithm(_core.Algorithm):
    """The core's algorithm, which finds its way through pickles by the optimizer's class."""

    optimizer: type[ElementwiseMethod]

    def __reduce__(self) -> tuple[Any, ...]:
        return _algorithm_of, (self.optimizer,)


def _algorithm_of(optimizer: type[ElementwiseMethod]) -> _Algorithm:
    return optimizer._rule_class._algorithm  # type: ignore[union-attr, return-value]


class ElementwiseRule(UpdateRule):
    """Base of the update rules that :func:`elementwise_rule` makes.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        **hyperparameters: Values of this rule.
    """

    is_elementwise = True
    _fields: ClassVar[tuple[str, ...]] = ()
    _expression: ClassVar[int] = 0

    def __init__(
        self, parent_hyperparam: Hyperparameter | None = None, **hyperparameters: Scalar
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(**hyperparameters)

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Save or load the number of updates, the state, and which expression made it.

        A state that another expression made is loaded all the same, with a warning.

        Args:
            serializer: Where to or from.
        """
        super().serialize(serializer)
        if not isinstance(serializer, Deserializer):
            serializer("expression", self._expression)
            return
        try:
            saved = serializer("expression", None)
        except KeyError:
            return  # another algorithm's, or Chainer's
        if saved is not None and int(saved) != self._expression:
            path = getattr(serializer, "path", "")
            name = type(self).__name__.removesuffix("Rule")
            warnings.warn(
                f"[load] /{path.strip('/')}: the state was saved by another version of {name}: "
                "its expression has changed since",
                stacklevel=2,
            )


class ElementwiseMethod(GradientMethod):
    """Base of the optimizers that :func:`elementwise_rule` makes.

    Args:
        **hyperparameters: Values to start from; those that are not given are the function's
            defaults.

    Attributes:
        function: The function as it was written; it computes with NumPy arrays as well.
    """

    function: ClassVar[Callable[..., Any]]
    _defaults: ClassVar[dict[str, float | bool]] = {}

    def __init__(self, **hyperparameters: Scalar) -> None:
        super().__init__()
        for name, value in {**self._defaults, **hyperparameters}.items():
            try:
                setattr(self.hyperparam, name, value)
            except AttributeError as error:
                message = str(error).removeprefix("[hyperparam] ")
                raise TypeError(f"[{type(self).__name__}] {message}") from None

    if TYPE_CHECKING:  # the hyperparameters

        def __getattr__(self, name: str) -> Any: ...

    @classmethod
    def listing(cls) -> str:
        """Show what the function became: the instructions that run for each element.

        Returns:
            One instruction a line: ``p`` and ``g`` are the parameter and its gradient, ``s0`` the
            first state, ``r0`` a register, ``c0`` a number computed from hyperparameters.
        """
        return "\n".join(_algorithm_of(cls).listings)

    @classmethod
    def why_interpreted(cls) -> str | None:
        """Say why the CPU does not run this rule as machine code.

        Rules become machine code when they are made, as fast as those built in; the results are the
        same. Interpreted, a rule takes up to 1.5 times as long; one with ``exp``, ``log``, ``tanh``
        or powers spends its time within these.

        Returns:
            None for machine code. Else the reason: an instruction that has to be interpreted, more
            values at a time than registers, a processor without AVX2, a system that runs no code a
            program wrote, or ``CHAINRULE_COMPILE_RULES=0`` in the environment when it was made.

        Example:
            >>> import chainrule
            >>> import numpy as np
            >>> @chainrule.elementwise_rule
            ... def Saturating(p, g, *, lr=0.1):
            ...     return p - lr * np.tanh(g)
            >>> Saturating.why_interpreted() is None
            False
        """
        return next((problem for problem in _algorithm_of(cls).problems if problem), None)


def _trace(
    function: Callable[..., Any], name: str, signature: Signature, switches: dict[str, bool]
) -> _Variant:
    """Call the function with symbols, and with Python's booleans for switches."""
    trace = Trace(name)
    values: dict[str, Any] = {}
    for place, field in enumerate(signature.fields):
        on = switches.get(field)
        values[field] = Symbol(trace, trace.add("field", place=place)) if on is None else on
    if signature.takes_t:
        values["t"] = Symbol(trace, trace.add("t"))
    inputs = [trace.add("state", place=k) for k in range(len(signature.states))]
    p, g = (Symbol(trace, trace.add(op)) for op in ("param", "grad"))
    try:
        results = function(p, g, *[Symbol(trace, node) for node in inputs], **values)
    except (TypeError, ValueError) as error:
        # Somebody who knows no symbols says so with the name of the class.
        if isinstance(error, TraceError) or Symbol.__name__ not in str(error):
            raise
        raise refused_elsewhere(name, error) from error

    results = results if isinstance(results, tuple | list) else (results,)
    expected = ["the new p", *(f"the new {state}" for state in signature.states)]
    if len(results) != len(expected):
        code = function.__code__
        raise TraceError(
            f"[elementwise_rule] {name}: wrong number of results: got {len(results)}, expected "
            f"{len(expected)}: {', '.join(expected)}\n  {code.co_filename}:{code.co_firstlineno}"
        )
    places = []
    for what, result in zip(expected, results, strict=True):
        try:
            places.append(p._symbol(result)._node)
        except TraceError:
            code = function.__code__
            raise TraceError(
                f"[elementwise_rule] {name}: {what} is no number: got {type(result).__name__}\n"
                f"  {code.co_filename}:{code.co_firstlineno}"
            ) from None
    return _without_unused(trace, signature, switches, inputs, places)


def _without_unused(
    trace: Trace,
    signature: Signature,
    switches: dict[str, bool],
    inputs: list[int],
    results: list[int],
) -> _Variant:
    """Drop nodes that no result needs, and states that are neither read nor changed."""
    kept = [k for k, node in enumerate(inputs) if results[1 + k] != node]
    while True:
        needed: set[int] = set()
        todo = [results[0], *(results[1 + k] for k in kept)]
        while todo:
            node = todo.pop()
            if node not in needed:
                needed.add(node)
                todo += trace.nodes[node].arguments
        read = [k for k, node in enumerate(inputs) if node in needed or k in kept]
        if read == kept:
            break
        kept = read
    order = sorted(needed)
    place = {node: i for i, node in enumerate(order)}
    nodes = []
    for old in order:
        moved = trace.nodes[old]
        moved = moved._replace(arguments=tuple(place[a] for a in moved.arguments))
        nodes.append(
            moved._replace(place=kept.index(moved.place)) if moved.op == "state" else moved
        )
    fields = list(signature.fields)
    return _Variant(
        [(fields.index(field), on) for field, on in switches.items()],
        kept,
        nodes,
        place[results[0]],
        [place[results[1 + k]] for k in kept],
    )


def _variants(function: Callable[..., Any], name: str, signature: Signature) -> list[_Variant]:
    switches = [field for field, value in signature.fields.items() if isinstance(value, bool)]
    if len(switches) > _MOST_SWITCHES:
        raise TypeError(
            f"[elementwise_rule] {name}: got {len(switches)} hyperparameters that are True or "
            f"False, expected at most {_MOST_SWITCHES}: each doubles the number of expressions"
        )
    return [
        _trace(function, name, signature, dict(zip(switches, values, strict=True)))
        for values in itertools.product((False, True), repeat=len(switches))
    ]


def _kind(value: float | bool) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "integer" if isinstance(value, int) else "real"


def _number_of(name: str, signature: Signature, variants: list[_Variant]) -> int:
    """Give a number that differs between expressions, the same on every machine."""
    text = [name, *signature.fields, *signature.states]
    for variant in variants:
        text.append(repr((variant.switches, variant.states, variant.param, variant.results)))
        text += [f"{n.op} {n.arguments} {n.value.hex()} {n.place}" for n in variant.nodes]
    digest = hashlib.sha256("\n".join(text).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _new_class(name: str, base: type, members: dict[str, Any], **kwds: Any) -> Any:
    return types.new_class(name, (base,), kwds, lambda space: space.update(members))


def _make(function: Callable[..., Any], name: str) -> type[ElementwiseMethod]:
    signature = read_signature(function, name)
    variants = _variants(function, name, signature)
    algorithm = _Algorithm(
        name,
        [(field, float(value), _kind(value)) for field, value in signature.fields.items()],
        [(state, float(value)) for state, value in signature.states.items()],
        [tuple(variant) for variant in variants],  # type: ignore[misc]
    )
    place = {"__module__": function.__module__}
    path = function.__qualname__.rpartition(".")[0]
    qualname = f"{path}.{name}" if path else name
    rule = _new_class(
        f"{name}Rule",
        ElementwiseRule,
        {
            **place,
            "__qualname__": f"{qualname}.{name}Rule",
            "__doc__": f"Update rule of :class:`{name}`.",
            "_fields": tuple(signature.fields),
            "_expression": _number_of(name, signature, variants),
        },
        algorithm=algorithm,
    )
    members = {field: HyperparameterProxy(field) for field in signature.fields}
    keywords = [
        inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=value)
        for field, value in signature.fields.items()
    ]
    algorithm.optimizer = _new_class(
        name,
        ElementwiseMethod,
        {
            **place,
            **members,
            "__qualname__": qualname,
            "__doc__": function.__doc__,
            "__signature__": inspect.Signature(keywords),
            "function": staticmethod(function),
            "_defaults": dict(signature.fields),
            rule.__name__: rule,
        },
        rule=rule,
    )
    made: type[ElementwiseMethod] = algorithm.optimizer
    return made


@overload
def elementwise_rule(function: Callable[..., Any], /) -> type[ElementwiseMethod]: ...
@overload
def elementwise_rule(
    *, name: str | None = None
) -> Callable[[Callable[..., Any]], type[ElementwiseMethod]]: ...


def elementwise_rule(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None
) -> Any:
    """Make an optimizer of a function that says how one element is updated.

    The signature is the declaration: the parameter, its gradient, then the states, which start at
    their defaults (0 without one); after ``*`` the hyperparameters with their defaults, and ``t``,
    without one, if the number of the update is wanted, counted from 1. The function returns the
    parameter's new value and, in order, those of the states.

    It is called once, with symbols, and what it does to them is recorded. The result runs like a
    built-in rule: in one sweep with all others, on the CPU and on CUDA, with hooks, half precision,
    snapshots and values of its own for each parameter. What depends on hyperparameters and ``t``
    alone is computed in double, once per parameter and step; a division by it multiplies by the
    inverse. Arithmetic, comparisons, ``&``, ``|``, ``~``, ``numpy.where``, ``numpy.clip`` and
    NumPy's elementwise functions from ``abs`` to ``tanh`` are known; ``log2``, ``log10`` and
    ``exp2`` come from ``log`` and ``exp``, so that the floor of one may be off by one at exact
    powers, and the sign of a zero is not kept. A hyperparameter whose default
    is True or False may be branched on: the function is then recorded for both.

    Args:
        function: The function.
        name: Name of the optimizer class; the function's by default.

    Returns:
        A class of optimizers, a :class:`~chainrule.optimizer.GradientMethod`. Its arguments are the
        hyperparameters, by keyword. ``function`` on it is the function itself.

    Raises:
        TraceError: If the function does something else with a value, such as branching on it; the
            message says what, and in which line.
        TypeError: If the signature is another one.
        ValueError: If there are more than 16 hyperparameters, 4 states, or 16 numbers computed from
            hyperparameters, or more than 24 values are needed at the same time.

    Example:
        >>> import chainrule, numpy
        >>> @chainrule.elementwise_rule
        ... def SignMomentum(p, g, m, *, lr=1e-3, beta=0.9):
        ...     m = beta * m + (1 - beta) * g
        ...     return p - lr * numpy.sign(m), m
        >>> link = chainrule.Link(w=2)
        >>> link.w.array[:] = 1
        >>> optimizer = SignMomentum(lr=0.25).setup(link)
        >>> link.w.grad = numpy.array([3, -4], numpy.float32)
        >>> optimizer.update()
        >>> link.w.array
        array([0.75, 1.25], dtype=float32)
        >>> print(SignMomentum.listing())
        s0 = combine s0 g c0 c1
        r0 = sign s0 1 -0 1 -0
        p = combine p r0 1 c2
    """
    if function is None:
        return lambda function: elementwise_rule_of(function, name)
    return elementwise_rule_of(function, name)


def elementwise_rule_of(function: Any, name: str | None) -> type[ElementwiseMethod]:
    """Make the class; what :func:`elementwise_rule` does with and without arguments.

    Args:
        function: The function.
        name: Name of the class, or None.

    Returns:
        The class.
    """
    if not inspect.isfunction(function):
        raise TypeError(
            f"[elementwise_rule] got {type(function).__name__}, expected a function of p, g, "
            "states, and after * hyperparameters with defaults"
        )
    return _make(function, name or function.__name__)
