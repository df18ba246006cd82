import subprocess
import sys

import pytest

import chainrule
from chainrule.__main__ import main


def test_info(capsys):
    assert main(["info"]) == 0
    name, version = capsys.readouterr().out.splitlines()[0].split()
    assert (name, version) == ("chainrule", chainrule.__version__)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"chainrule {chainrule.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["nothing"], 2),
        (["run"], 2),
        (["run", "-m"], 2),
        (["info", "more"], 2),
        (["-h"], 0),
        (["run", "--help"], 0),
        (["info", "-h"], 0),
    ],
)
def test_usage(arguments, status, capsys):
    assert main(arguments) == status
    shown = capsys.readouterr()
    assert (shown.err if status else shown.out).startswith("usage: python -m chainrule")


def test_as_a_module():
    command = [sys.executable, "-m", "chainrule", "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == f"chainrule {chainrule.__version__}\n"
