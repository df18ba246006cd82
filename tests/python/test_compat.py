import os

from chainrule import compat


def test_environment_for_subprocesses(monkeypatch):
    for name in ("PYTHONPATH", "CHAINRULE_COMPAT", "CHAINRULE_CHAINER_SEMANTICS"):
        monkeypatch.setenv(name, "/somewhere")
    try:
        compat.install(subprocesses=True)
        compat.install(subprocesses=True)
    finally:
        compat.uninstall()
    hook, *others = os.environ["PYTHONPATH"].split(os.pathsep)
    assert os.path.isfile(os.path.join(hook, "sitecustomize.py"))
    assert others == ["/somewhere"]
    assert os.path.isdir(os.path.join(os.environ["CHAINRULE_COMPAT"], "chainrule"))
    assert os.environ["CHAINRULE_CHAINER_SEMANTICS"] == "1"


def test_without_subprocesses_the_environment_stays(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    try:
        compat.install()
    finally:
        compat.uninstall()
    assert os.environ["PYTHONPATH"] == "/somewhere"
