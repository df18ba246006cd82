import numpy as np
import pytest

import chainrule
from chainrule import get_dtype, mixed16, using_config


def test_get_dtype():
    assert get_dtype() == np.float32
    assert get_dtype("float16") == np.float16
    assert get_dtype(mixed16) == np.float16
    assert get_dtype(mixed16, map_mixed16=np.float32) == np.float32
    with using_config("dtype", mixed16):
        assert get_dtype(map_mixed16="float32") == np.float32
    with pytest.raises(TypeError):
        get_dtype("float33")


def test_new_parameters_get_the_configured_dtype():
    with using_config("dtype", np.float64):
        assert chainrule.Parameter(0, (2,)).dtype == np.float64
