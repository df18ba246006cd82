"""Muon, Adafactor and SOAP against PyTorch and pytorch-optimizer over 50 steps."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizers
from golden import golden_cases
from golden import golden_tensor_rules as golden

# In units of the dtype's epsilon, of the larger of 1 and the value: five times what was seen.
TOLERANCE = {"Muon": 40.0, "Adafactor": 40.0, "SOAP": 40.0}


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return golden_cases.load("tensor_rules")


@pytest.mark.parametrize("dtype", golden.DTYPES)
@pytest.mark.parametrize("name", golden.CASES)
def test_equal_to_reference(values, name, dtype):
    case = golden.CASES[name]
    link = chainrule.Link()
    with link.init_scope():
        for key, value in golden.start(case, dtype).items():
            setattr(link, key, chainrule.Parameter(value))
    optimizer = getattr(optimizers, case.cls)(**case.ours).setup(link)
    bound = TOLERANCE[case.cls] * np.finfo(dtype).eps
    for step, grads in enumerate(golden.gradients(case, dtype, max(golden.STEPS)), start=1):
        for key, grad in grads.items():
            getattr(link, key).grad = grad
        optimizer.update()
        if step not in golden.STEPS:
            continue
        for key in case.shapes:
            theirs = values[f"{name}/{dtype}/step{step}/{key}"].astype(np.float64)
            ours = getattr(link, key).array
            assert ours.dtype == dtype
            error = np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))
            assert error.max() <= bound, f"{key} at step {step}: {error.max() / bound:.3g} of it"
