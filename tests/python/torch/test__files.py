"""State dicts of our own."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule
import chainrule.torch
import torch
from chainrule import optimizer_hooks, optimizers, schedules
from torch_models import Net, assert_same, backward, make_net, values

attach = chainrule.torch.attach


def configured(model):
    optimizer = attach(model, optimizers.AdamW(alpha=0.01))
    optimizer.rules["**.linear.weight"].use(optimizers.Muon(lr=0.02))
    optimizer.rules["head.*"].hyperparam.alpha = chainrule.inherit * schedules.linear(1, 0.1, 20)
    optimizer.rules["encoder.0.norm.*"].enabled = False
    optimizer.add_hook(optimizer_hooks.GradientClipping(1.0))
    return optimizer


def train(model, optimizer, steps):
    for step in steps:
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()


def saved(optimizer):
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_training_goes_on_bit_for_bit():
    a = make_net()
    first = configured(a)
    train(a, first, range(5))
    state, weights = saved(first), a.state_dict()
    b = Net()
    b.load_state_dict(weights)
    second = attach(b, optimizers.AdamW())
    second.rules["**.linear.weight"].use(optimizers.Muon())
    report = second.load_state_dict(state)
    assert report.matched_by == "name"
    assert len(report.loaded) == 10
    assert not report.missing
    assert not b.encoder[0].norm.weight.requires_grad
    train(a, first, range(5, 9))
    train(b, second, range(5, 9))
    assert_same(a, b)
    assert second.explain("head.bias", "lr") == first.explain("head.bias", "lr")


def test_a_state_dict_of_another_model_is_refused():
    model, other = make_net(), torch.nn.Linear(2, 2)
    theirs = attach(other, optimizers.AdamW())
    optimizer = configured(model)
    train(model, optimizer, range(2))
    before, state = values(model), saved(optimizer)
    with pytest.raises(KeyError, match=r"of another model: it has bias.*encoder"):
        optimizer.load_state_dict(theirs.state_dict())
    with pytest.raises(ValueError, match="no state dict of an optimizer"):
        optimizer.load_state_dict({"weight": 1})
    damaged = saved(optimizer)
    damaged["state"]["head.weight"]["m"] = torch.zeros(7)
    with pytest.raises(ValueError, match=r"head\.weight/m.*shape"):
        optimizer.load_state_dict(damaged)
    now = saved(optimizer)
    for name, entries in state["state"].items():
        for key, value in entries.items():
            same = torch.equal(value, now["state"][name][key]) if torch.is_tensor(value) else True
            assert same, (name, key)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    train(model, optimizer, range(2, 3))


@pytest.mark.parametrize("groups", [None, [{}], [3], [{"params": 1}], {"params": []}])
def test_groups_that_are_none_are_refused_before_anything_is_loaded(groups):
    model = make_net()
    optimizer = configured(model)
    state = saved(configured(make_net()))
    train(model, optimizer, range(2))
    with pytest.raises(ValueError, match=r"param_groups: got .* expected a list of dicts"):
        optimizer.load_state_dict({**state, "param_groups": groups})
    assert (optimizer.t, model.head.weight.update_rule.t) == (2, 2)


NAMES = ["enc/w", "enc", "enc/w/EMA", "/a", "a"]


def with_slashes(seed):
    torch.manual_seed(seed)
    params = {name: torch.nn.Parameter(torch.randn(2 + i)) for i, name in enumerate(NAMES)}
    optimizer = attach(params, optimizers.Adam())
    optimizer.add_hook(optimizer_hooks.EMA(0.9))
    for p in params.values():
        p.grad = torch.randn(p.shape)
    optimizer.step()
    return params, optimizer


def test_names_and_what_lies_below_them_may_contain_slashes():
    (_, first), (_, second) = with_slashes(0), with_slashes(1)
    state = saved(first)
    assert list(state["state"]) == NAMES
    assert set(state["state"]["enc/w"]) == {"t", "m", "v", "EMA/average"}
    report = second.load_state_dict(state)
    assert (report.loaded, report.fresh, report.missing, report.unused) == (NAMES, [], [], [])
    again = saved(second)
    for name, entries in state["state"].items():
        assert entries.keys() == again["state"][name].keys()
        for key, value in entries.items():
            assert not torch.is_tensor(value) or torch.equal(value, again["state"][name][key])
    state["state"]["enc/w"]["m"] = torch.zeros(7)
    with pytest.raises(ValueError, match="'enc/w/m' has another shape"):
        second.load_state_dict(state)


def test_state_dicts_that_cut_names_at_slashes_still_load():
    def make(seed):
        torch.manual_seed(seed)
        params = {n: torch.nn.Parameter(torch.randn(3)) for n in ("enc/w", "enc/w/b", "enc", "a")}
        optimizer = attach(params, optimizers.Adam())
        for p in params.values():
            p.grad = torch.randn(3)
        optimizer.step()
        return optimizer

    state = saved(make(0))
    old = {**state, "state": {}}
    for name, entries in state["state"].items():
        for entry, value in entries.items():
            first, _, rest = f"{name}/{entry}".partition("/")
            old["state"].setdefault(first, {})[rest] = value
    second = make(1)
    report = second.load_state_dict(old)
    assert (len(report.loaded), report.fresh, report.unused) == (4, [], [])
    again = saved(second)["state"]
    for name, entries in state["state"].items():
        assert torch.equal(entries["m"], again[name]["m"])


def test_what_schedulers_keep_in_groups_is_kept():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.1))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    train(model, optimizer, [0])
    scheduler.step()
    state = saved(optimizer)
    b = make_net()
    again = attach(b, optimizers.SGD(lr=9.0))
    again.load_state_dict(state)
    assert again.param_groups[0]["lr"] == 0.05
    assert again.param_groups[0]["initial_lr"] == 0.1
    resumed = torch.optim.lr_scheduler.StepLR(again, 1, 0.5, last_epoch=1)
    assert resumed.get_last_lr() == [0.025]


def test_hooks_around_state_dicts():
    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    order = []
    optimizer.register_state_dict_post_hook(lambda o, s: {**s, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, s: order.append(s["note"]))
    optimizer.register_load_state_dict_post_hook(lambda o: order.append("after"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert order == [1, "after"]


def test_states_by_parameter():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    assert len(optimizer.state) == 0
    assert optimizer.state[model.head.weight] == {"step": 0}
    train(model, optimizer, [0])
    state = optimizer.state[model.head.weight]
    assert set(state) == {"step", "m", "v"}
    state["m"].zero_()  # the memory that the rule works on
    assert (model.head.weight.update_rule.state["m"] == 0).all()
    optimizer.state[model.head.weight] = {"step": 3, "m": torch.ones(1, 4), "v": torch.ones(1, 4)}
    assert model.head.weight.update_rule.t == 3
    assert (model.head.weight.update_rule.state["m"] == 1).all()


def test_an_attached_optimizer_is_not_copied():
    import copy

    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    with pytest.raises(TypeError, match="state_dict"):
        copy.deepcopy(optimizer)
    # Models are: their parameters have no rules.
    other = copy.deepcopy(model)
    assert other.head.weight.update_rule is None
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.load(file, weights_only=False).head.weight.update_rule is None


class Signs(chainrule.UpdateRule):
    """Written with PyTorch's operations; its state is a tensor."""

    seen = None

    def init_state(self, param):
        self.state["m"] = torch.zeros_like(param.tensor)
        self.state["n"] = 0

    def update_core(self, param):
        with torch.no_grad():
            m = self.state["m"].lerp_(param.tensor.grad, 0.5)
            param.tensor.sub_(m.sign(), alpha=self.hyperparam.lr)
        self.state["n"] += 1
        self.seen = param.tensor.dtype, param.tensor.grad.dtype


def test_such_a_rule_updates_the_master_copy():
    model = make_net(dtype=torch.bfloat16)
    optimizer = attach(model, optimizers.SGD(0.1))
    p = model.head.weight
    rule = p.update_rule = Signs()
    rule.hyperparam.lr = 2.0**-12
    rule.fp32_update = True
    p.data.fill_(1)
    for _ in range(16):
        p.grad = torch.ones_like(p)
        optimizer.step()
    assert rule.seen == (torch.float32, torch.float32)
    # Each step alone is too small for bfloat16.
    assert (rule._master_copy == 1 - 2.0**-8).all()
    assert (p == 1 - 2.0**-8).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("fresh", [False, True])
def test_states_that_are_tensors(dtype, fresh):
    def make(seed):
        model = make_net(seed, dtype)
        optimizer = attach(model, optimizers.SGD(0.1))
        model.head.weight.update_rule = Signs()
        model.head.weight.update_rule.hyperparam.lr = 0.01
        return model, optimizer

    (a, first), (b, second) = make(0), make(1)
    for step in range(3):
        backward(a, step)
        first.step()
    if not fresh:
        backward(b, 0)
        second.step()
    b.load_state_dict(a.state_dict())
    saved = first.state_dict()
    second.load_state_dict(saved)
    rule = b.head.weight.update_rule
    m = rule.state["m"]
    assert torch.equal(m, a.head.weight.update_rule.state["m"])
    assert (m.dtype, m.device, rule.state["n"]) == (dtype, a.head.weight.device, 3)
    for model, optimizer in ((a, first), (b, second)):
        optimizer.zero_grad()
        backward(model, 9)
        optimizer.step()
    assert_same(a, b)
    before = rule.state["m"].clone()
    saved["state"]["head.weight"]["m"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"head\.weight/m' has another shape"):
        second.load_state_dict(saved)
    assert torch.equal(rule.state["m"], before)


@pytest.mark.parametrize("entry", ["chainrule", "state", None])
def test_what_is_no_state_dict_is_refused(entry):
    optimizer = attach(make_net(), optimizers.Adam())
    saved = optimizer.state_dict()
    with pytest.raises(TypeError, match=r"\[load_state_dict\] got None, expected .* as a mapping"):
        optimizer.load_state_dict(None if entry is None else {**saved, entry: None})
    saved["state"]["head.weight"] = None
    with pytest.raises(TypeError, match=r"got None, expected its entry 'state' of head\.weight"):
        optimizer.load_state_dict(saved)


def test_a_rate_that_was_written_into_the_groups_counts():
    model = torch.nn.Linear(2, 2)
    optimizer = chainrule.torch.attach(model, optimizers.Adam(alpha=0.001))
    optimizer.rules["bias"].hyperparam.alpha = chainrule.inherit * 0.1
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)  # nothing was written: the expression stays
    optimizer.native.alpha = 0.01
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.001])
    saved["param_groups"][1]["lr"] = 77.0
    optimizer.load_state_dict(saved)
    assert [group["lr"] for group in optimizer.param_groups] == [0.001, 77.0]
    assert model.bias.update_rule.hyperparam.alpha == 77.0
