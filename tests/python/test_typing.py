"""What a type checker says of programs that use the package."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

PACKAGE = pathlib.Path(__file__).parents[2] / "python"

RIGHT = """
    import chainrule
    from chainrule import optimizers, schedules

    rate: schedules.Scalar = schedules.warmup(10) * 0.1
    optimizer = optimizers.SGD(lr=rate)
    optimizers.Adam(alpha=schedules.cosine(0.1, 0.0, 100), beta1=0.9, eps=1)
    optimizers.Muon(lr=chainrule.inherit * 0.5)
    rule = optimizers.adam.AdamRule(optimizer.hyperparam, alpha=schedules.inherit * 2)
    rule.enabled = schedules.after(3)
    optimizer.lr = schedules.step * 0.5
    optimizer.clear_gradients = True
    rule.on_nonfinite = "skip_step"

    @chainrule.elementwise_rule
    def Traced(p: object, g: object, *, lr: float = 0.1) -> object: ...

    Traced(lr=schedules.linear(1.0, 0.0, 10))
"""
WRONG = """
    from chainrule import optimizers

    optimizers.SGD(lr="fast")
    optimizers.SGD(rate=0.1)
    optimizers.Adam(beta1=[0.9])
"""


def mypy(program: str, folder: pathlib.Path) -> list[str]:
    file = folder / "program.py"
    file.write_text(textwrap.dedent(program))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", folder / "cache", file]
    environment = {**os.environ, "MYPYPATH": str(PACKAGE), "PYTHONPATH": ""}
    output = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=environment
    ).stdout
    return [line for line in output.splitlines() if re.match(r"program\.py.* error: ", line)]


@pytest.mark.slow
def test_values_may_be_expressions(tmp_path):
    pytest.importorskip("mypy")
    assert mypy(RIGHT, tmp_path) == []
    wrong = mypy(WRONG, tmp_path)
    assert [line.split(":")[1] for line in wrong] == ["4", "5", "6"], wrong
