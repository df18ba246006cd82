"""Plans put on another optimizer: round trips, refusals, and nothing half done."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings

import chainrule
from chainrule import optimizer_hooks, optimizers
from random_configurations import configurations, configure, everything, make_net, picture, train
from small_links import make_link


def there_and_back(data):
    return json.loads(json.dumps(data, allow_nan=False))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(configurations(), configurations())
def test_a_plan_makes_another_optimizer_alike(steps, other_steps):
    """Whatever the other's configuration was, afterwards it is this one, and trains alike."""
    one = optimizers.Adam(alpha=0.01).setup(make_net())
    other = optimizers.Adam().setup(make_net())
    configure(one, steps)
    configure(other, other_steps)
    plan = one.plan()
    report = other.apply_plan(there_and_back(plan.to_dict()))
    assert report.problems == []
    assert picture(other) == picture(one)
    assert other.plan().to_dict() == plan.to_dict()
    again = other.apply_plan(plan)
    assert (again.replaced, again.changed) == ([], [])
    train(one, 3, seed=1)
    train(other, 3, seed=1)
    assert everything(other) == everything(one)


@settings(max_examples=40, deadline=None)
@given(configurations(), configurations())
def test_a_plan_that_does_not_fit_changes_nothing(steps, other_steps):
    one = optimizers.Adam(alpha=0.01).setup(make_net())
    other = optimizers.SGD().setup(make_net())
    configure(one, steps)
    configure(other, other_steps)
    rules = [param.update_rule for param in other.target.params()]
    before = picture(other)
    data = one.plan().to_dict()
    # The last thing that is looked at.
    data["rules"]["/l2/b"].setdefault("policies", {})["fp32_updaet"] = True
    with pytest.raises(AttributeError, match=r"/l2/b.*did you mean 'fp32_update'"):
        other.apply_plan(data)
    assert [param.update_rule for param in other.target.params()] == rules
    assert picture(other) == before
    report = other.apply_plan(data, strict=False)
    assert len(report.problems) == 1
    assert len(report.applied) == 4


@pytest.fixture
def optimizer():
    optimizer = optimizers.SGD(lr=0.5).setup(make_net())
    optimizer.rules["/l1/W"].use(optimizers.Adam(alpha=0.25))
    optimizer.rules["/l1/*"].add_hook(optimizer_hooks.WeightDecay(0.5))
    optimizer.rules["/l2/W"].hyperparam.lr = 0.125
    return optimizer


def _delete(path):
    return lambda data: data["rules"].pop(path)


def _rename(old, new):
    return lambda data: data["rules"].update({new: data["rules"].pop(old)})


def _rule(path, **values):
    return lambda data: data["rules"][path].update(values)


SPOILT = {
    "unknown path": (_rename("/l1/W", "/l1/w"), KeyError, "no parameter '/l1/w'; nearest: '/l1/W'"),
    "missing path": (_delete("/l2/W"), KeyError, "the plan has nothing for '/l2/W'; nearest: '/l"),
    "algorithm": (_rule("/l1/W", algorithm="Adma"), KeyError,
                  "/l1/W: no algorithm 'Adma'; did you mean 'Adam"),
    "algorithm's case": (_rule("/l1/W", algorithm="sgd"), KeyError, "did you mean 'SGD'"),
    "no path": (_rename("/l1/W", 5), ValueError, "'rules': got the key 5, expected a path"),
    "switch": (_rule("/l2/W", policies={"enabled": False}), ValueError,
               "/l2/W: 'enabled' stands beside 'policies'"),
    "early": (lambda data: (data["hooks"].append({"kind": "EMA", "arguments": {"decay": 0.5}}),
                            data["optimizer"].update(
                                hooks=[{"name": "x", "timing": "pre", "hook": 1}])),
              ValueError, "optimizer: hook 'x': .add_hook. EMA works on .*: got timing 'pre'"),
    "no algorithm": (_rule("/l1/W", algorithm=None), ValueError, "/l1/W: no algorithm: got None"),
    "name": (_rule("/l2/W", values={"lrr": 1}), AttributeError,
             "/l2/W: no hyperparameter 'lrr'; did you mean 'lr'"),
    "value": (_rule("/l2/W", values={"lr": "high"}), TypeError, "/l2/W: .*'lr' of SGD is no num"),
    "opaque": (_rule("/l2/W", values={"lr": {"object": "x.Y"}}), ValueError,
               "/l2/W: lr: an object of class x.Y"),
    "key": (_rule("/l2/W", hook=[]), ValueError, "/l2/W: no entry 'hook'; did you mean 'hooks'"),
    "values": (_rule("/l2/W", values=[]), ValueError, "/l2/W: values: got list, expected a dict"),
    "hooks": (_rule("/l2/W", hooks={}), ValueError, "/l2/W: hooks: got dict, expected a list"),
    "place": (_rule("/l2/W", hooks=[{"name": "x", "timing": "pre", "hook": 5}]), ValueError,
              "/l2/W: no place of a hook"),
    "timing": (_rule("/l2/W", hooks=[{"name": "x", "timing": "at", "hook": 0}]), ValueError,
               "timing of a hook: got 'at'"),
    "parent": (_rule("/l2/W", parent=7), ValueError, "/l2/W: where its values come from: got 7"),
    "parent's kind": (_rule("/l2/W", parent=[0]), ValueError, r"got \[0\]"),
    "circle": (lambda data: data["parents"][0].update(parent=0), ValueError, "come from: got 0"),
    "parent's name": (lambda data: data["parents"][0]["values"].update(alhpa=1), AttributeError,
                      "no hyperparameter 'alhpa'; did you mean 'alpha'"),
    "parent's algorithm": (lambda data: data["parents"][0].update(algorithm="Adma"), KeyError,
                           "no algorithm 'Adma'; did you mean 'Adam"),
    "optimizer's name": (lambda data: data["optimizer"]["values"].update(rl=1), AttributeError,
                         "optimizer: no hyperparameter 'rl'; did you mean 'lr'"),
    "hook": (lambda data: data["hooks"][0].update(kind="WeightDecey"), KeyError,
             "/l1/W: no hook 'WeightDecey'; did you mean 'WeightDecay'"),
    "own hook": (lambda data: data["hooks"].__setitem__(0, {"kind": "my.hook"}), KeyError,
                 r"hook 'WeightDecay' \(my.hook\) is not built in"),
    "argument": (lambda data: data["hooks"][0].update(arguments={"rat": 1}), ValueError,
                 "/l1/W: hook WeightDecay has no argument 'rat'; did you mean 'rate'"),
    "enabled": (_rule("/l2/W", enabled={"flaot": "x"}), ValueError, "/l2/W: enabled: .*not a val"),
    "format": (lambda data: data.update(format="plan"), ValueError, "not the data of a plan"),
    "version": (lambda data: data.update(version=99), ValueError, "'version' is 99, expected 1"),
    "rules": (lambda data: data.update(rules=[]), ValueError, "'rules': got list, expected a dict"),
    "rule": (lambda data: data["rules"].update({"/l1/W": 3}), ValueError, "/l1/W: its rule: got"),
    "no hooks": (lambda data: data.pop("hooks"), ValueError, "'hooks': got NoneType, expected a l"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_refusals_change_nothing(optimizer, case):
    spoil, error, message = SPOILT[case]
    data = optimizer.plan().to_dict()
    data = copy.deepcopy(data)
    spoil(data)
    other = optimizers.SGD(lr=3).setup(make_net())
    other.add_hook(optimizer_hooks.WeightDecay(9))
    other.rules["/l2/*"].enabled = False
    other.rules["/l2/*"].use(optimizers.AdaGrad())
    rules, before = list(other.rules), picture(other)
    with pytest.raises(error, match=message):
        other.apply_plan(data)
    assert list(other.rules) == rules
    assert picture(other) == before


def test_what_is_no_plan(optimizer):
    with pytest.raises(ValueError, match="got int, expected a dict"):
        optimizer.apply_plan(3)
    with pytest.raises(RuntimeError, match="SGD is not set up"):
        optimizers.SGD().apply_plan(optimizer.plan())


def test_what_does_not_fit_may_be_left_out(optimizer):
    data = copy.deepcopy(optimizer.plan().to_dict())
    for case in ("unknown path", "name", "own hook"):
        SPOILT[case][0](data)
    other = optimizers.SGD(lr=3).setup(make_net())
    report = other.apply_plan(data, strict=False)
    assert report.applied == ["/l1/b", "/l2/W", "/l2/b"]
    text = "\n".join(report.problems)
    for part in ("no parameter '/l1/w'", "nothing for '/l1/W'", "'lrr'", "not built in"):
        assert part in text
    assert other.lr == 0.5
    assert other.rules["/l2/W"].hyperparam.lr == 0.5
    assert "3 rules applied" in str(report)


def test_shared_objects_stay_shared_and_in_hand():
    def make():
        optimizer = optimizers.SGD(lr=0.5).setup(make_net())
        adam, decay = optimizers.Adam(alpha=0.25), optimizer_hooks.WeightDecay(0.125)
        optimizer.rules["/*/W"].use(adam)
        optimizer.rules["/l1/*"].add_hook(decay)
        return optimizer, adam, decay

    (one, adam, decay), (other, its_adam, its_decay) = make(), make()
    adam.alpha, decay.rate = 0.75, 0.5
    report = other.apply_plan(there_and_back(one.plan().to_dict()))
    assert (its_adam.alpha, its_decay.rate) == (0.75, 0.5)
    its_adam.alpha, its_decay.rate = 0.0625, 0.25
    assert other.rules["/*/W"].hyperparam.alpha == 0.0625
    assert [rule.hooks["WeightDecay"].rate for rule in other.rules["/l1/*"]] == [0.25, 0.25]
    assert len(report.changed) == 2
    # Where there is nothing in their places, new ones are made, and shared in the same way.
    bare = optimizers.SGD().setup(make_net())
    report = bare.apply_plan(one.plan())
    assert sorted(report.replaced) == ["/l1/W: SGD -> Adam", "/l2/W: SGD -> Adam"]
    a, b = bare.rules["/*/W"]
    assert a.hyperparam.parent is b.hyperparam.parent is not adam.hyperparam
    assert picture(bare) == picture(one)


def test_another_optimizer_plays_the_part_of_the_plans(optimizer):
    adam = optimizers.Adam(alpha=0.5).setup(make_net())
    report = optimizer.apply_plan(adam.plan())
    assert report.replaced == [f"{path}: SGD -> Adam" for path in ("/l1/b", "/l2/W", "/l2/b")]
    assert optimizer.lr == 0.5  # its own
    assert optimizer.rules.hyperparam.alpha == 0.5
    parents = {id(rule.hyperparam.parent) for rule in optimizer.rules}
    assert len(parents) == 1


def test_hooks_and_rules_of_the_users(optimizer):
    class Rule(chainrule.UpdateRule):
        def update_core_cpu(self, param):
            param.array[...] -= self.hyperparam.step

    def mine(rule, param):
        pass

    optimizer.rules["/l2/b"].use(Rule)
    optimizer.target.l2.b.update_rule.hyperparam.step = 0.5
    optimizer.rules["/l2/W"].add_hook(mine, "mine", timing="post")
    data = there_and_back(optimizer.plan().to_dict())
    name = data["rules"]["/l2/b"]["algorithm"]
    assert name.endswith("test_hooks_and_rules_of_the_users.<locals>.Rule")
    # Those that stand in their places are kept.
    assert optimizer.apply_plan(data).changed == []
    other = optimizers.SGD().setup(make_net())
    with pytest.raises(KeyError, match=r"/l2/W: hook 'mine' \(.*mine\) is not built in: add it"):
        other.apply_plan(data, algorithms={name: Rule})
    with pytest.raises(KeyError, match=r"hook 'mine' .*did you mean 'mien'"):
        other.apply_plan(data, algorithms={name: Rule}, hooks={"mien": mine})
    with pytest.raises(KeyError, match=r"/l2/b: no algorithm '.*Rule'"):
        other.apply_plan(data, hooks={"mine": mine})
    before = picture(other)
    with pytest.raises(TypeError, match=r"/l2/W: hook 'mine': .* must be callable: got 3"):
        other.apply_plan(data, hooks={"mine": 3}, algorithms={name: Rule})
    assert picture(other) == before
    with pytest.raises(TypeError, match=r"/l2/b: algorithms\['.*'\] made a int"):
        other.apply_plan(data, hooks={"mine": mine}, algorithms={name: lambda: 3})
    other.apply_plan(data, hooks={"mine": mine}, algorithms={name: Rule})
    assert type(other.target.l2.b.update_rule) is Rule
    assert other.target.l2.b.update_rule.hyperparam.step == 0.5
    assert other.target.l2.W.update_rule._hookable.post == {"mine": mine}


def test_parameters_without_a_rule_and_tied_ones():
    one = optimizers.SGD().setup(make_link(a=1, b=1))
    one.target.b.update_rule = None
    other = optimizers.SGD().setup(make_link(a=1, b=1))
    report = other.apply_plan(one.plan())
    assert other.target.b.update_rule is None
    assert report.changed == ["/b: no rule any more"]
    third = optimizers.SGD().setup(make_link(a=1, b=1))
    report = other.apply_plan(third.plan())
    assert report.replaced == ["/b: no rule -> SGD"]
    assert other.target.b.update_rule.hyperparam.parent is other.hyperparam
    tied = make_link(a=1, b=1)
    tied.b = tied.a
    with pytest.raises(KeyError, match="'/b' is tied to '/a' here"):
        optimizers.SGD().setup(tied).apply_plan(third.plan())


def test_a_state_is_kept_where_the_algorithm_is():
    optimizer = optimizers.Adam().setup(make_link(a=2, b=2))
    optimizer.update()
    plan = optimizer.plan()
    state = optimizer.target.a.update_rule.state["m"]
    optimizer.rules["/b"].use(optimizers.SGD())
    optimizer.apply_plan(plan)
    assert optimizer.target.a.update_rule.state["m"] is state
    assert optimizer.target.a.update_rule.t == 1
    assert optimizer.target.b.update_rule.state is None
