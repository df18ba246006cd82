import numpy as np
import pytest

import chainrule
import chainrule.functions as F
from chainrule import Variable, _core, gradient_check


def philox4x32(counter, key):
    """One block of the generator, by the paper, in Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def expected_mask(size, ratio, key):
    words = []
    for i in range(size):
        counter = i // 64 * 16 + i % 16
        block = philox4x32((counter % 2**32, counter >> 32, 0, 0), (key % 2**32, key >> 32))
        words.append(block[i // 16 % 4])
    return np.where(np.array(words) < ratio * 2**32, 0, 1 / (1 - ratio))


def test_the_reference_gives_the_papers_known_answers():
    # From the known-answer tests published with Random123.
    assert philox4x32((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 2**32 - 1
    assert philox4x32((ones,) * 4, (ones,) * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5, 0.9])
def test_the_mask_is_the_generators(ratio):
    key = 0x123456789ABCDEF0
    for size in (0, 1, 63, 64, 65, 1000):
        mask = _core.dropout_mask(np.ones(size), ratio, key)
        np.testing.assert_array_equal(mask, expected_mask(size, ratio, key))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, "bfloat16"])
def test_the_choice_depends_on_neither_dtype_nor_layout_nor_threads(dtype):
    key = 7
    x = np.random.uniform(1, 2, (300, 400))
    kept = _core.dropout_mask(x, 0.3, key) != 0
    x = F.cast(x, dtype)
    before = _core.num_threads()
    try:
        for threads in (1, 2, 5):
            _core.set_num_threads(threads)
            for view in (x, F.transpose(F.cast(F.transpose(x).array.copy(), dtype))):
                np.testing.assert_array_equal(_core.dropout(view, 0.3, key).array != 0, kept)
    finally:
        _core.set_num_threads(before)


def test_the_share_and_the_mean_are_right():
    x = np.ones((1000, 1000), np.float32)
    for ratio in (0.1, 0.5, 0.8):
        y = F.dropout(x, ratio).array
        assert abs((y == 0).mean() - ratio) < 0.003
        assert abs(y.mean() - 1) < 0.01
        # Neighbours have nothing to do with each other.
        together = ((y[:, 1:] == 0) & (y[:, :-1] == 0)).mean()
        assert abs(together - ratio**2) < 0.003


def test_numpy_seed_makes_it_repeatable():
    x = np.ones(200, np.float32)
    runs = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        runs.append([F.dropout(x).array for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0][0] != runs[2][0]).any()
    assert (runs[0][0] != runs[0][1]).any()


def test_gradients_pass_where_values_do():
    x = Variable(np.random.uniform(1, 2, (5, 7)))
    y, mask = F.dropout(x, 0.4, return_mask=True)
    np.testing.assert_allclose(y.array, x.array * mask)
    y.grad = np.random.uniform(1, 2, y.shape)
    y.backward()
    np.testing.assert_allclose(x.grad, y.grad * mask)
    data = np.random.uniform(-1, 1, (3, 5))
    gradient_check.check_backward(lambda x: _core.dropout(x, 0.5, 3), data, data)
    gradient_check.check_double_backward(lambda x: _core.dropout(x, 0.5, 3), data, data, data)


def test_a_given_mask_is_used():
    x = Variable(np.array([1.0, 2.0, 3.0]))
    mask = np.array([0.0, 2.0, 2.0])
    y, same = F.dropout(x, mask=mask, return_mask=True)
    assert same is mask
    F.sum(y).backward()
    np.testing.assert_array_equal(y.array, [0, 4, 6])
    np.testing.assert_array_equal(x.grad, mask)


def test_chainer_semantics_draw_the_mask_from_numpy():
    x = np.random.uniform(1, 2, (3, 4)).astype(np.float32)
    with chainrule.using_config("chainer_semantics", True):
        np.random.seed(5)
        y, mask = F.dropout(x, 0.3, return_mask=True)
    np.random.seed(5)
    expected = np.float32(1 / (1 - 0.3)) * (np.random.rand(3, 4) >= 0.3)
    assert mask.dtype == np.float32
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(y.array, x * expected)


def test_in_test_mode_x_itself_is_returned():
    x = Variable(np.ones(3, np.float32))
    with chainrule.using_config("train", False):
        assert F.dropout(x) is x
        assert F.dropout(x, return_mask=True) == (x, None)
        assert F.dropout(x.array).array is x.array


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 2.0, float("nan")])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ValueError, match=r"\[dropout\].*ratio"):
        F.dropout(np.ones(3, np.float32), ratio)


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"\[dropout\].*int64"):
        F.dropout(np.ones(3, int))
