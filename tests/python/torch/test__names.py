"""Names of values: what is nearly one is refused."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import make_net

attach = chainrule.torch.attach


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (optimizers.SGD, "learning_rate", "did you mean 'lr'"),
        (optimizers.SGD, "weight_decay", "no attribute 'weight_decay'"),
        (optimizers.SGD, "lrr", r"\[SGD\] no attribute 'lrr' to set; did you mean 'lr'\?"),
        (optimizers.Adam, "lrr", "did you mean 'lr'"),
        (optimizers.Adam, "beta", "did you mean 'beta"),
        (optimizers.Adam, "aplha", "did you mean 'alpha'"),
        (optimizers.Adam, "load_state_dct", "did you mean 'load_state_dict'"),
        (optimizers.Adam, "clear_gradients", r"did you mean 'native\.clear_gradients'"),
    ],
)
def test_misspelt_attributes_are_refused(make, name, message):
    optimizer = attach(make_net(), make())
    with pytest.raises(AttributeError, match=message):
        setattr(optimizer, name, 3)
    optimizer.lr = 0.5
    assert optimizer.param_groups[0]["lr"] == 0.5
    optimizer.remark = "mine"
    assert optimizer.remark == "mine"


@pytest.mark.parametrize("name", ["epoch", "target", "rule", "loss_scale", "warmup", "clip", "T"])
def test_notes_may_have_names_that_the_native_optimizer_has(name):
    optimizer = attach(make_net(), optimizers.SGD())
    setattr(optimizer, name, 3)
    assert getattr(optimizer, name) == 3
    assert getattr(optimizer.native, name, None) != 3


def test_a_subclass_keeps_what_it_likes():
    class Counting(chainrule.torch.Optimizer):
        def __init__(self, model, native):
            super().__init__(model, native)
            self.steps = self.lrr = self.learning_rate = 0

    optimizer = Counting(make_net(), optimizers.Adam())
    assert (optimizer.steps, optimizer.lrr, optimizer.learning_rate) == (0, 0, 0)
    optimizer.lr = 0.5
    assert optimizer.native.alpha == 0.5


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_rate_that_is_a_tensor_counts_as_its_number(shape):
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = chainrule.torch.attach({"p": p}, optimizers.SGD(lr=torch.full(shape, 1.0)))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
    for _ in range(3):
        p.grad = torch.ones(1)
        optimizer.step()
        scheduler.step()
    assert p.item() == pytest.approx(-1.11)
    rate = torch.full(shape, 0.5)
    optimizer.param_groups[0]["lr"] = rate
    rate.fill_(7)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert type(p.update_rule.hyperparam.lr) is float
