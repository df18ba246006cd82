"""What the plug-in's loader tells Python; the arrays themselves are tested in C++."""

import json
import os
import subprocess
import sys

import pytest

import chainrule
import emulated_device
from chainrule import _core
from chainrule.backends import cuda

REPORT = """
import json
from chainrule import _core, cuda
found = {"status": _core.cuda_status(), "count": _core.cuda_device_count()}
found["module"] = [cuda.available, cuda.reason]
if found["count"]:
    found["name"] = _core.cuda_device_name(1)
    found["memory"] = _core.cuda_memory_info(0)
    _core.cuda_synchronize(0)
    _core.cuda_release_cached_memory(0)
print(json.dumps(found))
"""


def report(plugin: str, **environment: str) -> dict:
    """Ask a fresh process, since the plug-in is looked for once in each."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        env={**os.environ, "CHAINRULE_CUDA_PLUGIN": plugin, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def gpu():
    available, reason = _core.cuda_status()
    if not available:
        pytest.skip(reason)


def test_status_is_a_reason_or_a_device():
    available, reason = _core.cuda_status()
    assert available == (reason == "")
    assert available == (_core.cuda_device_count() > 0)
    assert (cuda.available, cuda.reason) == (available, reason)
    assert chainrule.cuda.available == available


def test_a_missing_plugin_is_the_reason():
    found = report("/nowhere/plugin.so")
    assert found["status"][0] is False
    assert "/nowhere/plugin.so" in found["status"][1]
    assert found["count"] == 0
    assert found["module"] == found["status"]


def test_without_cuda_a_device_is_an_error():
    if _core.cuda_status()[0]:
        pytest.skip("CUDA is available")
    for call in (_core.cuda_device_name, _core.cuda_memory_info, _core.cuda_synchronize):
        with pytest.raises(RuntimeError, match=r"cuda:0 is not available"):
            call(0)


def test_devices_of_the_emulation():
    found = report(emulated_device.path())
    assert found["status"] == [True, ""]
    assert found["module"] == [True, ""]
    assert (found["count"], found["name"]) == (2, "emulated device 1")
    memory = found["memory"]
    assert sorted(memory) == ["cached", "free", "in_use", "total"]
    assert memory["in_use"] == 0
    assert memory["free"] <= memory["total"]


def test_no_driver_is_the_reason():
    found = report(emulated_device.path(), CHAINRULE_EMULATE="no_driver")
    assert found["status"][0] is False
    assert "driver version is insufficient" in found["status"][1]


@pytest.mark.gpu
def test_a_real_device(gpu):
    assert _core.cuda_device_name(0)
    memory = _core.cuda_memory_info(0)
    assert 0 < memory["free"] <= memory["total"]
    _core.cuda_synchronize(0)
    _core.cuda_release_cached_memory(0)
    with pytest.raises(RuntimeError, match="no such device"):
        _core.cuda_device_name(127)
