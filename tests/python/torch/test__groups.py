"""param_groups: distinct sets of values, written by whoever expects torch.optim."""

from __future__ import annotations

import copy
import warnings

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

from torch.optim import lr_scheduler

import chainrule
import chainrule.torch
import torch
from chainrule import optimizers, schedules
from chainrule.optimizer_hooks import WeightDecay
from torch_models import assert_same, backward, groups_of_two, make_net

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
    first["note"] = 0.1
    optimizer.rules["head.*"].hyperparam.lr = 0.3
    assert optimizer.param_groups[0] is first
    assert optimizer.param_groups[1]["note"] == 0.1
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


@pytest.mark.parametrize("name", ["LambdaLR", "CyclicLR", "CosineAnnealingWarmRestarts"])
def test_rules_may_get_values_of_their_own_among_schedulers(name):
    a, b = make_net(), make_net()
    ours, reference = attach(a, optimizers.SGD(lr=0.1)), attach(b, optimizers.SGD(lr=0.1))
    mine, theirs = SCHEDULERS[name](ours), SCHEDULERS[name](reference)
    ours.rules["head.weight"].hyperparam.lr = 0.7
    ours.rules["head.bias"].hyperparam.lr = chainrule.inherit * 10
    a.encoder[0].norm.bias.update_rule.add_hook(WeightDecay(0.1))
    for _ in range(3):
        for optimizer, scheduler in ((ours, mine), (reference, theirs)):
            optimizer.step()
            scheduler.step()
    (group,), (expected,) = ours.param_groups, reference.param_groups
    assert group["lr"] == pytest.approx(expected["lr"])
    assert a.encoder[0].norm.bias.update_rule.hyperparam.lr == pytest.approx(expected["lr"])
    assert a.head.weight.update_rule.hyperparam.lr == 0.7
    assert a.head.bias.update_rule.hyperparam.lr == pytest.approx(10 * expected["lr"])
    assert ours.param_groups[0]["weight_decay"] == 0.0
    ours.param_groups[0]["weight_decay"] = 0.2
    assert a.encoder[0].norm.bias.update_rule.hooks["WeightDecay"].rate == 0.1
    assert a.head.weight.update_rule.hooks["WeightDecay"].rate == 0.2


def test_a_group_goes_on_with_the_rules_that_nobody_has_set():
    model = make_net()
    optimizer = attach(model, optimizers.AdamW(alpha=0.1))
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda t: 0.5**t)
    for rate in (0.7, 0.9):  # of most rules
        optimizer.rules["encoder.**"].hyperparam.alpha = rate
        optimizer.rules["head.bias"].use(optimizers.Lion(lr=0.3))
        backward(model, 0)
        optimizer.step()
        scheduler.step()
    (group,) = optimizer.param_groups
    assert group["lr"] == model.head.weight.update_rule.hyperparam.alpha == 0.1 * 0.5**2
    assert model.encoder[0].norm.bias.update_rule.hyperparam.alpha == 0.9
    assert model.head.bias.update_rule.hyperparam.lr == 0.3
    other = make_net()
    again = attach(other, optimizers.AdamW())
    again.rules["head.bias"].use(optimizers.Lion())
    again.load_state_dict(optimizer.state_dict())
    assert [len(group["params"]) for group in again.param_groups] == [10]
    assert again.param_groups[0]["lr"] == group["lr"]


DECAYING = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01),
    "decoupled NAdam": lambda p: torch.optim.NAdam(p, lr=0.01, decoupled_weight_decay=True),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.1, 0.1), (0.1, 0.0)])
@pytest.mark.parametrize("name", DECAYING)
def test_a_decay_means_what_it_means_in_pytorch(name, rates):
    a, b = make_net(), make_net()
    reference, theirs = (
        DECAYING[name](groups_of_two(a, rates)),
        DECAYING[name](groups_of_two(b, rates)),
    )
    ours = attach(b, theirs)
    assert [group["weight_decay"] for group in ours.param_groups] == list(rates)
    for step in range(12):
        for model, optimizer in ((a, reference), (b, ours)):
            optimizer.zero_grad()
            backward(model, step)
            optimizer.step()
            optimizer.param_groups[0]["weight_decay"] = 0.5 if step < 6 else 0.0
            optimizer.param_groups[1]["weight_decay"] += 0.01 * (step > 3)
        assert [g["weight_decay"] for g in ours.param_groups] == [
            g["weight_decay"] for g in reference.param_groups
        ]
    assert_same(a, b, 2e-5)
    again = make_net()
    copy = attach(again, DECAYING[name](again.parameters()))
    copy.load_state_dict(ours.state_dict())
    copy.param_groups[0]["weight_decay"] = 0.3
    decays = again.encoder[0].norm.bias.update_rule.hyperparam.get_dict().get("weight_decay", 0.0)
    assert decays == (0.3 if reference.param_groups[0].get("decoupled_weight_decay") else 0.0)


def test_a_hook_decays_where_the_algorithm_does_not():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    hook = WeightDecay(0.1)
    optimizer.add_hook(hook)
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 0.1
    hook.rate = 0.2
    assert group["weight_decay"] == 0.2
    group["weight_decay"] = torch.tensor(0.5)
    assert hook.rate == 0.5
    assert not model.head.bias.update_rule.hooks
    optimizer.rules["head.*"].hyperparam.lr = 1.0
    optimizer.param_groups[1]["weight_decay"] = (
        0.0  # of these rules only: the others have hooks now
    )
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.5, 0.0]
    assert not optimizer.native._hooks().pre
    with pytest.raises(TypeError, match=r"weight_decay: got 'much', expected a number"):
        group["weight_decay"] = "much"


def test_entries_that_would_have_no_effect_are_refused():
    model = make_net()
    optimizer = attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    (group,) = optimizer.param_groups
    for name, value in (("momentum", 0.9), ("nesterov", True), ("maximize", True)):
        now = group[name]
        with pytest.raises(ValueError, match=rf"{name}: SGD has no such value.*use"):
            group[name] = value
        group[name] = now
    group["foreach"] = True  # is about speed
    with pytest.raises(ValueError, match="lr: AdaDelta has no such value"):
        attach(make_net(), optimizers.AdaDelta()).param_groups[0]["lr"] = 0.1
    optimizer.rules.use(optimizers.CorrectedMomentumSGD(lr=0.1))
    optimizer.param_groups[0]["momentum"] = 0.5
    assert model.head.bias.update_rule.hyperparam.momentum == 0.5


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


@pytest.mark.parametrize(
    "change",
    [
        lambda groups: groups.append({"params": []}),
        lambda groups: groups.extend([]),
        lambda groups: groups.clear(),
        lambda groups: groups.pop(),
        lambda groups: groups.__setitem__(0, {}),
        lambda groups: groups.__delitem__(0),
        lambda groups: groups.__iadd__([{}]),
        lambda groups: groups[0]["params"].append(torch.nn.Parameter(torch.ones(1))),
        lambda groups: groups[0]["param_names"].remove("head.bias"),
    ],
)
def test_lists_that_follow_from_the_rules_cannot_be_changed(change):
    optimizer = attach(make_net(), optimizers.Adam())
    with pytest.raises(ValueError, match=r"follow from the rules.*add_param_group"):
        change(optimizer.param_groups)
    optimizer.rules["head.bias"].hyperparam.alpha = 0.5
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 0.5]
    for copied in (copy.deepcopy(optimizer.param_groups), optimizer.state_dict()["param_groups"]):
        assert type(copied) is list
        assert {type(group[each]) for group in copied for each in ("params", "param_names")} == {
            list
        }


def test_several_values_are_set_all_or_none():
    optimizer = attach(make_net(), optimizers.Adam())
    optimizer.rules["head.bias"].hyperparam.alpha = 0.5
    group = optimizer.param_groups[0]
    for betas in (3, 0.9, "ab", None, (0.9,)):
        with pytest.raises(
            (TypeError, ValueError), match=r"\[param_groups\] betas: got .*2 numbers"
        ):
            group.update(lr=0.3, initial_lr=0.3, betas=betas)
    with pytest.raises(TypeError, match="eps"):
        group.update(lr=0.3, initial_lr=0.3, eps="x")
    assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.9, 0.999), 1e-8)
    assert "initial_lr" not in group
    group.update(lr=0.3, initial_lr=0.3, betas=torch.tensor([0.5, 0.25]))
    assert (group["lr"], group["betas"], group["initial_lr"]) == (0.3, (0.5, 0.25), 0.3)


def test_a_group_goes_with_its_last_parameter():
    a, b = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    model = torch.nn.ParameterDict({"a": a, "b": b})
    optimizer = attach(model, optimizers.SGD())
    optimizer.rules["b"].hyperparam.lr = 0.5
    first, _ = optimizer.param_groups
    del model["b"]
    optimizer.reattach()
    assert [group is first for group in optimizer.param_groups] == [True]


def test_an_error_inside_a_property_is_told(monkeypatch):
    optimizer = attach(make_net(), optimizers.SGD())
    monkeypatch.setattr(optimizer._groups, "current", lambda: None.nothing)
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'nothing'"):
        optimizer.param_groups  # noqa: B018
    with pytest.raises(AttributeError, match="'Optimizer' object has no attribute 'param_group'"):
        optimizer.param_group  # noqa: B018


def test_the_same_members_may_be_written_back():
    optimizer = attach(make_net(), optimizers.Adam())
    (group,) = optimizer.param_groups
    params = list(group["params"])
    group["params"] = group["params"]
    group["param_names"] = list(group["param_names"])
    group.update(params=params, lr=0.5)
    assert group["lr"] == optimizer.lr == 0.5
    assert all(a is b for a, b in zip(group["params"], params, strict=True))
    for others in (params[1:], params[::-1], [p.clone() for p in params], None):
        with pytest.raises(ValueError, match="'params' follows from the rules' values"):
            group.update(params=others, lr=0.1)
    with pytest.raises(ValueError, match="'param_names' follows"):
        group["param_names"] = group["param_names"][::-1]
    assert group["lr"] == 0.5
