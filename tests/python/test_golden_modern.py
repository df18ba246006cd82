"""Rules that Chainer does not have, against PyTorch, optax and the authors' packages."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
import rule_table
from chainrule import optimizers
from golden import golden_cases, golden_modern

ROW_OF = {name: row for row in rule_table.ROWS for name in row.classes}


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return golden_cases.load("modern")


def units(ours: np.ndarray, theirs: np.ndarray, floor: float) -> float:
    """The greatest difference, in machine epsilons of the larger of `floor` and the value."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    size = np.maximum(np.abs(b), floor)
    return float(np.max(np.abs(a - b) / size)) / float(np.finfo(theirs.dtype).eps)


@pytest.mark.parametrize("dtype", golden_modern.DTYPES)
@pytest.mark.parametrize("name", golden_modern.CASES)
def test_equal_to_the_reference(values, name, dtype):
    case = golden_modern.CASES[name]
    row = ROW_OF[case.cls]
    link = chainrule.Link()
    with link.init_scope():
        for key, value in golden_cases.start(dtype).items():
            setattr(link, key, chainrule.Parameter(value))
    optimizer = getattr(optimizers, case.cls)(**case.ours).setup(link)
    steps = golden_modern.gradients(case, dtype, max(golden_modern.STEPS))
    for step, grads in enumerate(steps, start=1):
        for key, grad in grads.items():
            getattr(link, key).grad = grad
        optimizer.update()
        if step not in golden_modern.STEPS:
            continue
        for key in golden_cases.SHAPES:
            param = getattr(link, key)
            prefix = f"{name}/{dtype}/step{step}/{key}"
            assert param.array.dtype == dtype
            assert units(param.array, values[prefix], 1.0) <= row.param, prefix
            for state, array in param.update_rule.state.items():
                theirs = values.get(f"{prefix}/{state}")
                if theirs is not None:
                    floor = float(np.abs(theirs).max())
                    assert units(array, theirs, floor) <= row.state, f"{prefix}/{state}"


def test_every_rule_without_a_twin_in_chainer_has_cases():
    chainers = {name for name, _ in golden_cases.OPTIMIZERS.values()}
    chainers |= {"Adafactor", "Muon", "SOAP"}  # in test_golden_tensor_rules.py
    assert {case.cls for case in golden_modern.CASES.values()} >= set(ROW_OF) - chainers
