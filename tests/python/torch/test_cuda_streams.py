"""Updates on a real GPU in order with what PyTorch's streams do, and what a CUDA graph captures."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import torch
from chainrule import optimizer_hooks, optimizers
from emulated_device import marked
from torch_models import assert_same, make_net, values
from torch_on_gpu import attach, data, net

pytestmark = pytest.mark.usefixtures("real_gpu")


@pytest.fixture
def side():
    """A stream of PyTorch's that does not wait for the default one."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        yield stream
    torch.cuda.synchronize()


def delay():
    """Keep the current stream busy for some milliseconds."""
    torch.cuda._sleep(20_000_000)


@marked
def test_a_side_stream_and_ours_wait_for_each_other(side):
    """The gradient is written late, and its memory is used anew at once."""
    size = 1 << 25
    p = torch.nn.Parameter(torch.zeros(size, device="cuda"))
    optimizer = attach({"p": p}, optimizers.SGD(lr=1.0))
    default = torch.cuda.default_stream()
    seen = []
    for step in range(1, 9):
        gradient = torch.full_like(p, float("nan"))
        delay()
        gradient.fill_(step)
        p.grad = gradient
        with torch.cuda.stream(default):
            if step % 2:
                delay()  # ours is late as well
        optimizer.step()
        address, p.grad = gradient.data_ptr(), None
        del gradient
        reused = torch.full_like(p, float("nan"))
        assert reused.data_ptr() == address, "the test is to overwrite the gradient"
        del reused
        seen.append((p.detach().min(), p.detach().max()))
    for step, (least, most) in enumerate(seen, 1):
        assert least.item() == most.item() == -step * (step + 1) / 2, step


@marked
def test_hooks_on_a_side_stream(side):
    size = 1 << 24
    p = torch.nn.Parameter(torch.zeros(size, device="cuda"))
    optimizer = attach({"p": p}, optimizers.SGD(lr=1.0))
    optimizer.add_hook(optimizer_hooks.EMA(0.0))

    def late(optimizer):
        grad = p.grad
        assert torch.cuda.current_stream() == torch.cuda.default_stream()
        delay()
        grad.mul_(2)

    optimizer.add_hook(late, name="late", timing="pre")
    for step in range(1, 5):
        p.grad = torch.full_like(p, float("nan"))
        delay()
        p.grad.fill_(step)
        optimizer.step()
        assert torch.cuda.current_stream() == side
        least, most = p.detach().aminmax()
        assert least.item() == most.item() == -step * (step + 1)
    average = optimizer_hooks.EMA.average_of(p.update_rule)
    assert torch.equal(torch.from_dlpack(average), p.detach())
    held = p.detach().clone()
    p.data.zero_()
    with optimizer.averaged():
        assert torch.equal(p, held)
    assert not p.any()


@marked
def test_transactions_on_a_side_stream(side):
    p = torch.nn.Parameter(torch.zeros(1 << 24, device="cuda"))
    optimizer = attach({"p": p}, optimizers.Adam(1.0))
    for step in range(3):
        delay()
        p.data.fill_(step)
        with optimizer.transaction() as transaction:
            p.grad = torch.ones_like(p)
            optimizer.step()
            delay()
            p.data.fill_(float("nan"))
            transaction.rollback()
            assert (p == step).all()
            delay()
            p.data.fill_(-1)
            transaction.rollback()
        assert (p == step).all()
    assert optimizer.t == 0


@marked
def test_sam_on_a_side_stream(side):
    a, b = net(torch.float64), make_net(dtype=torch.float64)
    pairs = []
    for model in (a, b):
        optimizer = attach(model, optimizers.SGD(0.1))
        optimizer.add_hook(optimizer_hooks.SAM(0.05))

        def closure(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            x, y = (each.to(model.head.weight) for each in data(0))
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            return loss

        pairs.append((optimizer, closure))
    for _ in range(5):
        for optimizer, closure in pairs:
            optimizer.step(closure)
    assert_same(a.cpu(), b, 1e-9)


@marked
@pytest.mark.filterwarnings("ignore:.*AccumulateGrad")
def test_a_graph_is_refused_while_it_is_captured_and_may_be_replayed():
    model = net()
    optimizer = attach(model, optimizers.SGD(0.1))
    x, y = data(0)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            ((model(x) - y) ** 2).mean().backward()
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad()
    before = values(model)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        with pytest.raises(RuntimeError, match="step: a CUDA graph is being captured"):
            optimizer.step()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])
    losses = []
    for _ in range(20):
        optimizer.zero_grad(set_to_none=False)
        graph.replay()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert optimizer.t == 20
