"""Parameters that an optimizer gets later."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers, schedules
from torch_models import assert_same, backward, make_net, values

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


UNFROZEN = {
    "SGD": (torch.optim.SGD, {}),
    "SGD, decay": (torch.optim.SGD, {"weight_decay": 0.1}),
    "SGD, momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "SGD, Nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "Adam": (torch.optim.Adam, {}),
    "Adam, decay": (torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
    "AdamW": (torch.optim.AdamW, {"weight_decay": 0.1}),
    "NAdam": (torch.optim.NAdam, {"weight_decay": 0.1}),
    "Adagrad": (torch.optim.Adagrad, {"weight_decay": 0.1}),
    "RMSprop": (torch.optim.RMSprop, {"weight_decay": 0.1}),
}


def run(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()


def unfreeze(cls, options, group):
    """Train a part with PyTorch's optimizer and with what took it over, then all of the model."""
    models = make_net(), make_net()
    theirs = [cls(model.head.parameters(), lr=0.01, **options) for model in models]
    pairs = list(zip(models, (attach(models[0], theirs[0]), theirs[1]), strict=True))
    for model, optimizer in pairs:
        run(model, optimizer, range(3))
        optimizer.add_param_group({"params": model.encoder.parameters(), **group})
        run(model, optimizer, range(3, 8))
    assert_same(*models, 1e-5)
    return pairs[0][1], pairs[1][1]


@pytest.mark.parametrize("group", [{}, {"lr": 0.02}, {"weight_decay": 0.5}, {"weight_decay": 0.0}])
@pytest.mark.parametrize("name", UNFROZEN)
def test_what_a_group_does_not_say_is_as_pytorchs_defaults_say(name, group):
    ours, theirs = unfreeze(*UNFROZEN[name], group)
    for mine, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        shown = {n: v for n, v in mine.items() if n in other and n not in ("params", "param_names")}
        assert shown == {n: v for n, v in other.items() if n != "params"}


@pytest.mark.parametrize(
    ("cls", "options", "group"),
    [
        (torch.optim.SGD, {"momentum": 0.9}, {"nesterov": False, "dampening": 0}),
        (torch.optim.SGD, {"momentum": 0.9}, {"momentum": 0.5}),
        (torch.optim.SGD, {"momentum": 0.9}, {"momentum": 0}),
        (torch.optim.SGD, {}, {"momentum": 0.9, "nesterov": True}),
        (torch.optim.Adam, {}, {"decoupled_weight_decay": False, "maximize": False}),
        (
            torch.optim.Adam,
            {"weight_decay": 0.1},
            {"decoupled_weight_decay": True, "weight_decay": 0.5},
        ),
        (torch.optim.AdamW, {}, {"decoupled_weight_decay": False, "weight_decay": 0.5}),
        (torch.optim.Rprop, {}, {"etas": (0.4, 1.3), "step_sizes": (1e-5, 1.0)}),
        (torch.optim.Rprop, {"etas": (0.4, 1.3)}, {}),
    ],
)
def test_options_are_as_in_pytorch(cls, options, group):
    ours, theirs = unfreeze(cls, options, group)
    for mine, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        assert set(other) <= set(mine)
        assert all(mine[name] == other[name] for name in group)


def test_defaults_count_not_what_groups_have_now():
    model = make_net()
    theirs = torch.optim.Adam([{"params": list(model.head.parameters()), "lr": 0.5}], lr=0.01)
    optimizer = attach(model, theirs)
    optimizer.param_groups[0]["lr"] = 0.3
    optimizer.add_param_group({"params": model.encoder.parameters()})
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.01]
    optimizer.param_groups[0]["weight_decay"] = 0.2
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.0]


def test_the_rate_of_adadelta_may_be_said_where_it_is_one():
    model = make_net()
    optimizer = attach(model, torch.optim.Adadelta(model.head.parameters()))
    with pytest.raises(ValueError, match=r"add_param_group\] Adadelta with lr=0.5 has no"):
        optimizer.add_param_group({"params": model.encoder.parameters(), "lr": 0.5})
    optimizer.add_param_group({"params": model.encoder.parameters(), "lr": 1.0})
    assert len(optimizer.param_groups) == 2


def test_sums_that_do_not_start_from_zeros_are_refused():
    model = make_net()
    theirs = torch.optim.Adagrad(model.head.parameters(), initial_accumulator_value=0.1)
    optimizer = attach(model, theirs)
    with pytest.raises(ValueError, match=r"initial_accumulator_value=0\.1 has no counterpart"):
        optimizer.add_param_group({"params": model.encoder.parameters()})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["lr", "weight_decay", "eps"])
def test_a_value_that_is_not_finite_is_refused_at_the_call(name, number):
    model = make_net()
    optimizer = attach(model, torch.optim.Adam(model.head.parameters()))
    group = {"params": list(model.encoder.named_parameters(prefix="encoder")), name: number}
    with pytest.raises(ValueError, match=rf"encoder\.\S+: {name}: got {number}, expected a finite"):
        optimizer.add_param_group(group)
    optimizer.reattach()
    assert len(optimizer.param_groups) == 1


def test_rules_of_chainrule_take_a_decay_into_the_gradient_too():
    optimizer = attach({"w": make_parameter()}, optimizers.SGD(lr=0.1))
    added = torch.nn.Parameter(torch.ones(3))
    options = {"nesterov": False, "dampening": 0, "weight_decay": 0.5}
    optimizer.add_param_group({"params": [("a", added)], **options})
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.5]
    added.grad = torch.zeros(3)
    optimizer.step()
    assert added.tolist() == pytest.approx([0.95] * 3)


def test_a_parameter_that_is_refused_leaves_decays_as_they_were():
    model = make_net()
    optimizer = attach(model, torch.optim.SGD(model.head.parameters(), weight_decay=0.1))
    taken = make_parameter()
    other = attach({"x": taken}, optimizers.SGD())
    hooks = dict(optimizer.native._hookable.pre)
    with pytest.raises(RuntimeError, match="attached to another"):
        optimizer.add_param_group({"params": [("x", taken)], "weight_decay": 0.7})
    assert optimizer.native._hookable.pre == hooks
    assert other.rules.paths == ("x",)


def test_values_that_a_group_says_are_its_own():
    optimizer = attach({"w": make_parameter()}, optimizers.AdamW(alpha=0.1))
    decay = schedules.linear(0.1, 0.0, 10)
    group = {"params": [("a", make_parameter())], "lr": 0.1, "weight_decay": decay}
    optimizer.add_param_group(group)
    optimizer.lr = 0.5
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    with pytest.raises(TypeError, match=r"b: weight_decay: got 'x', expected a number"):
        attach({"w": make_parameter()}, optimizers.SGD()).add_param_group(
            {"params": [("b", make_parameter())], "weight_decay": "x"}
        )
