"""Rules as machine code against the same ones interpreted: the same bits."""

import operator
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import _core, optimizer_hooks

if _core.instruction_set() == "baseline":
    pytest.skip("kernels for processors without AVX2 interpret all rules", allow_module_level=True)

SWITCH = "CHAINRULE_COMPILE_RULES"


def without_division_by_little(x, y):
    return x / (np.abs(y) + 0.5)


BINARY = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    without_division_by_little,
    np.minimum,
    np.maximum,
    lambda x, y: np.where(x < y, x, -y),
    lambda x, y: np.where(x >= 0.25, y, 1.0),
    lambda x, y: x / (np.sqrt(np.abs(y)) + 0.1),
)
UNARY = (
    operator.neg,
    np.abs,
    np.sign,
    np.square,
    np.floor,
    lambda x: np.sqrt(np.abs(x)),
    lambda x: np.clip(x, -0.5, 0.75),
    lambda x: 1.0 / (np.abs(x) + 0.25),
    lambda x: x * (x == 0.5) + (x != 0.5),
)
LEAVES = st.sampled_from(["p", "g", "m", "v", "lr", "beta", 0.125, 3.0])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda smaller: st.one_of(
        st.tuples(st.sampled_from(BINARY), smaller, smaller),
        st.tuples(st.sampled_from(UNARY), smaller),
    ),
    max_leaves=12,
)


def evaluated(expression, names):
    if isinstance(expression, str):
        return names[expression]
    if isinstance(expression, float):
        return expression
    function, *arguments = expression
    return function(*(evaluated(argument, names) for argument in arguments))


def rule_of(first, second, third):
    """Make a rule of three expressions."""

    @chainrule.elementwise_rule
    def Random(p, g, m, v, *, lr=0.01, beta=0.9):
        names = {"p": p, "g": g, "m": m, "v": v, "lr": lr, "beta": beta}
        new_m, new_v = evaluated(second, names), evaluated(third, names)
        step = evaluated(first, names | {"m": new_m, "v": new_v})
        # Everything is used, and nothing grows without bound.
        bounded = np.clip(step, -8.0, 8.0)
        return p - lr * bounded + 0 * (m + v), beta * m + 0.1 * np.clip(new_m, -4.0, 4.0), new_v

    return Random


def trained(rule, dtype, hooks, statistics, state_dtype):
    """Train parameters of many sizes for a few steps; give all arrays."""
    random = np.random.default_rng(5)
    link = chainrule.ChainList()
    for size in (0, 1, 7, 16, 33, 300, 4099):
        start = random.standard_normal(size).astype(np.float32)
        part = chainrule.Link()
        with part.init_scope():
            part.w = chainrule.Parameter(start.astype(dtype))
        link.add_link(part)
    optimizer = rule().setup(link)
    for param in link.params():
        param.update_rule.state_dtype = state_dtype
        param.update_rule.seed = 1  # of what rounds states
    if hooks:
        optimizer.add_hook(optimizer_hooks.WeightDecay(0.01))
        optimizer.add_hook(optimizer_hooks.GradientHardClipping(-1.5, 1.5))
    if statistics:
        optimizer.observe()
    for _ in range(3):
        for param in link.params():
            param.grad = random.standard_normal(param.shape).astype(np.float32).astype(dtype)
        optimizer.update()
    out = []
    for param in link.params():
        out.append(param.array.copy())
        out.extend(state.copy() for _, state in sorted((param.update_rule.state or {}).items()))
        if statistics:
            out.extend(np.array(x) for _, x in sorted(param.update_rule.statistics.items()))
    return out


@settings(deadline=None, max_examples=60)
@given(
    expressions=st.tuples(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS),
    dtype=st.sampled_from(["float32", "float64", "float16"]),
    hooks=st.booleans(),
    statistics=st.booleans(),
    state_dtype=st.sampled_from([None, "bfloat16"]),
)
def test_the_same_bits_as_interpreted(expressions, dtype, hooks, statistics, state_dtype):
    with pytest.MonkeyPatch.context() as patch:
        try:
            rule = rule_of(*expressions)
        except (ValueError, TypeError, ZeroDivisionError):
            return  # nothing per element, or a division by zero
        patch.setenv(SWITCH, "0")
        interpreted = rule_of(*expressions)
    assert interpreted.why_interpreted() == f"{SWITCH}=0"
    assert rule.why_interpreted() in (
        None,
        "more values at a time than the processor has registers",
    )
    with np.errstate(all="ignore"):
        options = (dtype, hooks, statistics, state_dtype)
        try:
            ours = trained(rule, *options)
        except ValueError as error:  # both refuse it
            with pytest.raises(ValueError, match=re.escape(str(error))):
                trained(interpreted, *options)
            return
        theirs = trained(interpreted, *options)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.astype(np.float64), b.astype(np.float64))


def test_series_are_interpreted():
    @chainrule.elementwise_rule
    def Saturating(p, g, *, lr=0.1):
        return p - lr * np.tanh(g)

    assert Saturating.why_interpreted() == "the instruction tanh"


def test_the_common_rules_are_machine_code():
    @chainrule.elementwise_rule
    def Adam(p, g, m, v, *, alpha=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, t):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)
        return p - alpha * step, m, v

    @chainrule.elementwise_rule
    def Lion(p, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99):
        return p - lr * np.sign(beta1 * m + (1 - beta1) * g), beta2 * m + (1 - beta2) * g

    assert Adam.why_interpreted() is None
    assert Lion.why_interpreted() is None
