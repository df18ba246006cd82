"""Checks after every test that nothing of the graph was left behind."""

import gc
import importlib.abc
import importlib.util
import os
import sys

import hypothesis
import numpy as np
import pytest

from chainrule import _core


class NoPyTorch(importlib.abc.MetaPathFinder):
    """Says so, because the folder of tests beside this file is no package.

    A None in ``sys.modules`` would say so too, but SciPy looks there for the module.
    """

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)


_torch = importlib.util.find_spec("torch")
if _torch is not None and _torch.origin is None:
    sys.meta_path.insert(0, NoPyTorch())

# What is checked before a change goes in must not depend on luck; elsewhere hypothesis looks for
# something new each time.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.passed = outcome.get_result().passed


@pytest.fixture(autouse=True)
def no_leaks(request):
    """A failed test is left alone: its traceback keeps what it shows."""
    before = _core.live_node_count()
    yield
    if not getattr(request.node, "passed", False) or _core.live_node_count() <= before:
        return
    gc.collect()
    assert _core.live_node_count() <= before, "graph nodes were left behind"


@pytest.fixture(autouse=True)
def seeded():
    """Random numbers are the same for a test, whatever ran before it."""
    np.random.seed(0)
