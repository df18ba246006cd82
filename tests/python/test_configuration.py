import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule
from chainrule import _core, config, global_config, using_config

FACTS = json.loads((pathlib.Path(__file__).parent / "golden" / "behaviour.json").read_text())


def in_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_start_values_are_chainers():
    shown = io.StringIO()
    config.show(file=shown)
    lines = shown.getvalue().splitlines()
    theirs = [line for line in FACTS["variables"]["config_show"] if not line.startswith("_")]
    assert [line for line in lines if not line.startswith("chainer_semantics")] == theirs
    assert "chainer_semantics              False" in lines


def test_local_value_hides_the_global_one_in_its_thread():
    config.train = False
    try:
        assert (config.train, global_config.train) == (False, True)
        assert in_thread(lambda: config.train) is True
    finally:
        del config.train
    assert config.train is True


def test_global_value_holds_for_threads_without_their_own():
    with using_config("debug", True, global_config):
        assert config.debug is True
        assert in_thread(lambda: config.debug) is True
    assert config.debug is False


def test_unknown_names():
    with pytest.raises(AttributeError, match="'GlobalConfig' object has no attribute 'trian'"):
        _ = config.trian
    with using_config("my_own", 3):
        assert config.my_own == 3
    assert not hasattr(config, "my_own")
    with pytest.raises(AttributeError, match="train"):
        del config.train
    with pytest.raises(AttributeError, match="enable_backprop"):
        del config.enable_backprop


def test_using_config_nests_and_survives_errors():
    with using_config("train", False):
        with contextlib.suppress(KeyError), using_config("train", 7):
            assert config.train == 7
            raise KeyError
        assert config.train is False
    assert "train" not in vars(config)


def test_using_config_decorates():
    @using_config("train", False)
    def depth(n):
        return (config.train, depth(n - 1) if n else None)

    assert depth(1) == (False, (False, None))
    assert config.train is True


def test_backprop_modes():
    assert config.enable_backprop is True
    with chainrule.no_backprop_mode():
        assert (config.enable_backprop, _core.backprop_enabled()) == (False, False)
        with chainrule.force_backprop_mode():
            assert _core.backprop_enabled() is True
        assert _core.backprop_enabled() is False
        assert in_thread(_core.backprop_enabled) is True
    assert _core.backprop_enabled() is True


def test_thread_follows_the_global_switch_after_a_mode():
    with chainrule.no_backprop_mode():
        pass
    with using_config("enable_backprop", False, global_config):
        assert _core.backprop_enabled() is False
        assert in_thread(_core.backprop_enabled) is False
        config.enable_backprop = True
        assert _core.backprop_enabled() is True
        del config.enable_backprop
        assert _core.backprop_enabled() is False
    assert _core.backprop_enabled() is True


def test_recording_follows_the_mode():
    x = chainrule.Variable(np.ones(2, np.float32))
    with chainrule.no_backprop_mode():
        assert (x * x).creator is None
    assert (x * x).creator is not None


@pytest.mark.parametrize("name", ["CHAINRULE_DTYPE", "CHAINER_DTYPE"])
def test_environment(name):
    environment = {**os.environ, name: "float64", "CHAINRULE_DEBUG": "1", "CHAINER_TRAIN": "off"}
    program = (
        "import chainrule.configuration as c; g = c.global_config; print(g.dtype, g.debug, g.train)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["float64", "True", "False"]
