import json
import pathlib
import re

import numpy as np
import pytest

import chainrule
import chainrule.links as L
from chainrule import compat, initializers
from golden import golden_cases

FACTS = json.loads((golden_cases.HERE / "behaviour.json").read_text())
GOLDEN = golden_cases.load("initializers")

# The very table that Chainer walked, its `chainer` being ours.
compat.install()
try:
    from golden import golden_initializers as table
finally:
    compat.uninstall()

KEYS = [
    (case, shape, dtype)
    for case in table.CASES
    for shape in table.SHAPES
    for dtype in ("float32", "float64")
    if dtype == "float32" or case in table.DTYPE_CASES
]


def key_of(case, shape, dtype):
    return f"{case}/{table.label(shape)}" + ("" if dtype == "float32" else f"/{dtype}")


def fill(case, shape, dtype):
    np.random.seed(table.SEED)
    return initializers.generate_array(table.CASES[case](), shape, np, dtype=dtype)


@pytest.mark.parametrize(("case", "shape", "dtype"), KEYS, ids=[key_of(*key) for key in KEYS])
def test_same_numbers_as_chainer(case, shape, dtype):
    key = key_of(case, shape, dtype)
    if key in GOLDEN:
        array = fill(case, shape, dtype)
        assert array.dtype == dtype
        # A QR decomposition may differ in the last bits between LAPACKs.
        rtol = 1e-5 if case.startswith("Orthogonal") else 0
        np.testing.assert_allclose(array, GOLDEN[key], rtol=rtol, atol=rtol)
        return
    error, message = FACTS["initializer_refusals"][key_of(case, shape, "float32")]
    if error != "ValueError" or "unpack" in message:
        message = "shape: got"
    with pytest.raises(ValueError, match=re.escape(message)):
        fill(case, shape, dtype)


LINKS = ("two_linear", "sequential", "linear_options", "linear_nobias", "linear_scalars", "repeat")


@pytest.mark.parametrize("name", LINKS)
def test_links_draw_in_chainers_order(name):
    make, shape = table.LINKS[name]
    np.random.seed(table.SEED)
    link = make()
    if shape is not None:
        with chainrule.no_backprop_mode():
            link(np.ones(shape, np.float32))
    params = {path: param.array for path, param in link.namedparams()}
    prefix = f"links/{name}"
    assert {prefix + path for path in params} == {k for k in GOLDEN if k.startswith(prefix + "/")}
    for path, array in params.items():
        np.testing.assert_array_equal(array, GOLDEN[prefix + path])


def test_get_fans():
    assert chainrule.initializer.get_fans((4, 3)) == (3, 4)
    assert chainrule.initializer.get_fans((4, 3, 2, 5)) == (30, 40)
    with pytest.raises(ValueError, match=r"shape must be of length >= 2. Actual shape: \(3,\)"):
        chainrule.initializer.get_fans((3,))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 2, 3), (5, 5)])
def test_orthogonal_is_orthogonal(shape):
    array = initializers.generate_array(initializers.Orthogonal(2.0, np.float64), shape)
    matrix = array.reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_generators_of_numpy_can_be_used():
    first, second = (
        initializers.generate_array(make(rng=np.random.default_rng(3)), shape)
        for make, shape in ((initializers.Orthogonal, ()), (initializers.Normal, (2, 2)))
    )
    assert abs(first) == np.float32(1.1)
    assert second.shape == (2, 2)


def test_dtypes():
    one = initializers.One(np.float64)
    assert initializers.generate_array(one, (2,)).dtype == np.float64
    with pytest.raises(ValueError, match="dtype mismatch: float32 != float64"):
        initializers.generate_array(one, (2,), np, np.float32)
    with pytest.raises(
        TypeError, match=r"\[One\] dtype of the array: got float32, expected float64"
    ):
        one(np.empty(2, np.float32))


def test_any_callable_fills():
    array = initializers.generate_array(lambda a: a.fill(2), (2,))
    np.testing.assert_array_equal(array, np.full(2, 2, np.float32))


def test_misuse():
    with pytest.raises(ValueError, match="'glorot'"):
        L.Linear(2, 2, initialW="glorot")
    with pytest.raises(TypeError, match="got list"):
        L.Linear(2, 2, initialW=[1, 2])
    with pytest.raises(ValueError, match=r"Invalid mode: 'tall'\. Choose from 'auto'"):
        initializers.Orthogonal(mode="tall")
    with pytest.raises(ValueError, match="fan_option should be either"):
        initializers.generate_array(initializers.HeNormal(fan_option="fan"), (2, 2))
    with pytest.raises(ValueError, match="Unsupported interpolation: cubic"):
        initializers.UpsamplingDeconvFilter("cubic")
    with pytest.raises(ValueError, match="must be non-empty"):
        initializers.generate_array(initializers.Orthogonal(), (0, 3))
    with pytest.raises(NotImplementedError):
        chainrule.Initializer()(np.empty(2))


def subclasses(cls):
    for child in cls.__subclasses__():
        if child.__module__.startswith("chainrule.initializers"):
            yield child
            yield from subclasses(child)


def test_the_table_is_complete():
    classes = {cls.__name__ for cls in subclasses(chainrule.Initializer)}
    tested = {case.partition("/")[0] for case in table.CASES}
    assert {name for name in classes if not name.startswith("_")} == tested
    assert pathlib.Path(table.__file__).name == "golden_initializers.py"
