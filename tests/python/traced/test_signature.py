"""Signatures and results that make no rule."""

import numpy as np
import pytest

import chainrule


def line_of(function):
    return f"{__file__}:{function.__code__.co_firstlineno}"


REFUSED = {
    "p, g, states": [lambda p: p, lambda *, lr=1: lr, lambda p=1, g=2: p - g],
    "'*states' cannot be traced": [lambda p, g, *states: p],
    "'*values' cannot be traced": [lambda p, g, **values: p],
    "'lr' has no default": [lambda p, g, *, lr: p],
    "the default of 'lr' is no number: got 'x'": [lambda p, g, *, lr="x": p],
    "the first value of 'm' is no number: got None": [lambda p, g, m=None: (p, m)],
    "the default of 'lr' is too large for a float": [lambda p, g, *, lr=10**400: p],
    "cannot be called 'setup'": [lambda p, g, *, setup=1: p],
    "cannot be called 't'": [lambda p, g, t: (p, t)],
    "cannot be called 'fp32_param': rules save": [lambda p, g, fp32_param: (p, g)],
    "cannot be called 'm_scale' beside 'm'": [lambda p, g, m_scale, m: (p, g, g)],
    "cannot be called 'parent'": [lambda p, g, *, parent=1: p],
    "got 1, expected 2: the new p, the new m": [lambda p, g, m: p],
    "got 3, expected 2: the new p, the new m": [lambda p, g, m: (p, m, m)],
    "the new p is no number: got NoneType": [lambda p, g: None],
    "the new m is no number: got dict": [lambda p, g, m: (p, {})],
}


@pytest.mark.parametrize(("words", "function"), [(w, f) for w in REFUSED for f in REFUSED[w]])
def test_signatures_and_results_that_are_refused(words, function):
    with pytest.raises(TypeError) as caught:
        chainrule.elementwise_rule(name="Mine")(function)
    assert "[elementwise_rule] Mine: " in str(caught.value)
    assert words in str(caught.value)
    assert line_of(function) in str(caught.value)


def test_what_is_no_function_or_too_large_is_refused():
    with pytest.raises(TypeError, match="got type, expected a function"):
        chainrule.elementwise_rule(dict)
    with pytest.raises(TypeError, match="got 5 hyperparameters that are True or False"):
        chainrule.elementwise_rule(lambda p, g, *, a=True, b=True, c=True, d=True, e=True: p)
    with pytest.raises(ValueError, match="5 states, expected at most 4"):
        chainrule.elementwise_rule(lambda p, g, a, b, c, d, e: (p, a, b, c, d, e + g))
    with pytest.raises(ValueError, match="not finite"):
        chainrule.elementwise_rule(lambda p, g, *, lr=np.inf: p - lr * g)
    fields = ", ".join(f"h{i}=1.0" for i in range(17))
    with pytest.raises(ValueError, match="17 hyperparameters, expected at most 16"):
        chainrule.elementwise_rule(eval(f"lambda p, g, *, {fields}: p"))

    def long(p, g, *, lr=1.0):
        for i in range(20):
            p = np.tanh(p * (lr + i))
        return p

    with pytest.raises(ValueError, match=r"computed from hyperparameters, expected at most 16"):
        chainrule.elementwise_rule(long)


def test_an_error_of_the_function_itself_comes_through():
    def rule(p, g):
        return p - undefined_name * g  # noqa: F821

    with pytest.raises(NameError, match="undefined_name"):
        chainrule.elementwise_rule(rule)
