"""What is misspelt, or something else altogether, is refused with what was perhaps meant."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers, schedules
from small_links import make_link


class OfTheUser(chainrule.UpdateRule):
    """A rule whose attributes are its author's business."""


def set_up():
    link = make_link(w=2)
    return link, optimizers.Adam().setup(link)


MISTAKES = {
    "value of the optimizer": (
        lambda link, o: setattr(o, "aplha", 1),
        AttributeError,
        r"\[Adam\] no attribute 'aplha' to set; did you mean 'alpha'\?",
    ),
    "value in capitals": (
        lambda link, o: setattr(o, "ALPHA", 1),
        AttributeError,
        r"\[Adam\] no attribute 'ALPHA' to set; did you mean 'alpha'\? Hyperparameters: alpha, ",
    ),
    "value under another name": (
        lambda link, o: setattr(o, "learning_rate", 1),
        AttributeError,
        "no attribute 'learning_rate' to set; did you mean 'alpha'",
    ),
    "value that can only be read": (
        lambda link, o: setattr(o, "lr", 1),
        AttributeError,
        "no attribute 'lr' to set; did you mean 'alpha'",
    ),
    "value of an algorithm to come": (
        lambda link, o: setattr(optimizers.SGD(), "momentum", 1),
        AttributeError,
        r"\[SGD\] no attribute 'momentum' to set; hyperparameters: lr$",
    ),
    "letters of a short name": (
        lambda link, o: setattr(optimizers.SGD(), "rl", 1),
        AttributeError,
        "no attribute 'rl' to set; did you mean 'lr'",
    ),
    "a letter twice": (
        lambda link, o: setattr(optimizers.SGD(), "lrr", 1),
        AttributeError,
        "no attribute 'lrr' to set; did you mean 'lr'",
    ),
    "value on a rule": (
        lambda link, o: setattr(link.w.update_rule, "alpha", 1),
        AttributeError,
        r"\[AdamRule\] no attribute 'alpha' to set; did you mean 'hyperparam.alpha'",
    ),
    "value of another algorithm on a rule": (
        lambda link, o: setattr(link.w.update_rule, "nesterov", True),
        AttributeError,
        "no attribute 'nesterov' to set; hyperparameters: alpha, ",
    ),
    "value that is read": (
        lambda link, o: o.alhpa,
        AttributeError,
        r"\[Adam\] no attribute 'alhpa'; did you mean 'alpha'\? Hyperparameters: alpha, ",
    ),
    "value that is read from a rule": (
        lambda link, o: link.w.update_rule.beta_1,
        AttributeError,
        "no attribute 'beta_1'; did you mean 'hyperparam.beta1'",
    ),
    "switch of the optimizer": (
        lambda link, o: setattr(o, "clear_gradient", True),
        AttributeError,
        "did you mean 'clear_gradients'",
    ),
    "switch of a rule": (
        lambda link, o: setattr(link.w.update_rule, "enabeld", False),
        AttributeError,
        r"\[AdamRule\] no attribute 'enabeld' to set; did you mean 'enabled'\?",
    ),
    "states of a rule": (
        lambda link, o: setattr(link.w.update_rule, "statee", {}),
        AttributeError,
        r"\[AdamRule\] no attribute 'statee' to set; did you mean 'state'\?",
    ),
    "policy of a rule": (
        lambda link, o: setattr(link.w.update_rule, "on_nonfinit", "raise"),
        AttributeError,
        "did you mean 'on_nonfinite'",
    ),
    "a word for a switch": (
        lambda link, o: setattr(o.rules, "enabled", "no"),
        TypeError,
        r"/w: \[enabled\] got 'no', expected True, False or an expression",
    ),
    "nothing for a switch": (
        lambda link, o: setattr(link.w.update_rule, "enabled", None),
        TypeError,
        "got None, expected True",
    ),
    "an optimizer for a rule": (
        lambda link, o: setattr(link.w, "update_rule", optimizers.SGD()),
        TypeError,
        r"\[update_rule\] got SGD, expected an update rule, such as optimizer.create_update_rule",
    ),
    "a class for a rule": (
        lambda link, o: setattr(link.w, "update_rule", optimizers.sgd.SGDRule),
        TypeError,
        "got the class SGDRule, expected an update rule",
    ),
    "a number for a rule": (
        lambda link, o: setattr(link.w, "update_rule", 3),
        TypeError,
        "got int, expected an update rule",
    ),
    "a class for a hook": (
        lambda link, o: o.add_hook(optimizer_hooks.Lasso),
        TypeError,
        r"got the class Lasso, expected a hook; did you mean Lasso\(...\)",
    ),
    "a hook of the optimizer": (
        lambda link, o: o.remove_hook("WeightDecy"),
        KeyError,
        "no hook 'WeightDecy'; did you mean 'WeightDecay'",
    ),
    "a hook of a rule": (
        lambda link, o: link.w.update_rule.remove_hook("Lasso"),
        KeyError,
        "no hook 'Lasso'; known: none",
    ),
    "a word for a hook's number": (
        lambda link, o: optimizer_hooks.WeightDecay("much"),
        TypeError,
        r"\[WeightDecay\] rate: got 'much', expected a finite number",
    ),
    "an expression for a hook's number": (
        lambda link, o: optimizer_hooks.GradientClipping(schedules.step * 2),
        TypeError,
        r"\[GradientClipping\] threshold: got step \* 2.0, expected a number from 0 on",
    ),
    "a word in a schedule": (
        lambda link, o: schedules.linear("a", 0, 1),
        TypeError,
        r"\[linear\] got 'a', expected a number or an expression",
    ),
    "a word for a schedule's length": (
        lambda link, o: schedules.cosine(1, 0, "long"),
        TypeError,
        r"\[cosine\] got 'long', expected a number",
    ),
    "no loss function": (
        lambda link, o: o.update("loss"),
        TypeError,
        r"\[update\].* got str, expected a function",
    ),
    "no loss": (
        lambda link, o: o.update(lambda: None),
        TypeError,
        r"\[update\] lossfun gave NoneType, expected the loss",
    ),
    "a statistic": (
        lambda link, o: o.observe(None, "grad_nrom"),
        KeyError,
        "got 'grad_nrom'; did you mean 'grad_norm'",
    ),
    "a number for statistics": (
        lambda link, o: o.observe("/w", 3),
        TypeError,
        r"\[observe\] got 3, expected names of statistics",
    ),
    "a number for a statistic": (
        lambda link, o: o.observe("/w", [3]),
        KeyError,
        "no such statistic: got 3; known: grad_norm",
    ),
    "a word for a rule's count": (
        lambda link, o: setattr(link.w.update_rule, "t", "a"),
        TypeError,
        r"\[t\] got 'a', expected a whole number",
    ),
    "a fraction for the count": (
        lambda link, o: setattr(o, "t", 1.5),
        TypeError,
        r"\[t\] got 1.5, expected a whole number",
    ),
    "a number for hyperparameters": (
        lambda link, o: setattr(link.w.update_rule, "hyperparam", 3),
        TypeError,
        r"\[hyperparam\] got int, expected Hyperparameter",
    ),
    "a word for a seed": (
        lambda link, o: setattr(o.rules, "seed", "a"),
        TypeError,
        r"/w: \[seed\] got 'a', expected a whole number from 0",
    ),
    "an array for a switch": (
        lambda link, o: setattr(link.w.update_rule, "enabled", np.ones(2)),
        TypeError,
        r"\[enabled\] got array\(.*\), expected True, False",
    ),
    "a hook for new rules": (
        lambda link, o: o.rules.use(optimizer_hooks.EMA()),
        TypeError,
        r"\[use\] got EMA, expected an optimizer, a class",
    ),
    "a link for new rules": (
        lambda link, o: o.rules.use(link),
        TypeError,
        r"\[use\] got Link, expected an optimizer, a class",
    ),
    "nothing for a parameter": (
        lambda link, o: link.w.update_rule.update(None),
        TypeError,
        r"\[update\] got NoneType, expected a parameter",
    ),
    "a number for a hook's name": (
        lambda link, o: o.remove_hook(3),
        KeyError,
        "no hook 3; known: WeightDecay",
    ),
    "a pattern for statistics": (
        lambda link, o: o.observe("/v", "grad_norm"),
        KeyError,
        "no rule fits '/v' in rules; nearest: '/w'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused_and_change_nothing(mistake):
    act, kind, message = MISTAKES[mistake]
    link, optimizer = set_up()
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    before = optimizer.plan().to_dict()
    rule, grad = link.w.update_rule, link.w.grad
    with pytest.raises(kind, match=message):
        act(link, optimizer)
    assert optimizer.plan().to_dict() == before
    assert link.w.update_rule is rule
    assert link.w.grad is grad
    assert optimizer.t == 0
    optimizer.update()


def test_names_of_the_users_own_are_their_business():
    link, optimizer = set_up()
    optimizer.note = link.w.update_rule.comment = "mine"
    assert (optimizer.note, link.w.update_rule.comment) == ("mine", "mine")
    rule = OfTheUser()
    rule.enabeld = 3
    assert rule.enabeld == 3
    with chainrule.using_config("chainer_semantics", True):
        optimizer.aplha = 1
    optimizer.aplha = 2  # it is there now
    for each in (optimizer, link.w.update_rule, rule):
        with pytest.raises(AttributeError, match="object has no attribute 'remark'"):
            each.remark  # noqa: B018


class OwnSGD(optimizers.SGD):
    """An optimizer whose author calls things as other algorithms do."""

    momentum = 0.9

    def __init__(self):
        self.alpha = 1
        super().__init__(lr=0.5)
        self.learning_rate = 2

    @property
    def eps(self):
        return self.nothing


class OwnRule(optimizers.sgd.SGDRule):
    """A rule with a slot and a value that its author calls as other algorithms do."""

    __slots__ = ("beta1",)

    def __init__(self, *args):
        self.beta1 = 1
        super().__init__(*args)
        self.lr = 2


def test_classes_of_the_users_own_may_have_any_name():
    optimizer, rule = OwnSGD(), OwnRule()
    optimizer.momentum, rule.beta1, rule.alpha = 0.5, 0.25, 3
    assert (optimizer.alpha, optimizer.learning_rate, optimizer.momentum) == (1, 2, 0.5)
    assert (rule.beta1, rule.lr, rule.alpha, rule.hyperparam.lr) == (0.25, 2, 3, 0.01)
    with pytest.raises(AttributeError, match="object has no attribute 'nothing'"):
        optimizer.eps  # noqa: B018


def test_traced_rules_know_their_own_names():
    @chainrule.elementwise_rule
    def Decayed(p, g, *, rate=0.1, momentum=0.9):
        return momentum * p - rate * g

    optimizer = Decayed(rate=0.5).setup(make_link(w=1))
    optimizer.momentum = 0.25
    assert optimizer.hyperparam.momentum == 0.25
    with pytest.raises(AttributeError, match="no attribute 'Rate' to set; did you mean 'rate'"):
        optimizer.Rate = 1
    with pytest.raises(AttributeError, match="'lr' to set; hyperparameters: rate, momentum"):
        optimizer.lr = 1


@pytest.mark.parametrize("name", optimizers.__all__)
def test_all_hyperparameters_can_be_set_and_read(name):
    optimizer = getattr(optimizers, name)()
    for field, value in optimizer.hyperparam.get_dict().items():
        setattr(optimizer, field, value)
        assert getattr(optimizer, field) == value


def test_statistics_by_pattern_and_by_one_name():
    link, optimizer = set_up()
    optimizer.observe("/w", "grad_norm")
    optimizer.update()
    assert dict(link.w.update_rule.statistics) == {"grad_norm": pytest.approx(np.sqrt(2))}


def test_a_hook_that_only_some_rules_have():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD().setup(link)
    link.a.update_rule.add_hook(optimizer_hooks.EMA(), name="e")
    with pytest.raises(KeyError, match="no hook 'e': /b; nothing was changed; others have it"):
        optimizer.rules.remove_hook("e")
    assert list(link.a.update_rule.hooks) == ["e"]


def test_a_value_that_was_deleted_is_not_misspelt():
    link, optimizer = set_up()
    rule = link.w.update_rule
    del optimizer.hyperparam.alpha
    for owner in (optimizer, optimizer.hyperparam, rule.hyperparam):
        with pytest.raises(AttributeError, match="'alpha' of Adam is not set, neither here nor on"):
            owner.alpha  # noqa: B018
    with pytest.raises(AttributeError, match="/w: hyperparameter 'alpha' of Adam is not set, nei"):
        optimizer.explain("/w", "alpha")
    rule.hyperparam.alpha = schedules.inherit * 0.5
    for ask in (optimizer.plan, optimizer.rules.hyperparam.get_dict):
        with pytest.raises(
            AttributeError, match=r"\[rules\] /w: Adam: no parent has 'alpha' to inh"
        ):
            ask()


def test_numbers_of_numpy_are_numbers():
    link, optimizer = set_up()
    rule = link.w.update_rule
    rule.t, optimizer.t, rule.seed = np.int32(3), np.array(4), np.uint64(2**63)
    assert (rule.t, optimizer.t, rule.seed) == (3, 4, 2**63)
    rule.enabled = np.array(False)
    assert not rule.enabled


@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.MomentumSGD, optimizers.Muon])
def test_notes_of_ones_own_are_kept(kind):
    link = chainrule.Link(w=(2, 2))
    optimizer = kind().setup(link)
    rule = link.w.update_rule
    notes = ["warmup_steps", "clip", "gamma", "lr0", "lrs", "T", "epochs", "updates", "update_fn"]
    notes += ["target_net", "average", "updater", "rule", "states", "stats", "hook", "best"]
    for name in notes:
        for obj in (optimizer, rule):
            setattr(obj, name, "mine")
            assert getattr(obj, name) == "mine"
