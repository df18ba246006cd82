"""Adafactor: which states there are, and values out of range."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers


def test_states_are_rows_and_columns():
    link = chainrule.Link(w=(4, 3), k=(2, 5, 4, 3), b=3)
    optimizer = optimizers.Adafactor().setup(link)
    link.k.update_rule.hyperparam.beta1 = 0.5
    for param in link.params():
        param.array[...] = 1
        param.grad = np.ones_like(param.array)
    optimizer.update()
    shapes = {p.name: {k: v.shape for k, v in p.update_rule.state.items()} for p in link.params()}
    assert shapes == {
        "w": {"row": (4,), "col": (3,)},
        "k": {"m": (2, 5, 4, 3), "row": (2, 5, 4), "col": (2, 5, 3)},
        "b": {"v": (3,)},
    }


def test_tiny_gradients_of_a_half_precision_parameter_do_not_vanish():
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(np.ones((4, 3), np.float16))
    optimizer = optimizers.Adafactor(lr=0.1, scale_parameter=False, relative_step=False)
    optimizer.setup(link)
    link.w.grad = np.full((4, 3), 1e-6, np.float16)  # its square is no float16
    optimizer.update()
    np.testing.assert_allclose(link.w.array, 0.9, rtol=1e-3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("beta1", 1.0), ("decay_rate", -0.1), ("clip_threshold", 0.0), ("eps1", -1.0), ("eps2", -1.0)],
)
def test_values_out_of_range(field, value):
    link = chainrule.Link(w=(4, 3))
    optimizer = optimizers.Adafactor(**{field: value}).setup(link)
    link.w.grad = np.ones_like(link.w.array)
    before = link.w.array.copy()
    with pytest.raises(ValueError, match=f"/w: hyperparameter '{field}' of Adafactor"):
        optimizer.update()
    np.testing.assert_array_equal(link.w.array, before)
    assert link.w.update_rule.t == 0
