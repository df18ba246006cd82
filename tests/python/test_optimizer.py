"""Optimizers: setup, order, counts, values, refusals, files, copies."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers, serializers
from chainrule.optimizer import Hyperparameter, HyperparameterProxy, make_deprecation_message
from golden import golden_cases as golden
from small_links import make_link

with open(golden.HERE / "behaviour.json", encoding="utf-8") as _file:
    FACTS = json.load(_file)


class Recorder:
    """A hook that writes down when it is called."""

    def __init__(self, calls, text, timing, each=False):
        self.calls, self.text, self.timing, self.call_for_each_param = calls, text, timing, each
        self.name = text

    def __call__(self, owner, param=None):
        if param is None:
            first = next(iter(owner.target.params()))
            self.calls.append([self.text, owner.t, float(first.array[0])])
        else:
            self.calls.append([self.text, param.name, owner.t, float(param.array[0])])


def recorded(chainer: bool):
    calls = []
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.add_hook(Recorder(calls, "optimizer pre", "pre"))
    optimizer.add_hook(Recorder(calls, "optimizer pre, each", "pre", each=True))
    optimizer.add_hook(Recorder(calls, "optimizer post", "post"))
    for param in link.params():
        param.update_rule.add_hook(Recorder(calls, "rule pre", "pre"))
        param.update_rule.add_hook(Recorder(calls, "rule post", "post"))
    with chainrule.using_config("chainer_semantics", chainer):
        optimizer.update()
        first = calls[:]
        calls.clear()
        link.a.update_rule.enabled = False
        optimizer.update()
    return first, calls


@pytest.mark.parametrize("chainer", [False, True])
def test_order_of_calls(chainer):
    first, disabled = recorded(chainer)
    assert first == FACTS["hooks"]["calls_on_first_update"]
    expected = FACTS["hooks"]["calls_with_a_disabled"]
    if not chainer:  # what is not updated is left alone
        expected = [call for call in expected if call[:2] != ["optimizer pre, each", "a"]]
    assert disabled == expected


def test_inheritance_and_overrides():
    link = make_link(a=1, b=1)
    optimizer = optimizers.SGD(lr=0.5).setup(link)
    own = link.a.update_rule.hyperparam
    assert own.parent is optimizer.hyperparam
    own.lr = 10.0
    optimizer.lr = 1.0
    optimizer.update()
    assert (link.a.array[0], link.b.array[0]) == (-10, -1)
    assert repr(own) == "Hyperparameter(lr=10.0)"
    assert repr(link.b.update_rule.hyperparam) == "Hyperparameter(lr=1.0)"
    del own.lr
    assert own.lr == 1.0
    with pytest.raises(AttributeError, match="not set here"):
        del own.lr
    optimizer.update()
    assert link.a.array[0] == -11
    assert "lr" in dir(own)


def test_strict_names_and_values():
    optimizer = optimizers.MomentumSGD()
    with pytest.raises(AttributeError, match=r"did you mean 'momentum'\? Known: lr, momentum"):
        optimizer.hyperparam.momentun = 1
    with pytest.raises(AttributeError, match="got 'lrr'; did you mean 'lr'"):
        _ = optimizer.create_update_rule().hyperparam.lrr
    for bad in ("0.1", None, [1], 1j):
        with pytest.raises(TypeError, match="'lr' of MomentumSGD is no number"):
            optimizer.lr = bad
    rate = np.float32(0.25)
    optimizer.lr = rate
    assert optimizer.lr is rate

    class Own(optimizers.SGD):
        def __init__(self):
            super().__init__()
            self.hyperparam.anything = ["goes"]

        anything = HyperparameterProxy("anything")

    assert Own().anything == ["goes"]
    assert Own().create_update_rule().hyperparam.anything == ["goes"]
    free = Hyperparameter()
    free.x = free
    assert free.x is free
    del free.x
    with pytest.raises(AttributeError, match="no such hyperparameter: got 'y'"):
        _ = free.y


def test_hyperparameter_copies():
    parent = Hyperparameter()
    parent.lr, parent.flag, parent.count, parent.what = 0.5, True, 3, "text"
    child = Hyperparameter(parent)
    child.lr = 1.5
    for other in (copy.deepcopy(child), pickle.loads(pickle.dumps(child))):
        assert other.get_dict() == {"lr": 1.5, "flag": True, "count": 3, "what": "text"}
        assert [type(value) for value in other.get_dict().values()] == [float, bool, int, str]
        parent.count = 4
        assert other.count == 3
        parent.count = 3
    assert Hyperparameter().get_dict() == {}
    assert repr(Hyperparameter()) == FACTS["hyperparameter"]["repr_empty"]


def test_update_with_a_loss_function():
    link = make_link(w=2)
    optimizer = optimizers.SGD(lr=0.5).setup(link)
    calls = []

    def lossfun(factor, *, shift):
        calls.append(factor)
        return (link.w * factor + shift).sum()

    optimizer.update(lossfun, 2.0, shift=1.0)
    assert calls == [2.0]
    np.testing.assert_array_equal(link.w.array, [-1, -1])
    with pytest.warns(DeprecationWarning, match="deprecated"):
        optimizer.use_cleargrads(False)
    with pytest.warns(DeprecationWarning, match="zerograds"):
        optimizer.update(lossfun, 2.0, shift=1.0)
    np.testing.assert_array_equal(link.w.array, [-2, -2])


def test_no_gradient_means_untouched_except_in_chainer():
    for chainer in (False, True):
        link = make_link(w=1)
        optimizer = optimizers.MomentumSGD(lr=1).setup(link)
        optimizer.add_hook(optimizer_hooks.WeightDecay(1))
        with chainrule.using_config("chainer_semantics", chainer):
            optimizer.update()
            link.w.cleargrad()
            optimizer.update()
        assert link.w.update_rule.t == (2 if chainer else 1)
        assert link.w.array[0] == pytest.approx(-1 - 0.9 + 1 if chainer else -1)
        assert (link.w.grad is None) is not chainer


def test_a_parameter_switched_off_gets_no_gradient():
    link = make_link(a=1, b=1)
    optimizers.SGD().setup(link)
    link.cleargrads()
    link.a.update_rule.enabled = False
    ((link.a * link.b).sum()).backward()
    assert link.a.grad is None
    assert link.b.grad is not None
    link.a.update_rule.enabled = True
    ((link.a * link.b).sum()).backward()
    assert link.a.grad is not None


def test_rules_and_links_may_be_exchanged_at_any_time():
    chain = chainrule.Chain(x=make_link(w=1), y=make_link(w=1))
    optimizer = optimizers.SGD(lr=1).setup(chain)
    optimizer.update()
    other = optimizers.SGD(lr=100).create_update_rule()
    chain.x.w.update_rule = other
    optimizer.update()
    assert chain.x.w.array[0] == -101
    chain.x.w.update_rule = None
    optimizer.update()
    assert (chain.x.w.array[0], chain.y.w.array[0]) == (-101, -3)
    new = make_link(w=1)
    new.w.update_rule = optimizer.create_update_rule()
    chain.y = new
    optimizer.update()
    assert new.w.array[0] == -1
    del chain.y
    optimizer.update()
    assert new.w.array[0] == -1
    layers = chainrule.ChainList(make_link(w=1))
    optimizer.setup(layers)
    optimizer.update()
    layers.append(new)
    optimizer.update()
    assert (layers[0].w.array[0], new.w.array[0]) == (-2, -2)


def test_algorithms_and_dtypes_side_by_side():
    link = chainrule.Link()
    start = np.linspace(-1, 1, 7)
    dtypes = ["float16", "float32", "float64"]
    with link.init_scope():
        for name in dtypes:
            setattr(link, name, chainrule.Parameter(start.astype(name)))
    optimizers.Adam(alpha=0.1).setup(link)
    link.float16.update_rule = optimizers.SGD(lr=0.5).create_update_rule()
    optimizer = optimizers.Adam(alpha=0.1)
    optimizer.target = link
    optimizer._hookable = chainrule._hookable.Hookable()
    for param in link.params():
        param.grad = np.ones_like(param.array)
    optimizer.update()
    np.testing.assert_allclose(link.float16.array, start - 0.5, atol=1e-3)
    np.testing.assert_allclose(link.float32.array, start - 0.1, atol=1e-6)
    np.testing.assert_allclose(link.float64.array, start - 0.1, atol=1e-7)


def test_a_shared_parameter_is_updated_once():
    one = make_link(w=1)
    chain = chainrule.Chain(x=one, y=one, z=chainrule.ChainList(one))
    optimizer = optimizers.SGD(lr=1).setup(chain)
    optimizer.update()
    assert one.w.array[0] == -1
    assert one.w.update_rule.t == 1


@pytest.mark.parametrize("chainer", [False, True])
def test_a_hook_for_each_parameter_meets_a_shared_one_once(chainer):
    """Chainer's hook does as often as it is shared."""
    net = chainrule.Chain(a=chainrule.Link(w=2), b=chainrule.Link(v=1))
    with net.b.init_scope():
        net.b.w = net.a.w
    optimizer = optimizers.SGD().setup(net)
    seen = []

    class Hook:
        name, timing, call_for_each_param = "hook", "pre", True

        def __call__(self, rule, param):
            seen.append(param.name)

    optimizer.add_hook(Hook())
    net.a.w.grad, net.b.v.grad = np.ones(2, np.float32), np.ones(1, np.float32)
    with chainrule.using_config("chainer_semantics", chainer):
        optimizer.update()
    assert sorted(seen) == ["v", "w", "w"][: 2 + chainer]


def test_strided_parameters_and_gradients():
    base = np.zeros((3, 8), np.float32)
    link = chainrule.Link()
    with link.init_scope():
        link.w = chainrule.Parameter(base[:, ::2].T)
    link.w.grad = np.ones((3, 4), np.float32).T
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.5))
    optimizer.update()
    assert link.w.array.base is base
    np.testing.assert_array_equal(base[:, ::2], -np.ones((3, 4)))
    np.testing.assert_array_equal(base[:, 1::2], np.zeros((3, 4)))


REFUSALS = {
    "NaN": (ValueError, r"/a: hyperparameter 'lr' of SGD is not finite: got nan",
            lambda link: setattr(link.a.update_rule.hyperparam, "lr", float("nan"))),
    "shape": (ValueError, r"/a: gradient of the wrong shape: got \(1,\), expected \(2,\)",
              lambda link: setattr(link.a, "array", np.zeros(2, np.float32))),
    "dtype": (TypeError, r"/a: gradient of the wrong dtype: got float32, expected float64",
              lambda link: setattr(link.a, "array", np.zeros(1, np.float64))),
    "uninitialized": (RuntimeError, r"/a is not initialized",
                      lambda link: setattr(link.a, "array", None)),
    "integers": (TypeError, r"/a: only floating-point parameters have gradients: got int32",
                 lambda link: (link.a.cleargrad(), setattr(link.a, "array", np.zeros(1, "i4")),
                               setattr(link.a, "grad", np.zeros(1, "i4")))),
    "read-only": (ValueError, r"/a: the parameter's array is read-only",
                  lambda link: setattr(link.a, "array",
                                       np.frombuffer(bytes(4), np.float32))),
}  # fmt: skip


@pytest.mark.parametrize("in_python", [False, True])
@pytest.mark.parametrize("case", REFUSALS)
def test_refused_updates_change_nothing(case, in_python):
    error, message, spoil = REFUSALS[case]
    link = make_link(a=1, b=1, c=1)
    optimizer = optimizers.SGD(lr=1).setup(link)
    if in_python:
        optimizer.add_hook(lambda opt: link.b.grad.fill(7), name="changes b")
        link.c.update_rule.add_hook(lambda rule, param: None, name="in python")
    spoil(link)
    with pytest.raises(error, match=message):
        optimizer.update()
    assert optimizer.t == 0
    assert [param.update_rule.t for param in link.params()] == [0, 0, 0]
    assert (link.b.array[0], link.c.array[0], link.b.grad[0]) == (0, 0, 1)


#: The optimizers behind the snapshots (`golden_snapshots.py`).
SNAPSHOTS = {
    "sgd": lambda: optimizers.SGD(lr=0.05),
    "momentum_sgd": lambda: optimizers.MomentumSGD(lr=0.05),
    "adam": lambda: optimizers.Adam(alpha=0.01),
    "amsgrad": lambda: optimizers.AMSGrad(alpha=0.01),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_chainers_snapshots_are_continued(name, tmp_path):
    values = golden.load("snapshots")
    chain = chainrule.Chain(l1=make_link(W=(4, 3), b=4), l2=make_link(W=(2, 4), b=2))
    folder = golden.HERE / "snapshots"
    with np.load(folder / f"{name}_model.npz") as model:
        for path, param in chain.namedparams():
            param.array[...] = model[path[1:]]
    with np.load(folder / f"{name}_optimizer.npz") as file:
        keys = set(file.files)
    optimizer = SNAPSHOTS[name]().setup(chain)
    serializers.load_npz(folder / f"{name}_optimizer.npz", optimizer)
    assert optimizer.t == 3
    for step in (4, 5, 6):
        for path, param in chain.namedparams():
            param.grad = values[f"{name}/grad/step{step}{path}"]
        optimizer.update()
    for path, param in chain.namedparams():
        np.testing.assert_allclose(param.array, values[f"{name}/step6{path}"], rtol=2e-6, atol=1e-7)
        assert param.update_rule.t == 6
    serializers.save_npz(tmp_path / "ours.npz", optimizer)
    with np.load(tmp_path / "ours.npz") as ours:
        assert set(ours.files) == keys | {"rules.json"}


def test_missing_state_starts_fresh():
    folder = golden.HERE / "snapshots"
    for chainer in (False, True):
        chain = chainrule.Chain(l1=make_link(W=(4, 3), b=4), l2=make_link(W=(2, 4), b=2))
        optimizer = optimizers.Adam().setup(chain)
        with chainrule.using_config("chainer_semantics", chainer):
            serializers.load_npz(folder / "adam_partly_disabled_optimizer.npz", optimizer)
            assert chain.l1.W.update_rule.state is None
            assert set(chain.l2.W.update_rule.state) == {"m", "v"}
            optimizer.update()


def test_copies_and_pickles_go_on_alike():
    link = make_link(a=3, b=(2, 2))
    optimizer = optimizers.AMSBound(alpha=0.1).setup(link)
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    link.a.update_rule.hyperparam.alpha = 0.5
    link.a.update_rule.add_hook(optimizer_hooks.Lasso(0.2))
    link.b.update_rule.enabled = False
    optimizer.update()
    link.b.update_rule.enabled = True
    others = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    for each in (optimizer, *others):
        each.alpha = 0.2
        for step in range(3):
            for param in each.target.params():
                param.grad = np.full_like(param.array, step - 1)
            each.update()
    for other in others:
        assert other.t == optimizer.t
        for mine, its in zip(link.params(), other.target.params(), strict=True):
            assert mine is not its
            np.testing.assert_array_equal(mine.array, its.array)
            assert mine.update_rule.t == its.update_rule.t
            for name, state in mine.update_rule.state.items():
                np.testing.assert_array_equal(state, its.update_rule.state[name])


def test_lazy_parameters():
    link = chainrule.Link(w=None)
    optimizer = optimizers.Adam().setup(link)
    assert link.w.update_rule is not None
    with pytest.raises(RuntimeError, match="/w is not initialized"):
        optimizer.update()
    with chainrule.using_config("chainer_semantics", True):
        optimizer.update()
    assert link.w.update_rule.t == FACTS["gradients"]["uninitialized_after_update"]["t"]
    link.w.initialize((2,))
    link.w.array[...] = 0
    link.w.grad = np.ones(2, np.float32)
    optimizer.update()
    assert link.w.update_rule.t == 2
    assert (link.w.array < 0).all()


def test_threads_with_optimizers_of_their_own():
    results = []

    def work():
        link = make_link(w=300_000)
        optimizer = optimizers.Adam(alpha=0.1).setup(link)
        for _ in range(20):
            optimizer.update()
        results.append(link.w.array)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_steps_that_a_subclass_overrides_are_called():
    class Own(optimizers.SGD):
        def reallocate_cleared_grads(self):
            calls.append("reallocate")

        def check_nan_in_grads(self):
            calls.append("check")
            super().check_nan_in_grads()

        def update_loss_scale(self):
            calls.append("scale")

    calls = []
    link = make_link(w=1)
    optimizer = Own(lr=1).setup(link)
    optimizer.update()
    assert calls == ["check", "scale"]
    assert link.w.array[0] == -1


def test_state_of_a_dead_interpreter_is_let_go():
    code = (
        "import numpy, chainrule\n"
        "link = chainrule.Link(w=3)\n"
        "link.w.grad = numpy.ones(3, numpy.float32)\n"
        "optimizer = chainrule.optimizers.Adam().setup(link)\n"
        "optimizer.hyperparam.alpha = numpy.float32(0.1)\n"
        "optimizer.update()\n"
        "state = link.w.update_rule.state['m']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_message_of_old_names():
    assert make_deprecation_message("WeightDecay") == (
        "chainer.optimizer.WeightDecay is deprecated from v4. "
        "Use chainer.optimizer_hooks.WeightDecay instead."
    )
