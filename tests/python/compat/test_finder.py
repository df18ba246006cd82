import importlib
import pkgutil
import re
import sys

import pytest

import chainrule
from chainrule import compat
from chainrule.compat.finder import ALIASES, AliasFinder


@pytest.fixture
def installed():
    compat.install()
    yield
    compat.uninstall()


def submodules():
    for info in pkgutil.walk_packages(chainrule.__path__, "chainrule."):
        if not re.search(r"\.(compat|__main__|lib)", info.name):
            yield info.name


NAMES = sorted({*submodules(), "chainrule", "chainrule.cuda", "chainrule.backends.cuda"})


@pytest.mark.parametrize("name", NAMES)
def test_every_module_is_the_same_object(installed, name):
    if name.startswith("chainrule.torch"):
        pytest.importorskip("torch.nn", reason="PyTorch is not installed")
    alias = importlib.import_module(name.replace("chainrule", "chainer", 1))
    real = importlib.import_module(name)
    assert alias is real
    if name != "chainrule.cuda":
        assert alias.__name__ == alias.__spec__.name == name


def test_ways_of_importing(installed):
    import chainer
    import chainer.functions as F
    import chainer.links as L
    from chainer import Chain, Variable, cuda
    from chainer.backends import cuda as longer
    from chainer.links import Linear

    assert chainer is chainrule
    assert (chainer.functions, chainer.links) == (F, L)
    assert (Chain, Variable, Linear) == (
        chainrule.Chain,
        chainrule.Variable,
        chainrule.links.Linear,
    )
    assert cuda is longer is chainrule.cuda


def test_the_alias_may_come_first(installed):
    for name in [n for n in sys.modules if n.startswith("chainer")]:
        del sys.modules[name]
    module = importlib.import_module("chainer.utils.type_check")
    assert module is chainrule.utils.type_check


@pytest.mark.parametrize("name", ["chainer.no_such", "chainer.functions.no_such", "chainer.a.b"])
def test_missing_modules(installed, name):
    with pytest.raises(ModuleNotFoundError, match="No module named 'chainer"):
        importlib.import_module(name)


def test_other_modules_are_left_alone(installed):
    finder = next(f for f in sys.meta_path if isinstance(f, AliasFinder))
    for name in ("json", "chainrule", "chainer2", "numpy.linalg"):
        assert finder.find_spec(name) is None


def test_reload_runs_the_real_module(installed):
    import chainer.serializer

    before = chainer.serializer.Serializer
    try:
        assert importlib.reload(chainer.serializer) is chainrule.serializer
        assert chainrule.serializer.Serializer is not before
    finally:
        chainrule.serializer.Serializer = before


def test_chainerx_is_there_to_say_no(installed):
    import chainerx

    assert chainerx.is_available() is False
    assert not isinstance(3, chainerx.ndarray)


def test_install_and_uninstall():
    assert chainrule.config.chainer_semantics is False
    compat.install()
    compat.install()
    assert sum(isinstance(f, AliasFinder) for f in sys.meta_path) == 1
    assert chainrule.config.chainer_semantics is True
    importlib.import_module("chainer")
    compat.uninstall()
    assert chainrule.config.chainer_semantics is False
    assert not [n for n in sys.modules if n.partition(".")[0] in ALIASES]


def test_another_chainer(monkeypatch):
    monkeypatch.setitem(sys.modules, "chainer", type(sys)("chainer"))
    with pytest.raises(RuntimeError, match="a module named 'chainer' was imported before"):
        compat.install()
    assert chainrule.config.chainer_semantics is False
