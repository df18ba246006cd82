"""param_groups: distinct sets of values, written by whoever expects torch.optim."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

from torch.optim import lr_scheduler

import chainrule
import chainrule.torch
import torch
from chainrule import optimizers, schedules
from torch_models import assert_same, backward, make_net

attach = chainrule.torch.attach


def test_there_is_a_group_for_each_distinct_set_of_values():
    model = make_net()
    optimizer = attach(model, optimizers.AdamW(alpha=1e-3, weight_decay=0.1))
    (group,) = optimizer.param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]
    assert (group["lr"], group["alpha"], group["betas"]) == (1e-3, 1e-3, (0.9, 0.999))
    assert (group["eps"], group["weight_decay"]) == (1e-8, 0.1)
    optimizer.rules.where(lambda n, p: p.dim() < 2).hyperparam.weight_decay = 0.0
    decayed, others = sorted(optimizer.param_groups, key=lambda g: -g["weight_decay"])
    assert all(p.dim() == 2 for p in decayed["params"])
    assert others["weight_decay"] == 0.0
    # Another way to the same numbers makes no group of its own, another algorithm does.
    optimizer.rules["head.bias"].hyperparam.alpha = 1e-3
    assert len(optimizer.param_groups) == 2
    optimizer.rules["head.weight"].use(optimizers.Lion(lr=1e-4))
    assert [group["lr"] for group in optimizer.param_groups].count(1e-4) == 1
    # The same number today, but not tomorrow.
    optimizer.rules["head.bias"].hyperparam.alpha = schedules.linear(1e-3, 0.0, 10)
    assert len(optimizer.param_groups) == 4


def test_writing_a_group_sets_the_rules():
    model = make_net()
    optimizer = attach(model, optimizers.AdamW(alpha=1e-3))
    optimizer.rules["head.*"].hyperparam.alpha = chainrule.inherit * 10
    first, second = optimizer.param_groups
    # A recipe that must not be applied twice to what inherits.
    for group in optimizer.param_groups:
        group["lr"] *= 0.5
    assert (first["lr"], second["lr"]) == (5e-4, 5e-3)
    second["betas"] = (0.5, 0.6)
    assert model.head.weight.update_rule.hyperparam.beta2 == 0.6
    assert model.encoder[0].norm.bias.update_rule.hyperparam.beta2 == 0.999
    assert "set by param_groups[1]" in optimizer.explain("head.weight", "lr")
    second["lr"] = torch.tensor(0.25)
    assert model.head.weight.update_rule.hyperparam.alpha == 0.25
    for name in ("params", "param_names"):
        with pytest.raises(ValueError, match="follows from the rules"):
            first[name] = []
    with pytest.raises(ValueError, match="expected 2 numbers"):
        first["betas"] = (0.9,)
    with pytest.raises(TypeError, match="no number"):
        first["lr"] = "fast"
    with pytest.raises(ValueError, match="cannot be deleted"):
        del first["lr"]
    first["note"] = "kept"
    assert optimizer.param_groups[0].pop("note") == "kept"


def test_a_group_for_all_writes_where_all_inherit():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    optimizer.param_groups[0]["lr"] = 0.2
    assert optimizer.lr == optimizer.native.lr == 0.2
    assert model.head.bias.update_rule.hyperparam._own("lr") is None


def test_a_value_that_an_expression_gives_already_leaves_it():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    optimizer.rules["head.*"].hyperparam.lr = chainrule.inherit * 10
    for group in optimizer.param_groups:
        group["lr"] = group["lr"]
    optimizer.lr = 0.5
    assert model.head.bias.update_rule.hyperparam.lr == 5.0


def test_groups_stay_in_place_and_are_split():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    (first,) = optimizer.param_groups
    first["initial_lr"] = 0.1
    optimizer.rules["head.*"].hyperparam.lr = 0.3
    assert optimizer.param_groups[0] is first
    assert optimizer.param_groups[1]["initial_lr"] == 0.1
    assert len(first["params"]) == 8


SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 0.9**t),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3, 0.5),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, [0.1, 0.2], total_steps=12),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.001, 0.1, 3, cycle_momentum=False),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.ExponentialLR(o, 0.8)], [4]
    ),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 8, 2.0),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers_of_pytorch(name):
    a, b = make_net(), make_net()
    ours = attach(a, optimizers.AdamW(alpha=0.01, weight_decay=0.01, eps_hat=False))
    ours.rules["head.*"].hyperparam.alpha = 0.02
    reference = torch.optim.AdamW(
        [{"params": b.encoder.parameters()}, {"params": b.head.parameters(), "lr": 0.02}], lr=0.01
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR's own use of a deprecated argument
        pairs = [(m, o, SCHEDULERS[name](o)) for m, o in ((a, ours), (b, reference))]
        for step in range(10):
            for model, optimizer, scheduler in pairs:
                optimizer.zero_grad()
                backward(model, step)
                optimizer.step()
                scheduler.step()
            for mine, theirs in zip(ours.param_groups, reference.param_groups, strict=True):
                assert mine["lr"] == pytest.approx(theirs["lr"], rel=1e-12)
                assert mine["betas"] == pytest.approx(theirs["betas"])
    assert_same(a, b, 1e-5)


def test_plateaus_are_noticed():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0)
    for loss in (1.0, 1.0, 1.0):
        scheduler.step(loss)
    assert optimizer.lr == pytest.approx(0.01)


def test_parameters_can_be_added_as_a_group():
    model = make_net()
    optimizer = attach(list(model.encoder.named_parameters()), optimizers.SGD(lr=0.1))
    optimizer.rules["0.norm.bias"].hyperparam.lr = 0.7
    optimizer.add_param_group({"params": list(model.head.named_parameters()), "lr": 0.5})
    assert optimizer.param_groups[-1]["lr"] == 0.5
    model.head.bias.grad = torch.ones(1)
    before = model.head.bias.item()
    optimizer.step()
    assert model.head.bias.item() == pytest.approx(before - 0.5)
    assert optimizer.rules["0.norm.bias"].hyperparam.lr == 0.7
    with pytest.raises(ValueError, match=r"bias has a rule already.*unfreeze"):
        optimizer.add_param_group({"params": [("bias", model.head.bias)]})
    with pytest.raises(KeyError, match="no value 'speed'"):
        optimizer.add_param_group({"params": [], "speed": 1})


def test_a_model_keeps_its_modules_when_parameters_are_added():
    model, extra = make_net(), torch.nn.Parameter(torch.zeros(2))
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    optimizer.add_param_group({"params": [("extra", extra)], "lr": 0.5})
    assert optimizer.rules.paths[-1] == "extra"
    assert len(optimizer.rules[model.head]) == 2
    model.head = torch.nn.Linear(4, 1)
    extra.grad = torch.ones(2)
    with pytest.raises(RuntimeError, match="head: the module was replaced"):
        optimizer.step()
    optimizer.reattach()
    optimizer.step()
    assert extra.tolist() == [-0.5, -0.5]


def test_names_of_the_optimizer_itself():
    optimizer = attach(make_net(), optimizers.Adam(alpha=0.1))
    assert (optimizer.lr, optimizer.alpha, optimizer.betas) == (0.1, 0.1, (0.9, 0.999))
    optimizer.betas = (0.5, 0.6)
    assert optimizer.native.beta1 == 0.5
    assert {"lr", "betas"} <= set(optimizer.defaults)
    with pytest.raises(AttributeError, match="momentum"):
        optimizer.momentum  # noqa: B018
