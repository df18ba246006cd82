import os

import numpy as np
import pytest

from chainrule import utils


def test_force_array():
    x = np.ones(2)
    assert utils.force_array(x) is x
    number = utils.force_array(np.float32(2))
    assert (type(number), number.dtype) == (np.ndarray, np.float32)
    assert utils.force_array(3, np.float16).dtype == np.float16


def test_force_type():
    x = np.ones(2, np.float32)
    assert utils.force_type(np.dtype("float32"), x) is x
    assert utils.force_type(np.dtype("float64"), x).dtype == np.float64
    assert type(utils.force_type(np.dtype("float64"), 3)) is int
    assert utils.force_type(np.dtype("float64"), np.float32(3)).dtype == np.float64


def test_size_of_shape():
    assert utils.size_of_shape((2, 3)) == 6
    assert utils.size_of_shape(()) == 1


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (3,), (2, 1), (1,), ()])
def test_sum_to(shape):
    x = np.arange(6.0).reshape(2, 3)
    found = utils.sum_to(x, shape)
    assert found.shape == shape
    # Summing is the transpose of broadcasting.
    assert (found * np.ones(shape)).sum() == x.sum()
    weights = np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape)
    assert (found * weights).sum() == (x * np.broadcast_to(weights, x.shape)).sum()


def test_tempdir():
    with utils.tempdir(prefix="chainrule") as folder:
        assert os.path.isdir(folder)
        with open(os.path.join(folder, "file"), "w") as file:
            file.write("x")
    assert not os.path.exists(folder)
