"""Values, gradients and second gradients against Chainer 7.8.1 (tests/python/golden)."""

import pathlib
import sys

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import Variable

GOLDEN = pathlib.Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import golden_function_cases as function_cases  # noqa: E402

EXPECTED = np.load(GOLDEN / "functions.npz")
RTOL = {"float32": 2e-6, "float64": 1e-13}


class Missing:
    """Stands for a function that is not there yet."""

    def __call__(self, *args, **kwargs):
        raise NotImplementedError


class Functions:
    """``chainrule.functions``, with a stand-in for what it does not have."""

    def __getattr__(self, name):
        return getattr(F, name, Missing())


#: Cases whose first part is no name of a function.
COMPOSED = {"pow": "add", "swish_like": "sigmoid"}
CALLS = function_cases.build(Functions())
CASES = [
    case
    for case in CALLS
    if hasattr(F, COMPOSED.get(case.split("/")[0], case.split("/")[0]))
    # Labels that are numbers between 0 and 1 and 3 axes to flatten are other helpers' business.
]


class Inputs(dict):
    """The inputs of one case as Variables of one dtype, made when they are asked for."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def __missing__(self, name):
        value = EXPECTED[f"in/{name}"]
        self[name] = Variable(value.astype(self.dtype) if value.dtype == np.float64 else value)
        return self[name]


def assert_close(got, expected, dtype, scale=1.0):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    tolerance = RTOL[dtype] * scale
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_all_functions_of_the_file_are_tried_that_there_are():
    names = {case.split("/")[0] for case in CASES}
    assert {"sum", "max", "logsumexp", "get_item", "dropout", "maximum", "where"} <= names
    assert len(CASES) > 120


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_as_chainer(case, dtype):
    prefix = f"{case}/{dtype}"
    inputs = Inputs(dtype)
    np.random.seed(function_cases.SEED)
    with chainrule.using_config("chainer_semantics", True):
        outputs = CALLS[case](inputs)
    single = isinstance(outputs, Variable)
    outputs = [outputs] if single else list(outputs)
    gys = []
    for index, y in enumerate(outputs):
        tail = "" if single else str(index)
        assert_close(y.array, EXPECTED[f"{prefix}/y{tail}"], dtype)
        if y.dtype.kind == "f":
            gys.append(Variable(EXPECTED[f"{prefix}/gy{tail}"]))
    floats = {
        name: x
        for name, x in inputs.items()
        if x.dtype.kind == "f" and name not in function_cases.CONSTANT
    }
    if not gys or not floats:
        return
    grads = chainrule.grad(outputs, list(floats.values()), gys, enable_double_backprop=True)
    total = None
    for name, grad in zip(floats, grads, strict=True):
        assert (grad is not None) == (f"{prefix}/grad/{name}" in EXPECTED), name
        if grad is None:
            continue
        assert_close(grad.array, EXPECTED[f"{prefix}/grad/{name}"], dtype, 4)
        if f"{prefix}/ggx/{name}" in EXPECTED:
            part = F.sum(grad * EXPECTED[f"{prefix}/ggx/{name}"])
            total = part if total is None else total + part
    if total is None or total.creator is None:
        return
    seconds = chainrule.grad([total], [*floats.values(), gys[0]])
    for name, second in zip([*floats, "gy"], seconds, strict=True):
        key = f"{prefix}/grad2/{name}"
        got = np.zeros_like((inputs | {"gy": gys[0]})[name].array) if second is None else second.array
        want = EXPECTED[key] if key in EXPECTED else np.zeros_like(got)
        assert_close(got, want, dtype, 16)
