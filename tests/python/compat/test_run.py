"""Scripts written for Chainer, run as they are, each in a process of its own."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest


def run(folder, script, *arguments, command=(), check=True, environment=None):
    (folder / "script.py").write_text(textwrap.dedent(script))
    command = [sys.executable, "-m", "chainrule", "run", *(command or ["script.py"]), *arguments]
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


def test_script_sees_what_python_would_show_it(tmp_path):
    (tmp_path / "beside.py").write_text("NAME = __name__")
    script = """
    import os, sys
    import beside, chainer
    print(sys.argv, __name__, os.path.basename(__file__), __spec__, beside.NAME)
    print(sys.modules["__main__"].__dict__ is globals(), os.path.basename(sys.path[0]))
    print(chainer.__name__, chainer.config.chainer_semantics)
    """
    output = run(tmp_path, script, "--lr", "0.1", "-m").stdout.splitlines()
    assert output == [
        "['script.py', '--lr', '0.1', '-m'] __main__ script.py None beside",
        f"True {tmp_path.name}",
        "chainrule True",
    ]


def test_exit_status_and_errors(tmp_path):
    assert run(tmp_path, "import sys; sys.exit(3)", check=False).returncode == 3
    failed = run(tmp_path, "import chainer\nchainer.nothing", check=False)
    assert failed.returncode == 1
    assert 'script.py", line 2, in <module>' in failed.stderr
    assert "has no attribute 'nothing'" in failed.stderr
    missing = run(tmp_path, "", command=["missing.py"], check=False)
    assert missing.returncode == 1
    assert missing.stderr == "chainrule run: cannot open 'missing.py': No such file or directory\n"


def test_module(tmp_path):
    result = run(
        tmp_path,
        "import chainer, sys; print(__name__, sys.argv[1:])",
        "a",
        command=["-m", "script"],
    )
    assert result.stdout == "__main__ ['a']\n"


def test_source_encoding(tmp_path):
    (tmp_path / "latin.py").write_bytes(b"# coding: latin-1\nprint(ord('\xe9'))\n")
    assert run(tmp_path, "", command=["latin.py"]).stdout == "233\n"


ARTICLE = """
import numpy as np
import chainer
import chainer.functions as F
import chainer.links as L
from chainer import optimizers

class MLP(chainer.Chain):
    def __init__(self):
        super(MLP, self).__init__()
        with self.init_scope():
            self.l1 = L.Linear(2, 2)
            self.l2 = L.Linear(2, 1)

    def __call__(self, x):
        return self.l2(self.l1(x))

net = MLP()
net.l1.W.data[...] = [[0.0049778, -0.16282777], [-0.92988533, 0.2546134]]
net.l2.W.data[...] = [[-0.45893994, -1.21258962]]
optimizer = optimizers.SGD(lr=0.1)
optimizer.setup(net)
net.l1.W.update_rule.hyperparam.lr = 10.0
net.l1.b.update_rule.enabled = False
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
t = np.array([[0], [1], [1], [0]], np.int32)
loss = F.sigmoid_cross_entropy(net(x), t)
net.cleargrads()
loss.backward()
optimizer.update()
for param in net.params():
    print(*param.data.ravel())
print(net.l1.b.grad is None)
"""


def test_per_parameter_rules_as_in_chainer(tmp_path):
    *params, no_gradient = run(tmp_path, ARTICLE).stdout.splitlines()
    expected = [
        [0.53748596, 0.01032409, 0.47708291, 0.71210718],
        [0, 0],
        [-0.45838338, -1.20276082],
        [-0.01014706],
    ]
    for printed, numbers in zip(params, expected, strict=True):
        assert [float(number) for number in printed.split()] == pytest.approx(numbers, abs=1e-6)
    assert no_gradient == "False"  # Chainer computes the gradient of a disabled parameter too


@pytest.mark.slow
def test_subprocesses(tmp_path):
    script = """
    import subprocess, sys
    child = '''
    import sys
    print("chainrule" in sys.modules)
    import chainer.functions as F
    import chainrule
    print(chainrule.functions is F, chainrule.config.chainer_semantics)
    '''
    import textwrap
    command = [sys.executable, "-c", textwrap.dedent(child)]
    print(subprocess.check_output(command, cwd="/", text=True))
    """
    assert run(tmp_path, script).stdout.split() == ["False", "True", "True"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(tmp_path, method):
    script = f"""
    import multiprocessing
    import chainer

    class Net(chainer.Chain):
        pass

    def work(net):
        import chainrule
        return type(net).__name__, chainer is chainrule, chainer.config.chainer_semantics

    if __name__ == "__main__":
        with multiprocessing.get_context("{method}").Pool(1) as pool:
            print(*pool.map(work, [Net()]))
    """
    assert run(tmp_path, script).stdout == "('Net', True, True)\n"


@pytest.mark.slow
def test_a_users_sitecustomize_still_runs(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import builtins; builtins.MARK = 'mine'")
    script = """
    import subprocess, sys
    child = "import sitecustomize, chainer; print(MARK, sitecustomize.__file__)"
    print(subprocess.check_output([sys.executable, "-c", child], text=True))
    """
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    output = run(tmp_path, script, environment={"PYTHONPATH": os.pathsep.join(paths)}).stdout
    mark, file = output.split()
    assert (mark, pathlib.Path(file).parent) == ("mine", site)
