"""The record of a trace."""

import math

import pytest

from chainrule.traced.trace import Trace


def test_equal_nodes_are_one():
    trace = Trace("rule")
    p, g = trace.add("param"), trace.add("grad")
    assert trace.add("add", p, g) == trace.add("add", p, g)
    assert trace.add("add", p, g) != trace.add("add", g, p)
    assert trace.constant(0.0) != trace.constant(-0.0)
    assert trace.constant(math.nan) == trace.constant(math.nan)
    assert trace.add("field", place=0) != trace.add("field", place=1)


@pytest.mark.parametrize(
    ("exponent", "ops"),
    [
        (1, []),
        (2, ["square"]),
        (3, ["square", "multiply"]),
        (4, ["square", "square"]),
        (0.5, ["sqrt"]),
        (-0.5, ["add", "sqrt", "divide"]),
        (-1, ["divide"]),
        (0.3, ["power"]),
        (1.5, ["power"]),
        (17, ["power"]),
        (math.inf, ["power"]),
    ],
)
def test_powers(exponent, ops):
    trace = Trace("rule")
    p = trace.add("param")
    trace.power(p, trace.constant(exponent))
    assert [n.op for n in trace.nodes if n.op not in ("param", "constant")] == ops


def test_a_root_of_what_has_no_minus_zero_needs_no_sum():
    trace = Trace("rule")
    squares = trace.add("square", trace.add("grad"))
    state = trace.add("add", trace.add("state"), trace.add("field"))
    before = len(trace.nodes)
    for base in (squares, state):
        trace.power(base, trace.constant(-0.5))
    assert "add" not in [node.op for node in trace.nodes[before:]]
