"""The programs in examples/ and the one in the README, run as users run them."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments: object, text: str | None = None) -> str:
    """Run Python in the repository and return what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def printed_arrays(text: str) -> dict[str, list[float]]:
    """Read the numbers that stand under the paths of parameters."""
    parts = re.split(r"^(/\S+)\n", text, flags=re.MULTILINE)
    numbers = [[float(x) for x in re.findall(r"[-+.\de]+", part)] for part in parts[2::2]]
    return dict(zip(parts[1::2], numbers, strict=True))


def test_one_step_of_chainer_program_gives_chainers_numbers():
    output = run("-m", "chainrule", "run", "examples/update_rules/xor.py")
    before, after = map(printed_arrays, output.split("--- after one step"))
    assert before.keys() == after.keys() == {"/l1/W", "/l1/b", "/l2/W", "/l2/b"}
    starts = {
        "/l1/W": [[0.0049778, -0.16282777], [-0.92988533, 0.2546134]],
        "/l1/b": [0, 0],
        "/l2/W": [[-0.45893994, -1.21258962]],
        "/l2/b": [0],
    }
    # What Chainer 7.8.1 prints.
    ends = {
        "/l1/W": [[0.53748596, 0.01032409], [0.47708291, 0.71210718]],
        "/l1/b": [0, 0],
        "/l2/W": [[-0.45838338, -1.20276082]],
        "/l2/b": [-0.01014706],
    }
    for path in starts:
        np.testing.assert_allclose(before[path], np.ravel(starts[path]), rtol=1.2e-7, atol=1e-8)
        np.testing.assert_allclose(after[path], np.ravel(ends[path]), rtol=1.2e-7, atol=1e-8)


def test_rules_side_by_side():
    output = run("examples/update_rules/rules.py")
    assert "rates of l1.W and l3.W: 0.2 0.02" in output
    assert "gradient of l1.W while it is off: None" in output
    answers = re.search(r"answers: \[(.+)\]", output).group(1)
    np.testing.assert_allclose([float(x) for x in answers.split()], [0, 1, 1, 0], atol=0.1)


def test_readme_program_learns():
    blocks = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    output = run("-", text="import numpy\nnumpy.random.seed(0)\n" + blocks[0])
    answers = [float(x) for x in output.strip().strip("[]").split()]
    np.testing.assert_allclose(answers, [0, 1, 1, 0], atol=0.1)
    layers = ", ".join(f"l{i}=L.Linear(8, 8)" for i in (1, 2, 3))
    table = run("-", text="\n".join((blocks[0], f"net = chainrule.Chain({layers})", *blocks[2:])))
    assert re.search(r"/l2/W .*MomentumSGD .*lr=0.05 .*\bno\b", table)


@pytest.mark.slow
def test_fine_tuning_a_transformer(tmp_path):
    pytest.importorskip("torch.nn", reason="PyTorch is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    script = "examples/torch_finetune/finetune.py"
    output = run(script, "--steps", 16, "--pretrain", 20, "--out", tmp_path)
    before, rules, groups = (float(x) for x in re.findall(r"loss ([\d.]+)", output))
    assert rules < before
    assert groups < before
    lines = [int(x) for x in re.findall(r"(\d+) lines", output)]
    assert 2 * lines[0] <= lines[1]
    assert re.search(r"layers\.0\.qkv\.weight .*Muon .*inherit", output)
    assert (tmp_path / "finetune.png").stat().st_size > 10_000


@pytest.mark.slow
def test_digits_are_the_same_for_the_same_seed(tmp_path):
    pictures = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        out = tmp_path / name
        output = run("examples/digits/train.py", "--epochs", 4, "--seed", seed, "--out", out)
        assert "test accuracy" in output
        pictures.append((out / "digits.png").read_bytes())
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]


@pytest.mark.slow
def test_digits_are_learnt(tmp_path):
    # Ends with an error where fewer than 97 % are read right.
    output = run("examples/digits/train.py", "--out", tmp_path)
    table = output[output.index("The rules at the start") : output.index("The rules at the end")]
    assert re.search(r"/l1/W .*\bno\b", table)
    assert re.search(r"/l3/W .*alpha=0.006.*WeightDecay.*\byes\b", table)
    assert "the first layer is unfrozen" in output


@pytest.mark.slow
def test_custom_update_rule_trains_beside_built_in(tmp_path):
    pytest.importorskip("matplotlib")
    output = run("examples/custom_update_rule/train.py", "--epochs", 3, "--out", tmp_path)
    assert re.search(r"^s0 = combine s0 g c\d c\d$", output, re.MULTILINE)
    assert re.search(r"/0/W .*CautiousLion.*lr=0.001", output)
    assert re.search(r"/0/b .*Adam .*alpha=0.001", output)
    for name in ("Adam", "CautiousLion", "mixed"):
        accuracy = float(re.search(rf"^{name}: .*test accuracy ([\d.]+)%", output, re.MULTILINE)[1])
        assert accuracy > 80
    assert (tmp_path / "custom_update_rule.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "row", "report"),
    [
        ("layerwise_decay", r"/l3/W .*alpha=0\.0009\* \(inherit \* 0\.3 \* 0\.3\)", "head only"),
        ("gradual_unfreezing", r"/l2/b .*alpha=0\.003 .*no \(after\(\d+\)\)", "gradual"),
        ("muon_and_adamw", r"/l1/W .*Muon .*lr=0\.02 ", "Muon, 0.02"),
        ("lora_plus", r"/1/B/W .*alpha=0\.048\* \(inherit \* 16", "LoRA+, 0.003"),
        ("mup", r"/h2/W .*inherit \* 0\.0625", "muP"),
    ],
)
def test_ways_to_set_up_rules_are_compared_and_drawn(name, row, report, tmp_path):
    pytest.importorskip("matplotlib", reason="the examples draw")
    pytest.importorskip("sklearn", reason="the examples' data come with scikit-learn")
    program = f"examples/{name}/train.py"
    output = run(program, "--epochs", 1, "--runs", 1, "--out", tmp_path)
    assert re.search(row, output), output
    assert re.search(rf"^{re.escape(report)}.* \d+\.\d+", output, re.MULTILINE), output
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000
