"""Parameters that an optimizer gets later."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import backward, make_net, values

attach = chainrule.torch.attach


@pytest.mark.parametrize("frozen", [False, True])
def test_a_part_that_had_no_rule_is_taken_as_pytorch_does(frozen):
    model = make_net()
    model.head.requires_grad_(not frozen)
    optimizer = attach(model, torch.optim.SGD(model.encoder.parameters(), lr=0.1))
    model.head.requires_grad_(True)
    optimizer.add_param_group({"params": model.head.parameters(), "lr": 0.5})
    assert model.head.weight.update_rule.enabled
    backward(model, 0)
    before = values(model)
    optimizer.step()
    assert torch.allclose(model.head.weight, before["head.weight"] - 0.5 * model.head.weight.grad)
    assert optimizer.rules.paths == tuple(before)
    with pytest.raises(ValueError, match=r"head\.weight has a rule already"):
        optimizer.add_param_group({"params": model.head.parameters()})


def make_parameter():
    return torch.nn.Parameter(torch.zeros(3))


REFUSED = [make_parameter(), make_parameter()]


@pytest.mark.parametrize(
    ("group", "error", "message"),
    [
        ({"lr": 0.1}, TypeError, "got lr, expected a dict with params"),
        ([make_parameter()], TypeError, "got list, expected a dict with params"),
        ({"params": None}, TypeError, "got NoneType, expected pairs"),
        ({"params": [("a", 1)]}, TypeError, "got int for 'a'"),
        ({"params": [(1, make_parameter())]}, TypeError, "got Parameter for 1"),
        ({"params": [("", make_parameter())]}, TypeError, "got Parameter for ''"),
        ({"params": [("a", make_parameter(), 2)]}, TypeError, "got tuple for '0'"),
        ({"params": [("a", make_parameter() * 2)]}, ValueError, "a is no leaf"),
        ({"params": [make_parameter()]}, ValueError, "that the model does not have"),
        ({"params": [("w", make_parameter())]}, ValueError, "the name 'w' is taken"),
        ({"params": [("a", make_parameter())] * 2}, ValueError, "'a' stands there twice"),
        ({"params": [("a", REFUSED[0])], "lr": "x"}, TypeError, "'lr' of SGD is no number"),
        ({"params": [("a", REFUSED[1])], "maximize": True}, KeyError, "no value 'maximize'"),
    ],
)
def test_what_is_refused_changes_nothing(group, error, message):
    optimizer = attach({"w": make_parameter()}, optimizers.SGD(lr=0.1))
    with pytest.raises(error, match=message):
        optimizer.add_param_group(group)
    assert optimizer.rules.paths == ("w",)
    assert all(p.update_rule is None for p in REFUSED)


def test_a_parameter_of_another_optimizer_is_refused():
    w = make_parameter()
    other = attach({"w": w}, optimizers.SGD())
    optimizer = attach({"v": make_parameter()}, optimizers.SGD())
    with pytest.raises(RuntimeError, match="w is attached to another optimizer"):
        optimizer.add_param_group({"params": [("w", w)]})
    assert w.update_rule in list(other.rules)


def test_plain_tensors_are_taken_as_by_attach():
    tensor = torch.zeros(3, requires_grad=True)
    optimizer = attach({"w": make_parameter()}, optimizers.SGD(lr=0.1))
    optimizer.add_param_group({"params": {"t": tensor}, "lr": 0.5})
    tensor.grad = torch.ones(3)
    optimizer.step()
    assert tensor.tolist() == [-0.5] * 3


def test_what_pytorchs_own_groups_hold_is_kept():
    optimizer = attach({"w": make_parameter()}, optimizers.SGD(lr=0.1))
    inert = {"foreach": None, "fused": True, "capturable": False, "differentiable": False}
    kept = {"initial_lr": 0.25, "maximize": False, **inert}
    optimizer.add_param_group({"params": [("a", make_parameter())], "lr": 0.5, **kept})
    first, second = optimizer.param_groups
    assert {name: second[name] for name in kept} == kept
    assert "initial_lr" not in first
    torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
