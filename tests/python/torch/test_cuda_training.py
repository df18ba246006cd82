"""Training PyTorch's models on a real GPU: loops, mixed precision, checkpoints, memory."""

from __future__ import annotations

import copy
import gc
import io
import itertools

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import Variable, optimizer_hooks, optimizers, schedules
from emulated_device import DEVICES, in_use, marked
from torch_models import assert_same, backward, make_net, values
from torch_on_gpu import attach, data, loss_of, net, train

pytestmark = pytest.mark.usefixtures("real_gpu")


@marked
@pytest.mark.parametrize("fused", [False, True])
def test_a_loop_is_that_of_torch_optim(fused):
    a, b = net(), net()
    optimizer = attach(a, optimizers.AdamW(1e-2, weight_decay=0.01, eps_hat=False))
    reference = torch.optim.AdamW(b.parameters(), lr=1e-2, weight_decay=0.01, fused=fused)
    first, second = train(a, optimizer, 60), train(b, reference, 60)
    assert torch.allclose(first, second, rtol=1e-3, atol=1e-5)
    assert_same(a, b, 1e-4)
    assert first[-1] < 0.3 * first[0]
    assert all(p.device.type == "cuda" for p in a.parameters())


@marked
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_learns(dtype):
    model = net(dtype)
    optimizer = attach(model, optimizers.AdamW(1e-2))
    optimizer.rules.fp32_update = True
    losses = train(model, optimizer, 60, dtype=dtype)
    assert losses[-5:].mean() < 0.5 * losses[:5].mean()
    for p in model.parameters():
        master = torch.from_numpy(p.update_rule._master_copy.copy()).to(dtype).cuda()
        assert torch.equal(p.detach(), master)


@marked
def test_an_optimizer_of_torch_is_taken_over():
    a = net()
    theirs = torch.optim.AdamW(a.parameters(), lr=1e-2, fused=True)
    train(a, theirs, 10)
    b = copy.deepcopy(a)
    optimizer = attach(a, theirs)
    reference = torch.optim.AdamW(b.parameters(), lr=1e-2)
    reference.load_state_dict(theirs.state_dict())
    train(a, optimizer, 20, 10)
    train(b, reference, 20, 10)
    assert_same(a, b, 1e-5)
    state = optimizer.state[a.head.weight]
    assert state["m"].is_cuda
    assert state["step"] == 30


@marked
def test_loss_scaling():
    a, b = net(), net()
    optimizer = attach(a, optimizers.AdamW(1e-2, weight_decay=0.01, eps_hat=False))
    reference = torch.optim.AdamW(b.parameters(), lr=1e-2, weight_decay=0.01)
    found = []
    for model, each in ((a, optimizer), (b, reference)):
        scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10, growth_interval=5)
        scales = []
        for step in range(30):
            each.zero_grad()
            with torch.autocast("cuda", torch.float16):
                loss = loss_of(model, step)
            scaler.scale(loss).backward()
            if step == 12:
                model.head.weight.grad[0, 0] = float("inf")
            if step % 2:
                scaler.unscale_(each)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(each)
            scaler.update()
            scales.append(scaler.get_scale())
        found.append(scales)
    assert found[0] == found[1]
    halved = sum(after < before for before, after in itertools.pairwise(found[0]))
    assert halved >= 1
    assert optimizer.t == 30 - halved
    assert_same(a, b, 1e-2)


@marked
def test_schedulers():
    a, b = net(), net()
    optimizer, reference = attach(a, optimizers.SGD(0.1)), torch.optim.SGD(b.parameters(), 0.1)
    for model, each in ((a, optimizer), (b, reference)):
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(each, 10)
        for step in range(10):
            train(model, each, 1, step)
            scheduler.step()
    assert_same(a, b, 1e-5)
    optimizer.lr = schedules.linear(0.1, 0.0, 100)
    optimizer.rules["encoder.0.**"].enabled = schedules.after(12)
    for p in a.encoder[0].parameters():
        assert not p.requires_grad
    train(a, optimizer, 3)
    assert all(p.requires_grad for p in a.encoder[0].parameters())


@marked
def test_a_model_goes_to_the_cpu_and_back():
    a, b = net(), make_net()
    optimizer, reference = attach(a, optimizers.AdamW(1e-2)), attach(b, optimizers.AdamW(1e-2))
    optimizer.add_hook(optimizer_hooks.EMA(0.5))
    train(a, optimizer, 3)
    for place in ("cpu", "cuda", "cpu"):
        before = {name: p.update_rule.t for name, p in a.named_parameters()}
        a.to(place)
        optimizer.zero_grad()
        with pytest.raises(TypeError, match="moved to another device"):
            optimizer.step()
        optimizer.reattach()
        assert before == {name: p.update_rule.t for name, p in a.named_parameters()}
        assert optimizer.state[a.head.weight]["m"].device.type == place
        backward_on(a)
        optimizer.step()
    b.load_state_dict(a.state_dict())
    reference.load_state_dict(optimizer.state_dict())
    for model, each in ((a, optimizer), (b, reference)):
        each.zero_grad()
        backward(model, 7)
        each.step()
    assert_same(a, b, 1e-6)


def backward_on(model):
    x, y = (each.to(model.head.weight) for each in data(1))
    ((model(x) - y) ** 2).mean().backward()


@marked
@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_checkpoints_in_files(where):
    a, b = net(), net()
    optimizer = attach(a, optimizers.AdamW(1e-2))
    train(a, optimizer, 5)
    file = io.BytesIO()
    torch.save({"model": a.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, map_location=where, weights_only=True)
    b.load_state_dict(saved["model"])
    again = attach(b, optimizers.AdamW(0.5))
    again.load_state_dict(saved["optimizer"])
    train(a, optimizer, 5, 5)
    train(b, again, 5, 5)
    assert_same(a, b)
    theirs = torch.optim.AdamW(a.named_parameters(), lr=1e-2)
    train(a, theirs, 3)
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, map_location=where, weights_only=True))
    b.load_state_dict(a.state_dict())
    train(a, theirs, 3)
    train(b, again, 3)
    assert_same(a, b, 1e-5)


@marked
def test_states_are_the_rules_own():
    model = net()
    optimizer = attach(model, optimizers.Adam())
    train(model, optimizer, 2)
    m = optimizer.state[model.head.weight]["m"]
    assert m.is_cuda
    m.zero_()
    assert not model.head.weight.update_rule.state["m"].any()
    optimizer.state[model.head.weight] = {"m": torch.ones_like(m), "step": 7}
    assert (m == 1).all()
    assert model.head.weight.update_rule.t == 7
    model.head.weight.update_rule.state["m"] = torch.full_like(m, 2)
    assert (m == 2).all()
    optimizer.rules.state_dtype = "bfloat16"
    train(model, optimizer, 1)
    assert optimizer.state[model.head.weight]["m"].dtype == torch.bfloat16
    optimizer.detach()
    del optimizer, model
    gc.collect()
    assert (m == 2).all(), "the memory lives as long as somebody sees it"


@marked
def test_memory_does_not_grow():
    model = net()
    optimizer = attach(model, optimizers.Adam())
    optimizer.add_hook(optimizer_hooks.EMA(0.9))
    optimizer.observe(optimizer.rules)

    def used():
        gc.collect()
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated(), in_use()

    steady = None
    for first in range(0, 60, 3):
        if first == 9:
            steady = used()
        train(model, optimizer, 3, first)
        with optimizer.averaged():
            loss_of(model, 0)
        _ = optimizer.state_dict(), optimizer.state[model.head.weight], str(optimizer.rules)
        with optimizer.transaction() as transaction:
            train(model, optimizer, 1)
            transaction.rollback()
        del _, transaction
        optimizer.zero_grad()
    assert used() == steady


@marked
def test_gradients_in_other_layouts_and_accumulated():
    def make():
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3)]
        return torch.nn.Sequential(*layers).to("cuda", memory_format=torch.channels_last)

    a, b = make(), make()
    optimizer = attach(a, optimizers.AdamW(1e-2, eps_hat=False))
    reference = torch.optim.AdamW(b.parameters(), lr=1e-2)
    for step in range(10):
        for model, each in ((a, optimizer), (b, reference)):
            each.zero_grad(set_to_none=step % 2 == 0)
            for part in range(2):
                torch.manual_seed(10 * step + part)
                x = torch.randn(2, 3, 8, 8, device="cuda")
                x = x.to(memory_format=torch.channels_last) if part else x
                (model(x) ** 2).mean().backward()
            each.step()
    assert_same(a, b, 1e-2)
    assert a[0].weight.stride() == b[0].weight.stride()


class Signs(chainrule.UpdateRule):
    """Written with PyTorch's operations."""

    def init_state(self, param):
        self.state["m"] = torch.zeros_like(param.tensor)

    def update_core_gpu(self, param):
        with torch.no_grad():
            m = self.state["m"]
            m.lerp_(param.tensor.grad, 0.1)
            param.tensor.sub_(m.sign(), alpha=self.hyperparam.lr)

    update_core_cpu = update_core_gpu


@marked
def test_rules_written_with_pytorch():
    a, b = net(), make_net()
    rules = []
    for model in (a, b):
        optimizer = attach(model, optimizers.SGD(0.1))
        rule = Signs()
        rule.hyperparam.lr = 0.01
        model.head.weight.update_rule = rule
        rules.append((rule, optimizer, model))
    for step in range(5):
        for _, optimizer, model in rules:
            optimizer.zero_grad()
            x, y = (each.to(model.head.weight) for each in data(step))
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
    assert_same(copy.deepcopy(a).cpu(), b, 1e-5)
    rule, optimizer, _ = rules[0]
    saved = optimizer.state_dict()
    before = rule.state["m"].clone()
    assert torch.equal(saved["state"]["head.weight"]["m"], before.cpu())
    train(a, optimizer, 1)
    optimizer.load_state_dict(saved)
    assert rule.state["m"].is_cuda
    assert torch.equal(rule.state["m"], before)
    a.cpu()
    optimizer.reattach()
    assert rule.state["m"].device.type == "cpu"


@marked
def test_hooks_see_arrays_of_cupy():
    cupy = pytest.importorskip("cupy", reason="arrays of CuPy")
    model = net()
    optimizer = attach(model, optimizers.SGD(0.1))
    optimizer.add_hook(optimizer_hooks.GradientLARS(1e-3, 0.1))
    seen = []

    class Look:
        name, timing, call_for_each_param = "Look", "pre", True

        def __call__(self, rule, param):
            assert param.array.data.ptr == param.tensor.data_ptr()
            assert isinstance(param.grad, cupy.ndarray)
            param.grad[...] *= 0
            seen.append(param.name)

    optimizer.add_hook(Look())
    before = values(model)
    train(model, optimizer, 1)
    assert len(seen) == len(list(model.parameters()))
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])


@marked
def test_variables_on_states_and_parameters():
    model = net()
    optimizer = attach(model, optimizers.Adam())
    train(model, optimizer, 1)
    v = Variable.from_dlpack(optimizer.state[model.head.weight]["v"])
    assert v.__dlpack_device__() == (2, 0)
    assert isinstance(optimizer._params[0].device, chainrule.backend.GpuDevice)
    assert "on" in repr(optimizer) or repr(optimizer)


@marked
def test_memory_that_pytorch_keeps_is_given_back_for_states():
    model = torch.nn.Linear(8192, 8192, bias=False, device="cuda")
    model.weight.grad = torch.ones_like(model.weight)
    optimizer = attach(model, optimizers.Adam())
    torch.cuda.empty_cache()
    chainrule.cuda.memory_pool.free_all_blocks()
    free, _ = torch.cuda.mem_get_info()
    kept = torch.empty(free - (200 << 20), dtype=torch.uint8, device="cuda")
    with pytest.raises(MemoryError, match="out of memory on cuda:0"):
        optimizer.step()
    before = model.weight.clone()
    del kept  # PyTorch has it now, and the states need 512 MiB
    assert torch.cuda.mem_get_info()[0] < 512 << 20
    optimizer.step()
    assert not torch.equal(model.weight, before)
    del model, optimizer, before
    gc.collect()
    torch.cuda.empty_cache()


@marked
@pytest.mark.skipif(DEVICES < 2, reason="there is one device")
def test_a_model_on_two_gpus():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(4, 8, device="cuda:0")
            self.second = torch.nn.Linear(8, 1, device="cuda:1")

        def forward(self, x):
            return self.second(self.first(x).tanh().to("cuda:1"))

    torch.manual_seed(0)
    a = Two()
    b = copy.deepcopy(a)
    optimizer = attach(a, optimizers.AdamW(1e-2, eps_hat=False))
    reference = torch.optim.AdamW(b.parameters(), lr=1e-2)
    x, y = data(0)
    for _ in range(20):
        for model, each in ((a, optimizer), (b, reference)):
            each.zero_grad()
            ((model(x) - y.to("cuda:1")) ** 2).mean().backward()
            each.step()
    assert_same(a, b, 1e-5)
