"""Steps, numbers, rules by name, freezing."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule
import chainrule.torch
import torch
from chainrule import optimizer_hooks, optimizers, schedules
from torch_models import PAIRS, assert_same, backward, make_net, train, values

attach = chainrule.torch.attach


@pytest.fixture
def default_dtype(dtype):
    """That of numbers which PyTorch keeps between steps, such as NAdam's mu_product."""
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_numbers_are_those_of_torch_optim(name, dtype):
    theirs, ours = PAIRS[name]
    shapes = [(5, 7), (3,), (), (2, 3, 4), (0, 3)]
    torch.manual_seed(1)
    start = [torch.randn(shape, dtype=dtype) for shape in shapes]
    a = torch.nn.ParameterList(p.clone() for p in start)
    b = torch.nn.ParameterList(p.clone() for p in start)
    optimizer, reference = attach(a, ours()), theirs(b.parameters())
    for _ in range(100):
        for p, q in zip(a, b, strict=True):
            q.grad = torch.randn(p.shape, dtype=dtype)
            p.grad = q.grad.clone()
        optimizer.step()
        reference.step()
    # Rounding of 100 steps, relative to how far the parameters went.
    tolerance = 2e-5 if dtype == torch.float32 else 1e-13
    for p, q, p0 in zip(a, b, start, strict=True):
        if p.numel():
            moved = (q - p0).abs().max().item()
            assert moved > 0.001, "nothing happened"
            assert (p - q).abs().max().item() <= tolerance * max(moved, q.abs().max().item())


def test_a_decay_in_the_gradient_is_a_hook():
    a, b = make_net(), make_net()
    optimizer = attach(a, optimizers.Adam(0.01, eps_hat=False))
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    reference = torch.optim.Adam(b.parameters(), lr=0.01, weight_decay=0.1)
    for step in range(20):
        for model, each in ((a, optimizer), (b, reference)):
            each.zero_grad()
            backward(model, step)
            each.step()
    assert_same(a, b, 1e-5)


def test_parameters_are_updated_in_their_own_memory():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    pointers = [p.data_ptr() for p in model.parameters()]
    backward(model, 0)
    before = values(model)
    versions = [p._version for p in model.parameters()]
    optimizer.step()
    assert pointers == [p.data_ptr() for p in model.parameters()]
    assert [p._version for p in model.parameters()] == [v + 1 for v in versions]
    for name, p in model.named_parameters():
        assert torch.allclose(p, before[name] - 0.1 * p.grad, rtol=1e-6, atol=1e-7)


def test_autograd_notices_a_step_between_forward_and_backward():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    backward(model, 0)
    loss = model(torch.ones(2, 4)).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_has_no_gradient_is_left_alone_with_its_version():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    model.head.weight.grad = torch.ones(1, 4)
    before, version = values(model), model.encoder[0].linear.weight._version
    optimizer.step()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == (name != "head.weight")
    assert model.encoder[0].linear.weight._version == version
    assert model.encoder[0].linear.weight.update_rule.t == 0
    model.head.weight.update_rule.missing_grad = "raise"
    optimizer.zero_grad()
    with pytest.raises(ValueError, match=r"head\.weight has no gradient"):
        optimizer.step()


def test_rules_are_found_by_pytorchs_names():
    model = make_net()
    optimizer = attach(model, optimizers.AdamW(alpha=1e-3))
    rules = optimizer.rules
    assert rules.paths == tuple(name for name, _ in model.named_parameters())
    assert rules["encoder.*.linear.weight"].paths == (
        "encoder.0.linear.weight",
        "encoder.1.linear.weight",
    )
    assert rules["encoder.**"].paths == rules[model.encoder].paths
    assert len(rules["encoder.**"]) == 8
    assert rules.of(torch.nn.LayerNorm).paths == rules["encoder.*.norm.*"].paths
    assert rules[model.head.bias].paths == ("head.bias",)
    matrices = rules.where(lambda name, p: isinstance(p, torch.nn.Parameter) and p.dim() == 2)
    assert matrices == rules["**.linear.weight"] | rules["head.weight"]
    assert len(~matrices) == len(rules) - 3
    with pytest.raises(KeyError, match=r"nearest: 'head\.weight'"):
        rules["haed.weight"]
    with pytest.raises(KeyError, match="no rule below a module of class Conv2d"):
        rules.of(torch.nn.Conv2d)
    with pytest.raises(TypeError, match="expected classes of modules"):
        rules.of(chainrule.links.Linear)
    with pytest.raises(KeyError, match="no such module"):
        rules[torch.nn.Linear(1, 1)]


def test_values_are_live_and_inherited():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    optimizer.rules["encoder.**"].hyperparam.lr = chainrule.inherit * 0.5
    model.head.bias.update_rule.hyperparam.lr = schedules.linear(1.0, 0.0, 2)
    for step, (encoder, bias) in enumerate([(0.5, 1.0), (0.5, 0.5), (0.05, 0.0)]):
        if step == 2:
            optimizer.lr = 0.1
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        before = values(model)
        optimizer.step()
        for name, p in model.named_parameters():
            rate = {"head.bias": bias, "head.weight": optimizer.lr}.get(name, encoder)
            assert torch.equal(p, before[name] - torch.tensor(rate)), name
    assert optimizer.explain("encoder.0.norm.bias", "lr") == (
        "0.05 = inherit(0.1) * 0.5, set by rules['encoder.**']"
    )


def test_algorithms_stand_side_by_side():
    model = make_net()
    optimizer = attach(model, optimizers.AdamW(alpha=1e-3))
    optimizer.rules["**.linear.weight"].use(optimizers.Muon(lr=0.02))
    model.head.bias.update_rule = optimizers.Lion(lr=1e-2).create_update_rule()
    backward(model, 0)
    before = values(model)
    optimizer.step()
    change = {name: p.detach() - before[name] for name, p in model.named_parameters()}
    assert torch.allclose(change["head.bias"].abs(), torch.tensor(1e-2), rtol=1e-4)
    # Muon's update is nearly orthogonal: all singular values of one size; after a LayerNorm the
    # gradient has one direction less.
    singular = torch.linalg.svdvals(change["encoder.0.linear.weight"] / 0.02)[:3]
    assert ((singular > 0.6) & (singular < 1.3)).all()
    assert torch.allclose(change["head.weight"].abs(), torch.tensor(1e-3), rtol=1e-2)
    names = {row.algorithm for row in optimizer.plan()._rows()}
    assert names == {"AdamW", "Muon", "Lion"}


def test_a_rule_that_is_off_takes_no_gradient():
    model = make_net()
    model.encoder[0].requires_grad_(False)
    optimizer = attach(model, optimizers.Adam())
    assert not model.encoder[0].linear.weight.update_rule.enabled
    optimizer.rules["encoder.1.**"].enabled = False
    assert not any(p.requires_grad for p in model.encoder.parameters())
    backward(model, 0)
    assert all(p.grad is None for p in model.encoder.parameters())
    optimizer.step()
    optimizer.rules["encoder.**"].enabled = True
    assert all(p.requires_grad for p in model.parameters())
    # What somebody else has switched off stays off.
    model.head.bias.requires_grad_(False)
    optimizer.rules.enabled = False
    optimizer.rules.enabled = True
    assert not model.head.bias.requires_grad
    assert model.head.weight.requires_grad


def test_a_schedule_unfreezes_step_by_step():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    optimizer.rules["encoder.1.**"].enabled = schedules.after(1)
    optimizer.rules["encoder.0.**"].enabled = schedules.after(2)
    seen = []
    for step in range(4):
        seen.append([block.linear.weight.requires_grad for block in model.encoder])
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()
    assert seen == [[False, False], [False, True], [True, True], [True, True]]


def test_the_state_of_a_rule_that_is_off_can_be_freed():
    model = make_net()
    optimizer = attach(model, optimizers.Adam(), disabled_state="drop")
    backward(model, 0)
    optimizer.step()
    assert set(model.head.weight.update_rule.state) == {"m", "v"}
    optimizer.rules["head.*"].enabled = False
    assert model.head.weight.update_rule.state is None
    optimizer.rules["head.*"].enabled = True
    optimizer.step()
    assert model.head.weight.update_rule.t == 1


def test_gradients_are_cleared():
    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    backward(model, 0)
    optimizer.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in model.parameters())
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_closures():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        return backward(model, 0)

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert calls == [True]
    assert loss.item() > 0

    before, t = values(model), optimizer.t

    def fails():
        backward(model, 1)
        raise ArithmeticError("no loss")

    with pytest.raises(ArithmeticError):
        optimizer.step(fails)
    assert optimizer.t == t
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])


def test_sam_calls_the_closure_where_the_loss_is_high():
    a, b = make_net(dtype=torch.float64), make_net(dtype=torch.float64)
    optimizer = attach(a, optimizers.SGD(lr=0.1))
    optimizer.add_hook(optimizer_hooks.SAM(rho=0.05))

    def closure():
        optimizer.zero_grad()
        return backward(a, 0)

    optimizer.step(closure)
    # Foret et al.: the gradient at p + rho g / |g|.
    backward(b, 0)
    grads = [p.grad.clone() for p in b.parameters()]
    norm = torch.sqrt(sum((g**2).sum() for g in grads))
    with torch.no_grad():
        for p, g in zip(b.parameters(), grads, strict=True):
            p += 0.05 * g / norm
    b.zero_grad()
    backward(b, 0)
    with torch.no_grad():
        for p, g in zip(b.parameters(), grads, strict=True):
            p -= 0.05 * g / norm
            p -= 0.1 * p.grad
    assert_same(a, b, 1e-12)
    with pytest.raises(RuntimeError, match="closure"):
        optimizer.step()


def test_hooks_of_both_run():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    order = []
    optimizer.register_step_pre_hook(lambda *_: order.append("before"))
    optimizer.register_step_post_hook(lambda *_: order.append("after"))
    optimizer.add_hook(optimizer_hooks.GradientClipping(0.5))
    optimizer.observe(optimizer.rules["head.*"], ["grad_norm"])
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    before = values(model)
    optimizer.step()
    assert order == ["before", "after"]
    step = 0.5 / np.sqrt(sum(p.numel() for p in model.parameters()))
    for name, p in model.named_parameters():
        assert torch.allclose(before[name] - p, torch.tensor(step, dtype=torch.float32))
    assert model.head.weight.update_rule.statistics["grad_norm"] == pytest.approx(2 * step)


def test_hooks_in_python_work_on_the_tensors_memory_and_may_keep_what_they_saw():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    kept = []

    def hook(rule, param):
        kept.append(param.grad)
        param.grad[...] *= 2

    model.head.weight.update_rule.add_hook(hook, name="double")
    for value in (1.0, 3.0):
        model.head.weight.grad = torch.full((1, 4), value)
        before = model.head.weight.detach().clone()
        optimizer.step()
        assert torch.equal(model.head.weight, before - 2 * value)
        optimizer.zero_grad()
        gc.collect()
    assert [array.tolist() for array in kept] == [[[2.0] * 4], [[6.0] * 4]]


def test_averages():
    model = make_net()
    optimizer = attach(model, optimizers.ScheduleFreeSGD(lr=0.5))
    train(model, optimizer)
    trained = values(model)
    with optimizer.averaged():
        assert not torch.equal(model.head.weight, trained["head.weight"])
        with pytest.raises(RuntimeError, match="averages"):
            optimizer.step()
    assert all(torch.equal(p, trained[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(dtype):
    torch.manual_seed(0)
    p = torch.nn.Parameter(torch.randn(64, 8).to(dtype))
    full = p.detach().float()
    optimizer = attach({"w": p}, optimizers.SGD(lr=1e-4))
    p.update_rule.fp32_update = True
    for _ in range(50):
        p.grad = torch.ones_like(p)
        optimizer.step()
    # Each step alone would be lost in rounding.
    assert torch.equal(p, (full - 50 * 1e-4).to(dtype))


def test_states_in_8_bits():
    model = torch.nn.Linear(64, 64)
    optimizer = attach(model, optimizers.Adam(1e-2))
    optimizer.rules.state_dtype = "int8"
    model.weight.grad, model.bias.grad = torch.ones(64, 64), torch.ones(64)
    before = model.weight.detach().clone()
    optimizer.step()
    assert model.weight.update_rule.state["m"].dtype == np.int8
    assert torch.allclose(before - model.weight, torch.tensor(1e-2), rtol=0.05)


def test_policies_see_gradients_that_are_not_finite():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    optimizer.rules.on_nonfinite = "skip_step"
    backward(model, 0)
    model.head.bias.grad.fill_(float("inf"))
    before, version = values(model), model.head.weight._version
    optimizer.step()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert model.head.weight._version == version
    assert model.head.weight.update_rule.skipped == 1


def test_what_was_detached_is_as_before_and_works_no_more():
    model = make_net()
    model.head.bias.requires_grad_(False)
    optimizer = attach(model, optimizers.Adam())
    optimizer.add_hook(optimizer_hooks.EMA(0.9))
    optimizer.rules["encoder.0.**"].enabled = False
    rule = model.encoder[0].linear.weight.update_rule
    state = optimizer.state_dict()
    optimizer.detach()
    optimizer.detach()
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["head.bias"]
    other = attach(model, optimizers.SGD())
    rule.enabled = True
    rule.enabled = False  # nobody's rule any more
    assert model.encoder[0].linear.weight.requires_grad
    backward(model, 0)
    before = values(model)
    for work in (
        optimizer.step,
        optimizer.reattach,
        optimizer.state_dict,
        lambda: optimizer.load_state_dict(state),
        lambda: optimizer.add_param_group({"params": []}),
        lambda: optimizer.averaged().__enter__(),
        lambda: optimizer.transaction().__enter__(),
    ):
        with pytest.raises(RuntimeError, match="this optimizer was detached from its model"):
            work()
    optimizer.zero_grad()
    assert (optimizer.param_groups, len(optimizer.state), len(optimizer.rules)) == ([], 0, 0)
    assert "0 parameters" in repr(optimizer)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    other.step()
    assert not torch.equal(model.head.weight, before["head.weight"])


def test_a_hook_that_raises_after_the_update_says_that_it_took_place():
    def fails(optimizer):
        raise ArithmeticError

    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    optimizer.add_hook(fails, "fails", "post")
    backward(model, 0)
    with pytest.raises(ArithmeticError) as caught:
        optimizer.step()
    assert any("the update has taken place" in note for note in caught.value.__notes__)
    assert optimizer.t == 1


def test_an_optimizer_that_is_forgotten_is_gone():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    backward(model, 0)
    optimizer.step()
    gone = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert gone() is None
    assert model.head.weight.update_rule is None
    attach(model, optimizers.Adam()).step()


def test_a_cycle_through_the_model_is_collected():
    model = make_net()
    model.head.optimizer = attach(model, optimizers.Adam())
    gone = weakref.ref(model.head.optimizer)
    del model
    gc.collect()
    assert gone() is None


def test_one_thread_steps_at_a_time():
    # Large enough that the lock is let go during the sweep.
    p = torch.nn.Parameter(torch.zeros(1 << 22))
    p.grad = torch.ones_like(p)
    optimizer = attach({"w": p}, optimizers.SGD(lr=1.0))
    errors = []

    def work():
        for _ in range(20):
            try:
                optimizer.step()
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("updating in another thread" in error for error in errors)
    assert optimizer.t == 60 - len(errors)
    assert (p == -float(optimizer.t)).all()


def test_a_step_in_a_step_is_called_what_it_is():
    model, other = make_net(), make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    backward(model, 0)
    optimizer.add_hook(lambda native: optimizer.step(), "again")
    with pytest.raises(RuntimeError, match=r"got a call of step\(\) from one of its own hooks"):
        optimizer.step()
    assert_same(model, other)
    optimizer.remove_hook("again")
    optimizer.step()
    assert optimizer.t == 1


def test_importing_chainrule_does_not_import_pytorch():
    import subprocess
    import sys

    code = "import sys, chainrule; assert 'torch' not in sys.modules; chainrule.torch.attach"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
