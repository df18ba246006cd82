"""State dicts of torch.optim, and optimizers of torch.optim taken over."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from chainrule.optimizer_hooks import WeightDecay
from torch_models import Net, assert_same, backward, groups_of_two, make_net, values

attach = chainrule.torch.attach

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05),
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "SGD with Nesterov's": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.9), weight_decay=0.1),
    "AMSGrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.2),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.01, decoupled_weight_decay=True, weight_decay=0.1),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, weight_decay=0.1),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.01),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
}


def train(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()


class Sideways(torch.optim.Adam):
    """Looks like Adam and is not."""

    def step(self, closure=None):
        pass


@pytest.mark.parametrize("steps", [0, 5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_taken_over(name, steps):
    a, b = make_net(), make_net()
    reference, theirs = OPTIMIZERS[name](a.parameters()), OPTIMIZERS[name](b.parameters())
    train(a, reference, range(steps))
    train(b, theirs, range(steps))
    optimizer = attach(b, theirs)
    report = optimizer.load_report
    assert report.source == f"torch.optim.{type(theirs).__name__}"
    assert len(report.loaded if steps else report.loaded + report.fresh) == 10
    train(a, reference, range(5, 15))
    train(b, optimizer, range(5, 15))
    assert_same(a, b, 2e-5)


def test_groups_are_taken_over():
    def groups(model):
        decayed = [p for p in model.parameters() if p.dim() >= 2]
        others = [p for p in model.parameters() if p.dim() < 2]
        return [{"params": decayed, "weight_decay": 0.1}, {"params": others, "lr": 0.02}]

    a, b = make_net(), make_net()
    reference = torch.optim.AdamW(groups(a), lr=0.01, weight_decay=0.0)
    theirs = torch.optim.AdamW(groups(b), lr=0.01, weight_decay=0.0)
    train(a, reference, range(3))
    train(b, theirs, range(3))
    optimizer = attach(b, theirs)
    assert [g["lr"] for g in optimizer.param_groups] == [0.01, 0.02]  # in its order
    assert {row.algorithm for row in optimizer.plan().rows} == {"AdamW"}
    # What most rules have stands on the optimizer.
    assert (optimizer.native.beta2, optimizer.lr) == (0.999, 0.02)
    train(a, reference, range(3, 9))
    train(b, optimizer, range(3, 9))
    assert_same(a, b, 1e-5)
    optimizer.lr = 5.0
    assert [g["lr"] for g in optimizer.param_groups] == [0.01, 5.0]


def test_groups_that_are_alike_stay_apart():
    model = make_net()
    parts = [{"params": model.encoder.parameters()}, {"params": model.head.parameters()}]
    theirs = torch.optim.SGD(parts, lr=0.1)
    torch.optim.lr_scheduler.LambdaLR(theirs, [lambda t: 1.0, lambda t: 0.5**t])
    optimizer = attach(model, theirs)
    assert [group["initial_lr"] for group in optimizer.param_groups] == [0.1, 0.1]
    again = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda t: 1.0, lambda t: 0.5**t])
    train(model, optimizer, [0])
    again.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]
    b = make_net()
    loaded = attach(b, optimizers.SGD())
    for state in (theirs.state_dict(), optimizer.state_dict()):
        loaded.load_state_dict(state)
        assert [len(group["params"]) for group in loaded.param_groups] == [8, 2]
        torch.optim.lr_scheduler.StepLR(loaded, 3, last_epoch=3)


def test_what_the_other_optimizer_did_not_have_gets_no_rule():
    model = make_net()
    optimizer = attach(model, torch.optim.SGD(model.head.parameters(), lr=0.1))
    assert optimizer.rules.paths == ("head.weight", "head.bias")
    assert "encoder.0.norm.weight" in optimizer.rules.missing
    assert model.encoder[0].norm.weight.requires_grad
    assert optimizer.lr == 0.1
    optimizer.lr = 0.2
    assert model.head.bias.update_rule.hyperparam.lr == 0.2
    with pytest.raises(ValueError, match=r"shape \(2, 2\) that the model does not have"):
        attach(make_net(), torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: torch.optim.Adam(p, maximize=True), "maximize=True has no counterpart"),
        (lambda p: torch.optim.RMSprop(p, centered=True), "centered=True"),
        (lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, dampening=0.5), "dampening=0.5"),
        (lambda p: torch.optim.Adadelta(p, lr=0.5), "lr=0.5"),
        (lambda p: torch.optim.ASGD(p), r"torch\.optim\.ASGD has no counterpart"),
        (lambda p: torch.optim.SparseAdam(p), r"torch\.optim\.SparseAdam has no counterpart"),
        (lambda p: Sideways(p), r"Sideways has a step of its own"),
    ],
)
def test_options_without_a_counterpart_are_refused(make, message):
    model = make_net()
    with pytest.raises(ValueError, match=message):
        attach(model, make(model.parameters()))
    assert model.head.weight.update_rule is None


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("name", ["Adamax", "RAdam"])
def test_state_dicts_of_adams_relatives_are_told_apart(name, steps):
    a, b = make_net(), make_net()
    theirs = getattr(torch.optim, name)(a.parameters(), lr=0.01)
    train(a, theirs, range(steps))
    optimizer = attach(b, getattr(optimizers, name)())
    assert optimizer.load_state_dict(theirs.state_dict()).source == f"torch.optim.{name}"
    sparse = torch.optim.SparseAdam(a.parameters())
    with pytest.raises(ValueError, match=r"torch\.optim\.SparseAdam has no counterpart"):
        optimizer.load_state_dict(sparse.state_dict())
    old = theirs.state_dict()
    old["state"] = {}
    for entry in ("decoupled_weight_decay", "maximize"):
        old["param_groups"][0].pop(entry, None)
    with pytest.raises(ValueError, match="RAdam or Adamax"):
        optimizer.load_state_dict(old)


def test_state_dicts_load_by_order_and_by_name():
    a = make_net()
    theirs = torch.optim.AdamW(a.parameters(), lr=0.01, weight_decay=0.2)
    train(a, theirs, range(4))
    named = torch.optim.AdamW(list(reversed(list(a.named_parameters()))), lr=0.01, weight_decay=0.2)
    for p in a.parameters():
        named.state[p] = theirs.state[p]
    weights = {name: p.clone() for name, p in a.state_dict().items()}
    state, by_name = copy.deepcopy(theirs.state_dict()), copy.deepcopy(named.state_dict())
    train(a, theirs, range(4, 8))
    for saved, how in ((state, "order"), (by_name, "name")):
        b = Net()
        b.load_state_dict(weights)
        optimizer = attach(b, optimizers.AdamW())
        report = optimizer.load_state_dict(saved)
        assert (report.source, report.matched_by) == ("torch.optim.AdamW", how)
        assert len(report.loaded) == 10
        assert str(report) == f"state of torch.optim.AdamW: 10 loaded by {how}"
        train(b, optimizer, range(4, 8))
        assert_same(a, b, 1e-5)
        assert b.head.bias.update_rule.t == 8


def test_the_algorithm_must_be_the_same():
    model = make_net()
    optimizer = attach(model, optimizers.Lion())
    theirs = torch.optim.Adam(make_net().parameters())
    train(model, optimizer, [0])
    before = values(model)
    with pytest.raises(ValueError, match=r"encoder\.0\.norm\.weight: the state is that of.*Lion"):
        optimizer.load_state_dict(theirs.state_dict())
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert optimizer.t == 1


def test_a_decay_of_the_gradient_takes_the_place_of_others():
    a, b = make_net(), make_net()
    reference = torch.optim.Adam(a.parameters(), lr=0.01, weight_decay=0.1)
    optimizer = attach(b, optimizers.AdamW(weight_decay=0.3))
    optimizer.load_state_dict(reference.state_dict())
    assert optimizer.lr == 0.01
    train(a, reference, range(9))
    train(b, optimizer, range(9))
    assert_same(a, b, 1e-5)


@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.2, 0.2), (0.1, 0.0)])
def test_a_decay_by_a_hook_of_the_optimizer_is_not_applied_twice(rates):
    a, b = make_net(), make_net()
    reference = torch.optim.SGD(groups_of_two(a, rates), lr=0.05)
    optimizer = attach(b, optimizers.SGD())
    hook = WeightDecay(0.1)
    optimizer.add_hook(hook)
    optimizer.load_state_dict(reference.state_dict())
    assert [group["weight_decay"] for group in optimizer.param_groups] == list(rates)
    if rates[0] == rates[1]:
        assert hook.rate == rates[0]
    train(a, reference, range(9))
    train(b, optimizer, range(9))
    assert_same(a, b, 1e-5)
    other = attach(make_net(), optimizers.SGD())
    other.add_hook(WeightDecay(0.1))
    damaged = torch.optim.SGD(Net(width=5).parameters(), lr=0.1, momentum=0.9).state_dict()
    with pytest.raises(ValueError, match="expected"):
        other.load_state_dict(damaged)
    assert other.param_groups[0]["weight_decay"] == 0.1


@pytest.mark.parametrize("stepped", [False, True])
@pytest.mark.parametrize("pair", [("bfloat16", "float32"), ("bfloat16", "float16")])
def test_states_get_the_dtype_of_the_parameter(pair, stepped):
    before, now = (getattr(torch, name) for name in pair)
    a, b = make_net(dtype=before), make_net(dtype=now)
    theirs = torch.optim.SGD(a.parameters(), lr=0.01, momentum=0.9)
    train(a, theirs, range(3))
    ours = attach(a, theirs)  # states of bfloat16 with another sign
    velocity = theirs.state[a.head.weight]["momentum_buffer"]
    assert torch.equal(ours.state[a.head.weight]["v"], -velocity)
    for state in (theirs.state_dict(), ours.state_dict()):
        optimizer = attach(b, optimizers.CorrectedMomentumSGD())
        if stepped:
            train(b, optimizer, [0])
        report = optimizer.load_state_dict(state)
        assert report.notes == [f"{pair[0]} states of 10 parameters are {pair[1]} now"]
        found = optimizer.state[b.head.weight]["v"]
        assert found.dtype == now
        assert torch.allclose(found.float(), -velocity.float(), rtol=1e-2, atol=1e-4)
        train(b, optimizer, [1])
        optimizer.detach()


def test_a_dtype_of_states_that_was_chosen_is_restored():
    a, b = make_net(), make_net()
    first, second = attach(a, optimizers.Adam()), attach(b, optimizers.Adam())
    first.rules.state_dtype = "bfloat16"
    train(a, first, [0])
    assert not second.load_state_dict(first.state_dict()).notes
    assert second.state[b.head.weight]["m"].dtype == torch.bfloat16


def test_state_dicts_of_another_model_are_refused_and_nothing_is_changed():
    model = make_net()
    optimizer = attach(model, optimizers.Adam(alpha=0.5))
    train(model, optimizer, [0])
    m = model.head.weight.update_rule.state["m"].copy()
    fewer = torch.optim.Adam(model.head.parameters()).state_dict()
    with pytest.raises(KeyError, match="it has 2 parameters, this one 10"):
        optimizer.load_state_dict(fewer)
    other = Net(width=5)
    theirs = torch.optim.Adam(other.parameters(), lr=0.1)
    for p in other.parameters():
        p.grad = torch.ones_like(p)
    theirs.step()
    with pytest.raises(ValueError, match=r"norm\.weight: 'exp_avg' has another shape: got \(5,\)"):
        optimizer.load_state_dict(theirs.state_dict())
    named = torch.optim.Adam(list(model.head.named_parameters()))
    with pytest.raises(KeyError, match="not known"):
        optimizer.load_state_dict(named.state_dict())
    assert optimizer.lr == 0.5
    assert (model.head.weight.update_rule.state["m"] == m).all()
    part = torch.optim.Adam([(f"head.{n}", p) for n, p in model.head.named_parameters()], lr=0.1)
    report = optimizer.load_state_dict(part.state_dict(), strict=False)
    assert len(report.missing) == 8
    assert report.fresh == ["head.weight", "head.bias"]
    assert model.head.weight.update_rule.state is None


def test_groups_of_the_same_sizes_are_matched_group_by_group():
    def make(model):
        return torch.optim.AdamW(
            [
                {"params": model[1].parameters(), "lr": 0.1, "weight_decay": 0.5},
                {"params": model[0].parameters(), "lr": 1e-4, "weight_decay": 0.0},
            ]
        )

    theirs = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    saved = make(theirs)
    theirs(torch.ones(1, 2)).sum().backward()
    saved.step()
    optimizer = chainrule.torch.attach(model, make(model))
    optimizer.load_state_dict(saved.state_dict())
    assert [(g["lr"], g["param_names"]) for g in optimizer.param_groups] == [
        (0.1, ["1.weight", "1.bias"]),
        (1e-4, ["0.weight", "0.bias"]),
    ]
    for ours, other in zip(model.parameters(), theirs.parameters(), strict=True):
        expected = saved.state[other]["exp_avg"]
        assert torch.equal(optimizer.state[ours]["m"], expected)


def test_states_of_something_else_are_refused():
    model = torch.nn.Linear(2, 2)
    saved = torch.optim.Adam(model.parameters()).state_dict()
    saved["state"] = {
        i: {"momentum": torch.zeros_like(p)} for i, p in enumerate(model.parameters())
    }
    optimizer = chainrule.torch.attach(model, optimizers.Adam())
    with pytest.raises(ValueError, match=r"weight: no state of torch.optim.Adam: got momentum"):
        optimizer.load_state_dict(saved)
