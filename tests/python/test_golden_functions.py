"""Every function against values, gradients and second gradients from Chainer 7.8.1."""

import collections
import pathlib
import sys

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import Variable

sys.path.insert(0, str(pathlib.Path(__file__).parent / "golden"))
import golden_cases
import golden_function_cases

RTOL = {"float16": 4e-3, "float32": 3e-6, "float64": 1e-12}
DATA = golden_cases.load("functions")


#: Functions with values from Chainer that are not written yet, by the part of the library that they
#: come with; a function that is there, or one that is missing here, fails the first test.
NOT_YET: dict[str, tuple[str, ...]] = {
    "more elementwise mathematics": (
        *("clipped_relu", "erf", "expm1", "floor", "fmod", "hard_sigmoid", "log1p", "relu6"),
        *("rsqrt", "selu", "sign"),
    ),
    "more reductions and scans": ("batch_l2_norm_squared", "cumsum", "prod"),
    "more array manipulation": ("hstack", "pad", "tile", "vstack"),
    "more losses and evaluation": (
        *("absolute_error", "binary_accuracy", "hinge", "huber_loss", "mean_absolute_error"),
        "squared_error",
    ),
    "embeddings": ("embed_id",),
    "normalization": ("normalize",),
}
MISSING = {name for names in NOT_YET.values() for name in names}
#: Cases that are written with operators, not with a function of their name.
WITH_OPERATORS = {"pow", "swish_like"}


class Functions:
    """The functions under test; one that is missing is None."""

    def __getattr__(self, name):
        return getattr(F, name, None)


CALLS = golden_function_cases.build(Functions())
# "function/variant/dtype" -> kind of value ("grad", "grad2", ...) -> names
CASES = collections.defaultdict(lambda: collections.defaultdict(list))
for key in DATA:
    if key.startswith("in/"):
        continue
    function, variant, dtype, kind, *name = key.split("/")
    CASES[f"{function}/{variant}/{dtype}"][kind].append("/".join(name))


def inputs(dtype):
    arrays = golden_function_cases.arrays()
    return {n: Variable(a.astype(dtype) if a.dtype.kind == "f" else a) for n, a in arrays.items()}


def compute(case, dtype, variables):
    np.random.seed(golden_function_cases.SEED)
    with chainrule.using_config("chainer_semantics", True):  # dropout draws as Chainer does
        y = CALLS[case](variables)
    return list(y) if isinstance(y, (tuple, list)) else [y]


def assert_close(got, want, dtype):
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=RTOL[dtype], atol=RTOL[dtype])


def outputs(kinds, prefix):
    """The keys of a value of each output: y or y0, y1 ..."""
    return sorted(k for k in kinds if k.rstrip("0123456789") == prefix and k != "grad2")


def is_there(case):
    return case.split("/")[0] not in MISSING


def test_what_is_left_out_is_known():
    functions = {case.split("/")[0] for case in CASES} - WITH_OPERATORS
    assert {name for name in functions if not hasattr(F, name)} == MISSING


@pytest.mark.parametrize("case", sorted(filter(is_there, CASES)))
def test_as_chainer(case):
    function, variant, dtype = case.split("/")
    kinds = CASES[case]
    variables = inputs(dtype)
    ys = compute(f"{function}/{variant}", dtype, variables)
    for y, key in zip(ys, outputs(kinds, "y"), strict=True):
        assert_close(y.array, DATA[f"{case}/{key}"], dtype)
    if "grad" not in kinds:
        return
    gys = [DATA[f"{case}/{key}"].astype(dtype) for key in outputs(kinds, "gy")]
    wanted = [variables[name] for name in kinds["grad"]]
    found = chainrule.grad(ys, wanted, [Variable(g) for g in gys])
    for gx, x, name in zip(found, wanted, kinds["grad"], strict=True):
        gx = np.zeros(x.shape, x.dtype) if gx is None else gx.array
        assert_close(gx, DATA[f"{case}/grad/{name}"], dtype)


@pytest.mark.parametrize("case", sorted(c for c in CASES if is_there(c) and "grad2" in CASES[c]))
def test_second_gradients_as_chainer(case):
    function, variant, dtype = case.split("/")
    kinds = CASES[case]
    variables = inputs(dtype)
    ys = compute(f"{function}/{variant}", dtype, variables)
    gys = [Variable(DATA[f"{case}/{key}"].astype(dtype)) for key in outputs(kinds, "gy")]
    xs = [variables[name] for name in kinds["ggx"]]
    gxs = chainrule.grad(ys, xs, gys, enable_double_backprop=True)
    ggxs = [Variable(DATA[f"{case}/ggx/{name}"]) for name in kinds["ggx"]]
    for name in kinds["grad2"]:
        target = gys[0] if name == "gy" else variables[name]
        (g,) = chainrule.grad(gxs, [target], ggxs, retain_grad=True)
        got = np.zeros(target.shape, target.dtype) if g is None else g.array
        assert_close(got, DATA[f"{case}/grad2/{name}"], dtype)
