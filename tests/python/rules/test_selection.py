"""Selections: what they contain, their algebra, and writing through them."""

from __future__ import annotations

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule import links as L
from chainrule import optimizer_hooks, optimizers
from small_links import make_link


class Embedding(chainrule.Link):
    """A link of a class of its own."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.W = chainrule.Parameter(np.zeros((4, 2), np.float32))


def make_net() -> chainrule.Chain:
    encoder = chainrule.Sequential(L.Linear(2, 3), L.Linear(3, 3))
    return chainrule.Chain(embed=Embedding(), encoder=encoder, head=L.Linear(3, 1))


ALL = (
    "/embed/W",
    "/encoder/0/W",
    "/encoder/0/b",
    "/encoder/1/W",
    "/encoder/1/b",
    "/head/W",
    "/head/b",
)


@pytest.fixture
def net():
    return make_net()


@pytest.fixture
def optimizer(net):
    return optimizers.SGD(lr=0.1).setup(net)


@pytest.fixture
def rules(optimizer):
    return optimizer.rules


def state_of(net):
    """Everything that a write may change, for comparison."""
    return {
        path: (
            param.update_rule,
            param.update_rule.hyperparam.get_dict(),
            param.update_rule.enabled,
            param.frozen,
            dict(param.update_rule.hooks),
        )
        for path, param in net.namedparams()
        if param.update_rule is not None
    }


def test_the_mapping(net, rules):
    assert rules.paths == ALL
    assert len(rules) == 7
    assert list(rules) == [param.update_rule for param in net.params()]
    assert rules.items() == [(path, param.update_rule) for path, param in net.namedparams()]
    assert all(mine is its for mine, its in zip(rules.params, net.params(), strict=True))
    one = rules["/head/W"]
    assert len(one) == 1
    assert next(iter(one)) is net.head.W.update_rule
    assert "/head/W" in rules
    assert "/head/*" not in rules
    assert net.head.W in rules
    assert net.head.W.update_rule in one
    assert net.head.b not in one
    assert 3 not in rules
    assert repr(one) == "<rules['/head/W']: 1 rule, /head/W>"
    assert repr(rules) == (
        "<rules: 7 rules, /embed/W /encoder/0/W /encoder/0/b ... /head/W /head/b>"
    )


@pytest.mark.parametrize(
    ("choose", "paths"),
    [
        (lambda net, r: r["/encoder/*/W"], ["/encoder/0/W", "/encoder/1/W"]),
        (lambda net, r: r["/**/b"], ["/encoder/0/b", "/encoder/1/b", "/head/b"]),
        (lambda net, r: r[re.compile(r"/h.*")], ["/head/W", "/head/b"]),
        (lambda net, r: r["/head/W", "/embed/*"], ["/embed/W", "/head/W"]),
        (lambda net, r: r[["/head/W", re.compile("/em.*"), net.head.b]],
         ["/embed/W", "/head/W", "/head/b"]),
        (lambda net, r: r[net.head], ["/head/W", "/head/b"]),
        (lambda net, r: r[net.head.W], ["/head/W"]),
        (lambda net, r: r.of(Embedding), ["/embed/W"]),
        (lambda net, r: r.of(Embedding, chainrule.Sequential), list(ALL[:5])),
        (lambda net, r: r.of(L.Linear)["/head/*"], ["/head/W", "/head/b"]),
        (lambda net, r: r["/encoder/**"].where(lambda path, p: p.ndim == 1),
         ["/encoder/0/b", "/encoder/1/b"]),
        (lambda net, r: r["/head/*"][r["/*/W"]], ["/head/W"]),
        (lambda net, r: r["/**/W"] & r["/head/*"], ["/head/W"]),
        (lambda net, r: r["/**/W"] - r["/encoder/**"], ["/embed/W", "/head/W"]),
        (lambda net, r: ~r.of(L.Linear), ["/embed/W"]),
        (lambda net, r: r["/head/W"] & r["/head/b"], []),
    ],
)  # fmt: skip
def test_choosing(net, rules, choose, paths):
    assert list(choose(net, rules).paths) == paths


@pytest.mark.parametrize(
    ("choose", "error", "message"),
    [
        (lambda r: r["/haed/W"], KeyError, "no rule fits '/haed/W' in rules; nearest: '/head/W'"),
        (lambda r: r["/encoder/*"], KeyError, "no rule fits '/encoder/\\*'.*nearest: '/encoder"),
        (lambda r: r[re.compile("/x.*")], KeyError, "no rule fits '/x"),
        (lambda r: r["/head/W", "/nothing"], KeyError, "no rule fits '/nothing'"),
        (lambda r: r["/head/*"]["/embed/W"], KeyError, r"in rules\['/head/\*'\]; nearest"),
        (lambda r: r[[]], KeyError, "no patterns"),
        (lambda r: r["head/W"], ValueError, "expected '/head/W'"),
        (lambda r: r[3], TypeError, "got int, expected a path"),
        (lambda r: r[L.Linear(2, 2)], KeyError, "no parameter of it"),
        (lambda r: r.of(L.Classifier), KeyError, "no rule below a link of class Classifier"),
        (lambda r: r.of(), TypeError, "got nothing"),
        (lambda r: r.of(3), TypeError, "got 3, expected classes of links"),
        (lambda r: r.of(chainrule.Parameter), TypeError, "expected classes of links"),
        (lambda r: r.where(3), TypeError, "expected a function"),
        (lambda r: r.where(lambda path, p: False), KeyError, "none of 7 parameters"),
        (lambda r: r.where(lambda path, p: p.nidm), AttributeError, "nidm"),
        (lambda r: r | 3, TypeError, "unsupported"),
        (lambda r: r | optimizers.SGD().setup(make_link(w=1)).rules, ValueError, "different optim"),
    ],
)  # fmt: skip
def test_refusals(rules, choose, error, message):
    with pytest.raises(error, match=message):
        choose(rules)


def test_before_setup():
    with pytest.raises(RuntimeError, match="SGD is not set up"):
        len(optimizers.SGD().rules)


NET = make_net()
RULES = optimizers.SGD().setup(NET).rules
SUBSETS = st.sets(st.sampled_from(ALL), min_size=1)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(SUBSETS, SUBSETS, SUBSETS)
def test_algebra(a, b, c):
    x, y, z = (RULES[sorted(paths)] for paths in (a, b, c))
    every = set(ALL)
    for selection, expected in (
        (x | y, a | b),
        (x & y, a & b),
        (x - y, a - b),
        (~x, every - a),
        (~(x | y), every - (a | b)),
        (x & (y | z), a & (b | c)),
        (x - (y - z), a - (b - c)),
    ):
        assert selection.paths == tuple(path for path in ALL if path in expected)
    assert ~~x == x
    assert x - y == x & ~y
    assert ~(x & y) == ~x | ~y
    assert (x | y) & z == (x & z) | (y & z)
    assert (x == y) == (a == b)
    assert x != 3


#: Three-valued answers by hand: whether each of four parameters is chosen (None: unknown).
ANSWERS = st.lists(st.sampled_from([True, False, None]), min_size=4, max_size=4)
LAZY = chainrule.Link()
with LAZY.init_scope():
    for _name in "abcd":
        setattr(LAZY, _name, chainrule.Parameter(0.0))
LAZY_RULES = optimizers.SGD().setup(LAZY).rules


def _open_question(answers):
    table = dict(zip("abcd", answers, strict=True))

    def condition(path, param):
        if table[path[1:]] is None:
            return param.ndim  # raises
        return table[path[1:]]

    return LAZY_RULES.where(condition)


@settings(max_examples=200, deadline=None)
@given(ANSWERS, ANSWERS)
def test_algebra_of_open_questions(a, b):
    """Unknown stays unknown unless the other side decides, as in Kleene's logic."""
    for answers in (a, b):
        if not any(answer in (True, None) for answer in answers):
            return
    x, y = _open_question(a), _open_question(b)

    def check(selection, merge):
        for i, name in enumerate("abcd"):
            # The answer is known where it is the same whatever the unknown ones are.
            possible = {
                merge(p, q)
                for p in ([True, False] if a[i] is None else [a[i]])
                for q in ([True, False] if b[i] is None else [b[i]])
            }
            assert (f"/{name}" in selection.paths) == (possible == {True})
            assert (f"/{name}" in selection.undecided) == (len(possible) == 2)

    check(x | y, lambda p, q: p or q)
    check(x & y, lambda p, q: p and q)
    check(x - y, lambda p, q: p and not q)
    check(~x, lambda p, q: not p)


def test_selections_are_live():
    net = chainrule.Chain(l1=L.Linear(2, 3))
    optimizer = optimizers.SGD().setup(net)
    weights, big = optimizer.rules["/**/W"], optimizer.rules.where(lambda path, p: p.size > 5)
    assert weights.paths == big.paths == ("/l1/W",)
    net.add_link("l2", L.Linear(3, 4))
    assert weights.paths == ("/l1/W",)  # no rule yet
    assert optimizer.rules.missing == ("/l2/W", "/l2/b")
    with pytest.raises(KeyError, match=r"/l2/W has no update rule: assign one"):
        optimizer.rules["/l2/W"]
    for param in net.l2.params():
        param.update_rule = optimizer.create_update_rule()
    assert weights.paths == big.paths == ("/l1/W", "/l2/W")
    assert optimizer.rules.missing == ()
    # The rules may be exchanged; the selection means those that there are.
    weights.use(optimizers.Adam(alpha=0.5))
    assert weights.hyperparam.alpha == 0.5
    del net.l1
    assert weights.paths == ("/l2/W",)
    del net.l2
    assert (len(weights), list(weights)) == (0, [])
    with pytest.raises(KeyError, match=r"rules\['/\*\*/W'\] selects nothing"):
        weights.enabled = False
    with pytest.raises(KeyError, match="selects nothing"):
        weights.hyperparam.lr = 1.0


def test_another_walk_over_parameters():
    class Moody(chainrule.Link):
        hidden = False

        def namedparams(self, include_uninit=True):
            return iter(()) if self.hidden else super().namedparams(include_uninit)

    link = Moody(w=1)
    rules = optimizers.SGD().setup(link).rules
    assert len(rules) == 1
    link.hidden = True
    assert len(rules) == 0


def test_lazy_parameters():
    net = chainrule.Chain(l1=L.Linear(None, 3), l2=L.Linear(3, 1))
    optimizer = optimizers.SGD(lr=0.1).setup(net)
    rules = optimizer.rules
    rules["/l1/W"].hyperparam.lr = 0.5
    assert net.l1.W.update_rule.hyperparam.lr == 0.5
    assert rules.of(L.Linear) == rules
    assert rules.where(lambda path, p: p.name == "W").paths == ("/l1/W", "/l2/W")
    matrices = rules.where(lambda path, p: p.ndim >= 2)
    assert (matrices.paths, matrices.undecided) == (("/l2/W",), ("/l1/W",))
    assert ((~matrices).paths, (~matrices).undecided) == (("/l1/b", "/l2/b"), ("/l1/W",))
    assert (matrices | rules["/l1/*"]).undecided == ()
    with pytest.warns(UserWarning, match="cannot be told of /l1/W yet, left out") as caught:
        matrices.hyperparam.lr = 0.25
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="left out") as caught:
        matrices.enabled = True
    assert caught[0].filename == __file__
    assert net.l1.W.update_rule.hyperparam.lr == 0.5
    net.l1(np.zeros((1, 2), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matrices.hyperparam.lr = 0.75
    assert rules.hyperparam.get("lr") == {"/l1/W": 0.75, "/l1/b": 0.1, "/l2/W": 0.75, "/l2/b": 0.1}
    lazy = optimizers.SGD().setup(L.Linear(None, 3)).rules["/W"]
    unsure = lazy.where(lambda path, p: p.shape == (1,))  # open for all: no error yet
    assert (len(unsure), unsure.undecided) == (0, ("/W",))


def test_tied_parameters(rules):
    inner = make_link(w=2)
    net = chainrule.Chain(a=inner, b=make_link(w=2))
    net.b.w = inner.w
    optimizer = optimizers.SGD(lr=1).setup(net)
    tied = optimizer.rules
    assert tied.paths == ("/a/w",)
    assert tied["/b/w"].paths == ("/a/w",)
    assert tied["/b/*"] == tied["/a/*"]
    assert "/b/w" in tied
    tied["/a/w", "/b/w"].add_hook(optimizer_hooks.WeightDecay(0.1))
    assert list(net.b.w.update_rule.hooks) == ["WeightDecay"]
    assert "/a/w = /b/w" in str(tied)
    calls = []
    tied.where(lambda path, param: calls.append(path) or True)
    assert set(calls) == {"/a/w"}


def test_one_rule_for_two_parameters():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    link.b.update_rule = link.a.update_rule
    rules = optimizer.rules
    assert len(rules) == 2
    rules.add_hook(optimizer_hooks.WeightDecay(0.1))
    rules.hyperparam.lr = 0.5
    assert rules.hyperparam.own() == {"/a": {"lr": 0.5}, "/b": {"lr": 0.5}}
    del rules.hyperparam.lr
    rules.remove_hook("WeightDecay")
    rules.use(optimizers.Adam())
    assert link.a.update_rule is not link.b.update_rule


def test_reading_and_writing_attributes(net, rules):
    assert rules.enabled is True
    rules["/encoder/**"].enabled = False
    assert net.encoder[0].W.frozen
    assert not net.head.W.frozen
    assert rules["/encoder/**"].enabled is False
    message = r"enabled is not the same for all 7 selected: got True \(/embed/W, /head/W, /head/b\)"
    with pytest.raises(ValueError, match=message):
        _ = rules.enabled
    assert rules["/head/*"].get("enabled") == {"/head/W": True, "/head/b": True}
    rules["/head/W"].fp32_update = True
    assert net.head.W.update_rule._fp32_update
    assert not net.head.b.update_rule._fp32_update
    for name, near in (("enabeld", "enabled"), ("fp32_updat", "fp32_update")):
        with pytest.raises(AttributeError, match=f"/embed/W: .* no attribute '{name}'.*'{near}'"):
            setattr(rules, name, True)
        with pytest.raises(AttributeError, match=f"'{near}'"):
            getattr(rules, name)
    for name in ("paths", "hyperparam", "_label", "use"):
        with pytest.raises(AttributeError, match="cannot be set"):
            setattr(rules, name, 3)
    assert {"enabled", "fp32_update", "add_hook"} <= set(dir(rules))
    assert not hasattr(rules, "__array__")


def test_attributes_are_set_on_all_or_none(net, rules):
    class Refusing(chainrule.optimizers.sgd.SGDRule):
        def use_fp32_update(self, flag=True):
            if flag:
                raise ValueError("never")

    net.head.b.update_rule = Refusing()
    before = state_of(net)
    with pytest.raises(ValueError, match="/head/b: never"):
        rules.fp32_update = True
    assert state_of(net) == before
    assert not any(rule._fp32_update for rule in rules)


def test_hooks_on_all_or_none(net, rules):
    decay = optimizer_hooks.WeightDecay(0.5)
    rules["/head/W"].add_hook(decay)
    before = state_of(net)
    with pytest.raises(KeyError, match='hook "WeightDecay" already exists: /head/W; nothing'):
        rules.add_hook(decay)
    with pytest.raises(KeyError, match=r"no hook 'WeightDecay': /embed/W, .* and 1 more; nothing"):
        rules.remove_hook("WeightDecay")
    with pytest.raises(KeyError, match="did you mean 'WeightDecay'"):
        rules["/head/W"].remove_hook("WeightDecey")
    with pytest.raises(TypeError, match="callable"):
        rules.add_hook(3)
    with pytest.raises(ValueError, match="timing"):
        rules.add_hook(decay, timing="before")
    assert state_of(net) == before
    rules.add_hook(lambda rule, param: None, "second", timing="post")
    assert list(net.head.W.update_rule.hooks) == ["WeightDecay", "second"]
    assert list(net.head.W.update_rule._hookable.post) == ["second"]
    rules["/head/W"].remove_hook("WeightDecay")
    rules.remove_hook("second")
    assert not any(rule.hooks for rule in rules)


def test_hooks_added_through_a_selection_run():
    link = make_link(a=1, b=1)
    link.a.array[...] = 1
    link.b.array[...] = 1
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.update()  # the table is built
    decay = optimizer_hooks.WeightDecay(1)
    optimizer.rules["/a"].add_hook(decay)
    link.a.array[...] = link.b.array[...] = 1
    optimizer.update()
    assert (link.a.array[0], link.b.array[0]) == (-1, 0)
    decay.rate = 0
    link.a.array[...] = 1
    optimizer.update()
    assert link.a.array[0] == 0


def test_use(net, optimizer, rules):
    rules["/head/W"].enabled = False
    rules["/head/b"].add_hook(optimizer_hooks.WeightDecay(0.5))
    rules["/head/b"].fp32_update = True
    rules["/head/b"].hyperparam.lr = 3.0
    adam = optimizers.Adam(alpha=0.5)
    rules["/head/*"].use(adam)
    assert rules["/head/*"].hyperparam.alpha == 0.5
    adam.alpha = 0.25
    assert rules["/head/*"].hyperparam.alpha == 0.25
    assert rules["/head/b"].hyperparam.own() == {"/head/b": {}}
    assert not net.head.W.update_rule.enabled
    assert net.head.W.frozen
    assert list(net.head.b.update_rule.hooks) == ["WeightDecay"]
    assert net.head.b.update_rule._fp32_update
    for param in net.params():
        param.grad = np.ones_like(param.array)
    before = net.head.b.array.copy()
    optimizer.update()
    np.testing.assert_allclose(net.head.b.array, before - 0.25, rtol=1e-4)
    assert net.head.b.update_rule.state.keys() == {"m", "v"}

    rules["/embed/W"].use(optimizers.momentum_sgd.MomentumSGDRule)
    assert rules["/embed/W"].hyperparam.momentum == 0.9
    rules["/embed/W"].use(lambda: optimizers.sgd.SGDRule(lr=7.0))
    assert rules["/embed/W"].hyperparam.lr == 7
    half = optimizers.SGD()
    half.use_fp32_update()
    rules["/embed/W"].use(half)
    assert rules["/embed/W"].fp32_update is True


def test_use_refuses(net, rules):
    before = state_of(net)
    shared = optimizers.SGD().create_update_rule()
    for what, error, message in (
        (shared, TypeError, "every parameter needs a rule of its own: got one SGDRule"),
        (optimizers.SGD, TypeError, r"got the class SGD, .*did you mean SGD\(\)\?"),
        (dict, TypeError, "got the class dict"),
        (3, TypeError, "got int, expected an optimizer"),
        (lambda: 3, TypeError, "the function made a int, expected UpdateRule"),
        (lambda: shared, ValueError, "/encoder/0/W: got a rule that is in use"),
        (lambda: next(iter(rules)), ValueError, "/embed/W: got a rule that is in use"),
    ):
        with pytest.raises(error, match=message):
            rules.use(what)
        assert state_of(net) == before


def test_copies_of_an_optimizer_have_rules_of_their_own(net, optimizer):
    assert len(optimizer.rules) == 7
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        other.rules["/head/*"].hyperparam.lr = 5.0
        assert other.rules["/head/*"].hyperparam.lr == 5
        assert other.target.head.W.update_rule.hyperparam.lr == 5
    assert optimizer.rules.hyperparam.lr == 0.1


def test_a_regular_expression_for_a_part_of_the_path_says_so():
    rules = optimizers.SGD().setup(make_net()).rules
    with pytest.raises(KeyError, match="a regular expression has to fit the whole path"):
        rules[re.compile(re.escape(rules.paths[0][:2]))]
