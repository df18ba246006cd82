"""Models that are moved while SAM has them elsewhere."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizer_hooks, optimizers
from torch_models import assert_same, backward, make_net, values

attach = chainrule.torch.attach


def make_sharp(in_second_pass):
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    optimizer.add_hook(optimizer_hooks.SAM(rho=0.05))
    passes = []

    def closure():
        passes.append(1)
        optimizer.zero_grad()
        loss = backward(model, 0)
        if len(passes) == 2:
            in_second_pass(model)
        return loss

    return model, optimizer, closure


def to_double(model):
    model.double()


def to_other_memory_and_raise(model):
    for p in model.parameters():
        p.data = p.data.clone()
    raise ArithmeticError


@pytest.mark.parametrize(
    ("move", "error", "message"),
    [(to_double, TypeError, "another dtype"), (to_other_memory_and_raise, ArithmeticError, None)],
)
def test_a_second_pass_that_fails_leaves_the_values_where_the_model_is(move, error, message):
    model, optimizer, closure = make_sharp(move)
    before = values(model)
    with pytest.raises(error, match=message):
        optimizer.step(closure)
    assert all(torch.equal(p.float(), before[name]) for name, p in model.named_parameters())
    assert optimizer.t == 0


def test_values_that_cannot_be_given_back_are_told():
    def reshape(model):
        model.double()
        model.head.weight.data = torch.zeros(1)

    model, optimizer, closure = make_sharp(reshape)
    before = values(model)
    with pytest.raises(TypeError, match="another dtype") as caught:
        optimizer.step(closure)
    assert "head.weight was given another shape" in "".join(caught.value.__notes__)
    assert torch.equal(model.head.bias.float(), before["head.bias"])


def test_memory_that_moved_in_the_second_pass_is_followed():
    def to_other_memory(model):
        for p in model.parameters():
            p.data = p.data.clone()

    (a, first, closure), (b, second, other) = (
        make_sharp(move) for move in (to_other_memory, lambda model: None)
    )
    first.step(closure)
    second.step(other)
    assert_same(a, b)
