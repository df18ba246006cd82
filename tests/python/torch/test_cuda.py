"""PyTorch's parameters on a GPU: numbers, hooks, layouts.

On a machine without a GPU the tests run on the emulated devices, in a process of their own; what
needs a real one is in test_cuda_training.py.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule
import emulated_device
import torch
from chainrule import Variable, optimizer_hooks, optimizers, schedules
from emulated_device import DEVICES, marked
from torch_models import PAIRS
from torch_on_gpu import (
    SHAPES,
    assert_near,
    attach,
    both,
    give_gradients,
    on_both,
    parameter,
    put,
    read,
    run,
    write,
)

pytestmark = pytest.mark.usefixtures("gpus")


@pytest.mark.skipif(DEVICES > 0, reason="there is a device: the tests run on it")
def test_on_emulated_devices():
    emulated_device.run_tests(__file__)


@marked
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_numbers_are_those_of_torch_optim(name, dtype):
    theirs, ours = PAIRS[name]
    there, here = on_both(SHAPES, dtype)
    optimizer, reference = attach(there, ours()), theirs(here.values())
    start = {name: read(p) for name, p in there.items()}
    pointers = [p.data_ptr() for p in there.values()]
    run(there, here, optimizer, reference, 25)
    assert_near(there, here, 2e-5 if dtype == torch.float32 else 1e-6 if "NAdam" in name else 1e-12)
    assert pointers == [p.data_ptr() for p in there.values()]
    assert not torch.equal(read(there["p0"]), start["p0"])
    assert optimizer.t == 25


@marked
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam", "AdamW", "Adagrad", "RMSprop"])
def test_half_precision_with_a_master_copy(name, dtype):
    """Rounded once per step, the numbers are those of torch.optim in float32."""
    theirs, ours = PAIRS[name]
    there, here = on_both(SHAPES, dtype)
    wide = {key: torch.nn.Parameter(p.detach().float()) for key, p in here.items()}
    optimizer, reference = attach(there, ours()), theirs(wide.values())
    optimizer.rules.fp32_update = True
    for step in range(25):
        give_gradients(there, here, step)
        for key, p in here.items():
            wide[key].grad = p.grad.float()
        optimizer.step()
        reference.step()
    unit = torch.finfo(dtype).eps
    assert_near(there, {key: p.to(dtype) for key, p in wide.items()}, unit)
    master = there["p0"].update_rule._master_copy
    np.testing.assert_allclose(master, wide["p0"].detach().numpy(), rtol=2e-5, atol=2e-5)


@marked
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("state_dtype", [None, "float32", "bfloat16", "int8"])
def test_half_precision_as_on_the_cpu(dtype, state_dtype):
    there, here, optimizer, reference = both(lambda: optimizers.AdamW(1e-2), dtype=dtype)
    for each in (optimizer, reference):
        each.rules.state_dtype = state_dtype
    run(there, here, optimizer, reference, 20)
    # A state of 8 bits may fall to either side.
    assert_near(there, here, (4 if state_dtype == "int8" else 2) * torch.finfo(dtype).eps)


@marked
@pytest.mark.parametrize(
    "make",
    [
        optimizers.Lion,
        optimizers.LAMB,
        optimizers.LARS,
        optimizers.StableAdamW,
        optimizers.Prodigy,
        optimizers.ScheduleFreeAdamW,
        optimizers.ADOPT,
        optimizers.AdEMAMix,
        optimizers.SMORMS3,
        optimizers.AdaBelief,
    ],
)
def test_other_rules_as_on_the_cpu(make):
    there, here, optimizer, reference = both(make)
    run(there, here, optimizer, reference, 20)
    assert_near(there, here, 1e-5)


@chainrule.elementwise_rule
def Clipped(p, g, m, *, lr=0.1, beta=0.9):
    m = beta * m + (1 - beta) * np.clip(g, -1, 1)
    return p - lr * np.sign(m) * np.sqrt(np.abs(m)), m


@marked
def test_a_traced_rule():
    there, here, optimizer, reference = both(Clipped)
    run(there, here, optimizer, reference, 10)
    assert_near(there, here, 1e-5)


@marked
@pytest.mark.parametrize("make", [optimizers.Muon, optimizers.Adafactor, optimizers.SOAP])
def test_a_rule_for_whole_tensors_works_or_is_refused_before_anything_changes(make):
    there, here, optimizer, reference = both(make, [(3, 4), (6, 5), (5, 4)])
    for each in (optimizer, reference):
        each.rules["p0"].use(optimizers.Adam())
    give_gradients(there, here, 0)
    before = {name: read(p) for name, p in there.items()}
    try:
        optimizer.step()
    except RuntimeError as error:
        said = str(error)
    else:
        said = None
    if said is not None:
        if "multiplies matrices" not in said:  # there may be no cuBLAS
            pytest.fail(said)
        for name, p in there.items():
            assert torch.equal(read(p), before[name])
            assert p.update_rule.t == 0
            assert p.update_rule.state is None
        assert optimizer.t == 0
        return
    reference.step()
    run(there, here, optimizer, reference, 5, first=1)
    assert_near(there, here, 1e-4)


@marked
def test_each_parameter_has_its_own_values():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2))
    for each in (optimizer, reference):
        for i, rule in enumerate(each.rules):
            rule.hyperparam.alpha = chainrule.inherit * (i + 1)
        each.rules["p3"].enabled = schedules.after(3)
        each.rules["p1"].use(optimizers.SGD(lr=0.5))
    run(there, here, optimizer, reference, 6)
    assert_near(there, here, 1e-5)
    assert there["p3"].update_rule.t == 3


@marked
def test_any_layout_in_memory():
    def make(values, on):
        base = on(values)
        views = [base[0].t(), base[1][::2, 1:], base[2].permute(1, 0)[1:]]
        return {f"p{i}": view for i, view in enumerate(views)}

    values = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
    there = {name: parameter(view) for name, view in make(values, put).items()}
    here = {
        name: torch.nn.Parameter(view.clone()) for name, view in make(values, lambda x: x).items()
    }
    optimizer, reference = attach(there, optimizers.Adam()), attach(here, optimizers.Adam())
    for step in range(5):
        for name, p in here.items():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
            there[name].grad = put(p.grad.t()).t()  # not in the parameter's order
        optimizer.step()
        reference.step()
    assert_near(there, here, 1e-6)


@marked
def test_some_on_the_cpu():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2))
    mixed = {
        **{f"cpu {k}": torch.nn.Parameter(p.detach().clone()) for k, p in here.items()},
        **there,
    }
    optimizer.detach()
    optimizer = attach(mixed, optimizers.Adam(1e-2))
    optimizer.add_hook(optimizer_hooks.GradientClipping(1.0))
    reference.add_hook(optimizer_hooks.GradientClipping(1.0 / np.sqrt(2)))
    for step in range(5):
        give_gradients(there, here, step)
        for name, p in here.items():
            mixed[f"cpu {name}"].grad = p.grad.clone()
        optimizer.step()
        reference.step()
    assert_near(there, here, 1e-5)
    assert_near({name: mixed[f"cpu {name}"] for name in here}, here, 1e-5)


@marked
@pytest.mark.skipif(DEVICES < 2, reason="there is one device")
def test_several_gpus():
    values = [torch.randn(40, generator=torch.Generator().manual_seed(i)) for i in range(4)]
    there = {f"p{i}": parameter(put(v, i % 2)) for i, v in enumerate(values)}
    here = {f"p{i}": torch.nn.Parameter(v.clone()) for i, v in enumerate(values)}
    optimizer, reference = attach(there, optimizers.Adam()), attach(here, optimizers.Adam())
    for each in (optimizer, reference):
        each.add_hook(optimizer_hooks.GradientClipping(0.1))
    run(there, here, optimizer, reference, 5)
    assert_near(there, here, 1e-6)
    assert sorted(optimizer._gpus) == [0, 1]
    assert optimizer.state[there["p1"]]["m"].data_ptr() != 0


HOOKS = [
    lambda: optimizer_hooks.WeightDecay(0.1),
    lambda: optimizer_hooks.Lasso(0.01),
    lambda: optimizer_hooks.GradientClipping(0.5),
    lambda: optimizer_hooks.GradientHardClipping(-0.3, 0.3),
    lambda: optimizer_hooks.Cautious(),
    lambda: optimizer_hooks.Lookahead(0.5, 3),
]


@marked
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_hooks_of_the_core(hook, dtype):
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2), dtype=dtype)
    for each in (optimizer, reference):
        each.add_hook(hook())
        each.rules.fp32_update = True
    run(there, here, optimizer, reference, 7)
    assert_near(there, here, 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps)


@marked
def test_averages():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-1))
    for each in (optimizer, reference):
        each.add_hook(optimizer_hooks.EMA(0.5))
    run(there, here, optimizer, reference, 5)
    during = {name: read(p) for name, p in there.items()}
    versions = [p._version for p in there.values()]
    with optimizer.averaged(), reference.averaged():
        assert_near(there, here, 1e-6)
        assert not torch.equal(read(there["p0"]), during["p0"])
        with pytest.raises(RuntimeError, match="hold their averages"):
            optimizer.step()
    assert all(p._version > v for p, v in zip(there.values(), versions, strict=True))
    for name, p in there.items():
        assert torch.equal(read(p), during[name])
    average = optimizer_hooks.EMA.average_of(there["p0"].update_rule)
    assert isinstance(average, Variable)
    assert average.__dlpack_device__() == (2, 0)
    saved = optimizer.state_dict()
    assert saved["state"]["p0"]["EMA/average"].device.type == "cpu"
    there2, _ = on_both(SHAPES)
    again = attach(there2, optimizers.Adam(1e-1))
    again.add_hook(optimizer_hooks.EMA(0.5))
    again.load_state_dict(saved)
    for name, p in there.items():
        write(there2[name], read(p))
    run(there2, here, again, reference, 3, first=5)
    with again.averaged(), reference.averaged():
        assert_near(there2, here, 1e-6)


@marked
def test_averages_of_a_rule():
    there, here, optimizer, reference = both(lambda: optimizers.ScheduleFreeSGD(0.1))
    run(there, here, optimizer, reference, 5)
    with optimizer.averaged(), reference.averaged():
        assert_near(there, here, 1e-5)


@marked
def test_sam():
    there, here, optimizer, reference = both(lambda: optimizers.SGD(0.1), [(4, 3), (5,)])
    seen = {}
    for each in (optimizer, reference):
        each.add_hook(optimizer_hooks.SAM(rho=0.5))
    for each, params in ((optimizer, there), (reference, here)):
        calls = []

        def closure(params=params, calls=calls):
            give_gradients(there, here, len(calls))
            calls.append({name: read(p) for name, p in params.items()})
            return len(calls)

        assert each.step(closure) == 1
        seen[each] = calls
    assert_near(seen[optimizer][1], seen[reference][1], 1e-6)
    assert not torch.equal(seen[optimizer][0]["p0"], seen[optimizer][1]["p0"])
    assert_near(there, here, 1e-6)

    def fails():
        give_gradients(there, here, 0)
        if len(calls) > 5:
            raise ArithmeticError("no loss")
        calls.extend([0] * 9)

    before = read(there["p0"])
    with pytest.raises(ArithmeticError):
        optimizer.step(fails)
    assert torch.equal(read(there["p0"]), before)


@marked
def test_gradients_that_are_not_finite():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2), [(4,), (5,)])
    run(there, here, optimizer, reference, 1)
    before = {name: read(p) for name, p in there.items()}
    give_gradients(there, here, 1)
    there["p1"].grad = put(torch.tensor([1.0, float("nan"), 1, 1, 1]))
    optimizer.rules.on_nonfinite = "raise"
    with pytest.raises(ValueError, match="p1: the gradient is not finite"):
        optimizer.step()
    optimizer.rules.on_nonfinite = "skip_step"
    optimizer.step()
    for name, p in there.items():
        assert torch.equal(read(p), before[name])
    optimizer.rules.on_nonfinite = "skip_param"
    optimizer.step()
    assert torch.equal(read(there["p1"]), before["p1"])
    assert not torch.equal(read(there["p0"]), before["p0"])
    assert there["p1"].update_rule.skipped == 2


@marked
def test_statistics():
    there, here, optimizer, reference = both(lambda: optimizers.Adam(1e-2))
    for each in (optimizer, reference):
        each.observe(each.rules, ["update_ratio", "grad_norm"])
    run(there, here, optimizer, reference, 2)
    for name in ("p0", "p5"):
        mine, other = there[name].update_rule.statistics, here[name].update_rule.statistics
        for what in ("update_ratio", "grad_norm"):
            assert mine[what] == pytest.approx(other[what], rel=1e-4)
