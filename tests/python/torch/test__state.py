"""``optimizer.state``."""

from __future__ import annotations

import collections
import copy

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import make_net, train

attach = chainrule.torch.attach


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"v": torch.ones(3)}, ValueError, r"'v' of head\.weight: got shape \(3,\).*\(1, 4\)"),
        ({"v": "x"}, (TypeError, ValueError), None),
        ({"v": torch.ones(1, 4, device="meta")}, NotImplementedError, "meta"),
        ({"w": torch.ones(1, 4)}, KeyError, "no state 'w'"),
    ],
)
def test_a_state_is_set_all_or_not_at_all(wrong, error, message):
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    train(model, optimizer)
    p = model.head.weight
    before = {name: value.clone() for name, value in optimizer.state[p].items() if name != "step"}
    with pytest.raises(error, match=message):
        optimizer.state[p] = {"step": 50, "m": torch.zeros(1, 4), **wrong}
    now = optimizer.state[p]
    assert now["step"] == 3
    assert all(torch.equal(now[name], value) for name, value in before.items())
    # Another dtype, and views of the memory that is written to.
    optimizer.state[p] = {"m": now["v"].flip(1), "v": torch.ones(1, 4, dtype=torch.float64)}
    assert torch.equal(optimizer.state[p]["m"], before["v"].flip(1))
    assert optimizer.state[p]["v"].tolist() == [[1.0] * 4]


@pytest.mark.parametrize("reset", ["assign", "clear"])
def test_all_states_are_reset(reset):
    model, other = make_net(), make_net()
    optimizer = attach(model, optimizers.Adam())
    train(model, optimizer)
    if reset == "assign":
        optimizer.state = collections.defaultdict(dict)
    else:
        optimizer.state.clear()
    assert len(optimizer.state) == 0
    assert optimizer.state_dict()["state"]["head.weight"]["t"] == 0
    other.load_state_dict(model.state_dict())
    anew = attach(other, optimizers.Adam())
    train(model, optimizer)
    train(other, anew)
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    assert optimizer.state[model.head.weight]["step"] == 3


def test_states_of_all_parameters_are_set_or_none():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    train(model, optimizer)
    p = model.head.weight
    kept = {q: {name: 1 * value for name, value in s.items()} for q, s in optimizer.state.items()}
    for wrong, error, message in [
        (None, TypeError, "state: got NoneType, expected states by parameter"),
        ([], TypeError, "got list"),
        ({p: {"step": 50}, 3: {}}, KeyError, "got a key of type int"),
        ({p: {"step": 50}, model.head.bias: None}, TypeError, r"head\.bias: got NoneType"),
        ({p: {"step": 50}, model.head.bias: {"x": 1}}, KeyError, r"head\.bias.*no state 'x'"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.state = wrong
        assert optimizer.state[p]["step"] == 3
        assert len(optimizer.state) == len(kept)
    train(model, optimizer)
    optimizer.state = {p: kept[p]}
    assert list(optimizer.state) == [p]
    assert optimizer.state[p]["step"] == 3
    assert torch.equal(optimizer.state[p]["m"], kept[p]["m"])
    optimizer.state = optimizer.state
    assert len(optimizer.state) == 1


def test_states_are_dropped_by_what_succeeds_only():
    model, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    optimizer = chainrule.torch.attach(model, optimizers.Adam(), disabled_state="drop")
    theirs = chainrule.torch.attach(other, optimizers.Adam())
    for net, each in ((model, optimizer), (other, theirs)):
        net(torch.ones(1, 2)).sum().backward()
        each.step()
    theirs.rules["weight"].enabled = False
    bad = theirs.state_dict()
    bad["state"]["bias"] = bad["state"]["bias"] | {"m": torch.zeros(9)}
    plan = optimizer.plan().to_dict()
    plan["rules"]["weight"]["enabled"] = False
    worse = copy.deepcopy(plan)
    worse["rules"]["bias"]["values"] = {"nosuch": 1}
    rule = model.weight.update_rule
    with pytest.raises(ValueError, match="bias/m"):
        optimizer.load_state_dict(bad)
    assert (sorted(rule.state), rule.t, rule.enabled) == (["m", "v"], 1, True)
    with pytest.raises(AttributeError, match="nosuch"):
        optimizer.apply_plan(worse)
    assert (sorted(rule.state), rule.t, rule.enabled) == (["m", "v"], 1, True)
    optimizer.apply_plan(plan)
    assert (rule.state, rule.t, rule.enabled) == (None, 0, False)
