"""What an optimizer goes on with after its model has changed."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizer_hooks, optimizers
from torch_models import make_net, step_once, values

attach = chainrule.torch.attach


def test_what_has_no_rule_gets_none():
    model = make_net()
    optimizer = attach(model, torch.optim.SGD(model.encoder.parameters(), lr=0.1))
    model.encoder[0].norm.bias.update_rule = None
    before = values(model)
    model.extra = torch.nn.Linear(1, 1)
    optimizer.reattach()
    assert model.extra.weight.update_rule is not None
    model.head.bias = torch.nn.Parameter(torch.zeros(1))  # under a name that had no rule
    before["head.bias"] = torch.zeros(1)
    optimizer.reattach()
    step_once(model, optimizer)
    left = [model.head.weight, model.head.bias, model.encoder[0].norm.bias]
    for p in left:
        assert p.update_rule is None
    for name, p in model.encoder.named_parameters(prefix="encoder"):
        assert torch.equal(p, before[name]) == (p is left[2]), name
    assert torch.equal(model.head.weight, before["head.weight"])
    assert torch.equal(model.head.bias, before["head.bias"])


def test_a_new_parameter_that_takes_no_gradient_has_a_rule_that_is_off():
    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    model.extra = torch.nn.Linear(2, 2).requires_grad_(False)
    optimizer.reattach()
    assert not model.extra.weight.requires_grad
    assert not model.extra.weight.update_rule.enabled
    model.extra.weight.update_rule.enabled = True
    assert model.extra.weight.requires_grad


@pytest.mark.parametrize("hook", [optimizer_hooks.EMA(0.9), optimizer_hooks.Lookahead(0.5, 2)])
@pytest.mark.parametrize("change", ["dtype", "shape"])
def test_what_hooks_keep_starts_anew_with_the_states(hook, change):
    model = make_net()
    optimizer = attach(model, optimizers.Adam(0.1))
    optimizer.add_hook(hook)
    step_once(model, optimizer)
    if change == "dtype":
        model.double()
    else:
        model.head = torch.nn.Linear(4, 3)
    optimizer.reattach()
    rule = model.head.weight.update_rule
    assert (rule.t, rule.state) == (0, None)
    step_once(model, optimizer)
    step_once(model, optimizer)
    assert rule.t == 2
    kept = rule._hook_states[hook.name][hook._state_name]
    assert kept.shape == tuple(model.head.weight.shape)
    assert model.encoder[0].norm.bias.update_rule.t == (2 if change == "dtype" else 3)


def test_a_tie_that_was_cut_leaves_the_rule_with_the_parameter_that_stays():
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    model["b"].weight = tied = model["a"].weight
    optimizer = attach(model, optimizers.SGD())
    rule = tied.update_rule
    model["a"].weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer.reattach()
    assert tied.update_rule is rule
    assert model["a"].weight.update_rule not in (None, rule)
    assert optimizer.rules["b.weight"].paths == ("b.weight",)
    # Both are new now: the one that comes first under a name of the old one has its rule.
    model["a"].weight = model["b"].weight = both = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer.reattach()
    assert tied.update_rule is None
    both.grad = torch.ones(2, 2)
    optimizer.step()
    assert optimizer.rules["b.weight"].paths == ("a.weight",)


def test_a_parameter_under_a_new_name_is_called_so():
    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    rule = model.head.weight.update_rule
    model.tail = model.head
    del model.head
    optimizer.reattach()
    assert model.tail.weight.update_rule is rule
    model.tail.weight = torch.nn.Parameter(torch.zeros(1, 4))
    with pytest.raises(RuntimeError, match=r"\] tail\.weight was replaced"):
        optimizer.step()


def test_a_replaced_parameter_of_another_shape_starts_anew():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    optimizer.rules["head.weight"].hyperparam.alpha = 0.5
    step_once(model, optimizer)
    model.head = torch.nn.Linear(4, 3)
    with pytest.raises(RuntimeError, match="head: the module was replaced"):
        optimizer.step()
    optimizer.reattach()
    step_once(model, optimizer)
    assert model.head.weight.update_rule.hyperparam.alpha == 0.5
    assert model.head.weight.update_rule.state["m"].shape == (3, 4)


def test_parameters_that_come_and_go_are_known_after_reattach():
    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    head = model.head.weight
    model.extra = torch.nn.Linear(2, 2)
    del model.head
    model.head = torch.nn.Identity()
    optimizer.reattach()
    assert "extra.weight" in optimizer.rules.paths
    assert "head.weight" not in optimizer.rules.paths
    assert head.update_rule is None


def test_a_model_in_another_dtype_can_be_attached_again():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    step_once(model, optimizer)
    model.double()
    optimizer.reattach()
    step_once(model, optimizer)
    assert model.head.weight.update_rule.state["m"].dtype == "float64"


def test_groups_stay_where_their_parameters_names_are():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    groups = [{"params": list(part.parameters())} for part in model]
    optimizer = attach(model, torch.optim.SGD(groups, lr=0.1))
    schedules = [lambda epoch: 1.0, lambda epoch: 0.5**epoch]
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedules)
    for part in ([0], [1], [0, 1]):
        for i in part:
            model[i] = torch.nn.Linear(2, 2)
        optimizer.reattach()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    scheduler.step()
    assert [(g["lr"], g["param_names"]) for g in optimizer.param_groups] == [
        (0.1, ["0.weight", "0.bias"]),
        (0.05, ["1.weight", "1.bias"]),
    ]


def test_a_decay_in_the_gradient_stays_one_after_all_parameters_were_replaced():
    model = torch.nn.Linear(2, 2)
    optimizer = attach(model, torch.optim.Adam(model.parameters(), weight_decay=0.1))
    model.load_state_dict(torch.nn.Linear(2, 2).state_dict(), assign=True)
    optimizer.reattach()
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 0.1
    assert group["decoupled_weight_decay"] is False
    group["weight_decay"] = 0.0
    before = values(model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
