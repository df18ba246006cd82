"""Optimizers made of functions: like built-in ones in every respect."""

import copy
import inspect
import io
import itertools
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import _core, optimizer_hooks, optimizers, serializers
from chainrule.traced import ElementwiseMethod, ElementwiseRule


@chainrule.elementwise_rule
def TracedSGD(p, g, *, lr=0.01):
    return p - lr * g


@chainrule.elementwise_rule
def TracedMomentum(p, g, v, *, lr=0.01, momentum=0.9):
    v = momentum * v - lr * g
    return p + v, v


@chainrule.elementwise_rule
def TracedNesterov(p, g, v, *, lr=0.01, momentum=0.9):
    v = momentum * v - lr * g
    return p + momentum * v - lr * g, v


@chainrule.elementwise_rule
def TracedRMSprop(p, g, ms, *, lr=0.01, alpha=0.99, eps=1e-8, eps_inside_sqrt=False):
    ms = alpha * ms + (1 - alpha) * g**2
    if eps_inside_sqrt:
        return p - lr * g / np.sqrt(ms + eps), ms
    return p - lr * g / (np.sqrt(ms) + eps), ms


@chainrule.elementwise_rule
def TracedAdam(p, g, m, v, vhat, *, alpha=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, t):
    """Adam, with Chainer's place of eps."""
    alpha_t = alpha * np.sqrt(1 - beta2**t) / (1 - beta1**t)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    if amsgrad:
        vhat = np.maximum(vhat, v)
        return p - alpha_t * m / (np.sqrt(vhat) + eps), m, v, vhat
    return p - alpha_t * m / (np.sqrt(v) + eps), m, v, vhat


@chainrule.elementwise_rule
def TracedAdaDelta(p, g, msg, msdx, *, rho=0.95, eps=1e-6):
    msg = rho * msg + (1 - rho) * g * g
    dx = np.sqrt((msdx + eps) / (msg + eps)) * g
    msdx = rho * msdx + (1 - rho) * dx * dx
    return p - dx, msg, msdx


@chainrule.elementwise_rule
def TracedLion(p, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    u = np.sign(beta1 * m + (1 - beta1) * g)
    return p - lr * (u + weight_decay * p), beta2 * m + (1 - beta2) * g


PAIRS = {
    "SGD": (TracedSGD, optimizers.SGD, {"lr": 0.05}),
    "MomentumSGD": (TracedMomentum, optimizers.MomentumSGD, {"lr": 0.05}),
    "RMSprop": (TracedRMSprop, optimizers.RMSprop, {"lr": 0.003, "eps": 1e-4}),
    "RMSprop, eps inside": (
        TracedRMSprop,
        optimizers.RMSprop,
        {"lr": 0.003, "eps": 1e-4, "eps_inside_sqrt": True},
    ),
    "Adam": (TracedAdam, optimizers.Adam, {"alpha": 0.01}),
    "AMSGrad": (TracedAdam, optimizers.Adam, {"alpha": 0.01, "beta2": 0.9, "amsgrad": True}),
    "AdaDelta": (TracedAdaDelta, optimizers.AdaDelta, {"eps": 1e-4}),
}
SIZES = (1, 7, 512, 1025, 9001)


def link_of(dtype, sizes=SIZES, seed=0):
    random = np.random.default_rng(seed)
    link = chainrule.Link()
    with link.init_scope():
        for i, size in enumerate(sizes):
            start = random.standard_normal(size).astype(np.float32)
            setattr(link, f"w{i}", chainrule.Parameter(start.astype(dtype)))
    return link


def set_gradients(link, seed):
    random = np.random.default_rng(seed)
    for _, param in sorted(link.namedparams()):
        grad = random.standard_normal(param.shape).astype(np.float32)
        param.grad = grad.astype(param.dtype)


def train(link, optimizer, steps=20, first=0):
    for step in range(first, first + steps):
        set_gradients(link, step)
        optimizer.update()


def arrays_of(link):
    """Copy all parameters and states."""
    out = {}
    for path, param in link.namedparams():
        out[path] = param.array.copy()
        for name, state in (param.update_rule.state or {}).items():
            out[f"{path} {name}"] = state.copy()
    return out


def expect_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def expect_near(a, b, units):
    """Compare, in units of machine epsilon relative to the larger of 1 and the value."""
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        eps = np.finfo(a[name].dtype).eps if a[name].dtype != "bfloat16" else 2**-7
        x, y = a[name].astype(np.float64), b[name].astype(np.float64)
        np.testing.assert_allclose(x, y, rtol=units * eps, atol=units * eps, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_built_in(name, dtype):
    traced, built_in, values = PAIRS[name]
    ours, theirs = link_of(dtype), link_of(dtype)
    train(ours, traced(**values).setup(ours), 50)
    train(theirs, built_in(**values).setup(theirs), 50)
    # Both round differently, once a step.
    expect_near(arrays_of(ours), arrays_of(theirs), 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "rule", [TracedSGD, TracedMomentum, TracedNesterov, TracedRMSprop, TracedAdam, TracedLion]
)
def test_agrees_with_the_function_on_arrays(rule, dtype):
    link = link_of(dtype)
    optimizer = rule().setup(link)
    values = optimizer.hyperparam.get_dict()
    takes_t = "t" in inspect.signature(rule.function).parameters
    states = [
        p.name
        for p in inspect.signature(rule.function).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ][2:]
    wide = {path: param.array.astype(np.float64) for path, param in link.namedparams()}
    kept = {path: [np.zeros_like(p) for _ in states] for path, p in wide.items()}
    for t in range(1, 21):
        set_gradients(link, t)
        for path, param in link.namedparams():
            arguments = {**values, "t": t} if takes_t else values
            grad = param.grad.astype(np.float64)
            found = rule.function(wide[path], grad, *kept[path], **arguments)
            wide[path], *kept[path] = found if states else (found,)
        optimizer.update()
    for path, param in link.namedparams():
        eps = 200 * np.finfo(dtype).eps
        if rule is TracedLion:
            # A sign may flip where its argument is next to zero: a step of 2e-4.
            wrong = np.abs(param.array - wide[path]) > eps
            assert np.count_nonzero(wrong) <= param.size // 1000
            continue
        np.testing.assert_allclose(param.array, wide[path], rtol=eps, atol=eps)
        for name, state in zip(states, kept[path], strict=True):
            if name in param.update_rule.state:
                np.testing.assert_allclose(param.update_rule.state[name], state, rtol=eps, atol=eps)


@pytest.mark.parametrize("masters", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
def test_half_precision(dtype, masters):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    results = []
    for make in (TracedAdam, optimizers.Adam):
        link = link_of(dtype)
        optimizer = make(alpha=0.01).setup(link)
        if masters:
            optimizer.use_fp32_update()
        train(link, optimizer, 5)
        results.append({k: np.asarray(v, np.float32) for k, v in arrays_of(link).items()})
    unit = 2**-10 if dtype == np.float16 else 2**-7
    for name, array in results[0].items():
        # States stay near 0, where halves are dense: a few roundings of states without masters.
        np.testing.assert_allclose(array, results[1][name], rtol=8 * unit, atol=8 * unit)


def test_mixed_with_built_in_rules_alone_and_by_threads():
    def mixed(link):
        optimizer = optimizers.Adam().setup(link)
        rules = [TracedAdam, TracedMomentum, TracedLion, None, TracedSGD]
        for (_, param), make in zip(sorted(link.namedparams()), rules, strict=True):
            if make:
                param.update_rule = make().create_update_rule()
        return optimizer

    reference = link_of(np.float32)
    optimizer = mixed(reference)
    before = _core.num_threads()
    try:
        _core.set_num_threads(1)
        train(reference, optimizer, 3)
        _core.set_num_threads(2)
        together = link_of(np.float32)
        train(together, mixed(together), 3)
    finally:
        _core.set_num_threads(before)
    alone = link_of(np.float32)
    mixed(alone)
    for step in range(3):
        set_gradients(alone, step)
        for param in alone.params():
            param.update_rule.update(param)
    expect_equal(arrays_of(reference), arrays_of(together))
    expect_equal(arrays_of(reference), arrays_of(alone))


def test_hooks_run_in_the_sweep():
    results = []
    for make in (TracedMomentum, optimizers.MomentumSGD):
        link = link_of(np.float32)
        optimizer = make(lr=0.05).setup(link)
        optimizer.add_hook(optimizer_hooks.GradientClipping(3.0))
        for param in link.params():
            param.update_rule.add_hook(optimizer_hooks.WeightDecay(0.1))
            param.update_rule.add_hook(optimizer_hooks.Lasso(0.01))
        assert not link.w0.update_rule._by_python
        train(link, optimizer)
        results.append(arrays_of(link))
    expect_near(*results, 32)


def test_values_of_one_parameter_and_inherited_ones():
    link = link_of(np.float32, (1, 1))
    link.w0.array[:] = link.w1.array[:] = 0
    optimizer = TracedSGD(lr=0.5).setup(link)
    link.w1.update_rule.hyperparam.lr = 2.0
    for param in link.params():
        param.grad = np.ones(1, np.float32)
    optimizer.update()
    assert (link.w0.array[0], link.w1.array[0]) == (-0.5, -2)
    optimizer.lr = 1.0
    optimizer.update()
    assert (link.w0.array[0], link.w1.array[0]) == (-1.5, -4)
    with pytest.raises(AttributeError, match="did you mean 'lr'"):
        link.w0.update_rule.hyperparam.lt = 1
    optimizer.lr = np.nan
    with pytest.raises(ValueError, match="'lr' of TracedSGD is not finite"):
        optimizer.update()
    assert (link.w0.array[0], link.w1.array[0]) == (-1.5, -4)


def test_disabled_and_uninitialised_parameters():
    net = chainrule.Sequential(chainrule.links.Linear(None, 3), chainrule.links.Linear(3, 1))
    optimizer = TracedMomentum(lr=0.1).setup(net)
    net[1].disable_update()
    x = np.ones((2, 4), np.float32)
    before = net[1].W.array.copy()
    for _ in range(2):
        loss = chainrule.functions.mean(net(x) ** 2)
        net.cleargrads()
        loss.backward()
        optimizer.update()
    assert net[0].W.update_rule.t == 2
    assert net[0].W.update_rule.state["v"].shape == (3, 4)
    assert net[1].W.update_rule.t == 0
    np.testing.assert_array_equal(net[1].W.array, before)


def test_switches_are_branched_on_and_need_only_their_states():
    link = link_of(np.float32, (3,))
    optimizer = TracedAdam().setup(link)
    train(link, optimizer, 1)
    assert set(link.w0.update_rule.state) == {"m", "v"}
    optimizer.amsgrad = True
    train(link, optimizer, 1, 1)
    assert set(link.w0.update_rule.state) == {"m", "v", "vhat"}
    assert len(TracedAdam.listing().strip().split("\n\n")) == 2


def test_first_values_of_states_and_the_number_of_the_update():
    @chainrule.elementwise_rule
    def Counting(p, g, s=2.0, *, t):
        return np.where(t == 1, 10, p) + t, s + np.where(t > 2, 1, 0) * g

    link = link_of(np.float64, (2,))
    optimizer = Counting().setup(link)
    for total, state in ((11, 2), (13, 2), (16, 3)):
        for param in link.params():
            param.grad = np.ones(2)
        optimizer.update()
        np.testing.assert_array_equal(link.w0.array, total)
        np.testing.assert_array_equal(link.w0.update_rule.state["s"], state)


def test_states_may_change_places_and_be_constants():
    @chainrule.elementwise_rule
    def Rotating(p, g, a=1, b=2, c=3, d=4):
        return p, b, c, a, 7

    link = link_of(np.float32, (5,))
    before = link.w0.array.copy()
    train(link, Rotating().setup(link), 1)
    np.testing.assert_array_equal(link.w0.array, before)
    state = link.w0.update_rule.state
    assert [state[name][0] for name in "abcd"] == [2, 3, 1, 7]


# Copies and files


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_alike(clone):
    link = link_of(np.float32)
    optimizer = TracedAdam(alpha=0.01).setup(link)
    link.w1.update_rule.hyperparam.beta1 = 0.5
    train(link, optimizer, 3)
    twin = clone(optimizer)
    assert type(twin) is TracedAdam
    assert type(twin.target.w0.update_rule) is TracedAdam.TracedAdamRule
    train(link, optimizer, 3, 3)
    train(twin.target, twin, 3, 3)
    expect_equal(arrays_of(link), arrays_of(twin.target))
    assert clone(link.w1.update_rule.hyperparam).beta1 == 0.5


def test_pickles_load_in_another_process(tmp_path):
    module = tmp_path / "my_rules.py"
    module.write_text(
        "import chainrule\n"
        "@chainrule.elementwise_rule\n"
        "def Plain(p, g, *, lr=0.5):\n"
        "    return p - lr * g\n"
    )
    program = (
        "import pickle, sys; sys.path.insert(0, sys.argv[1]); {}; import chainrule\n"
        "file = sys.argv[1] + '/hyperparam.pickle'\n"
    )
    write = program.format("import my_rules") + (
        "pickle.dump(my_rules.Plain(lr=0.25).hyperparam, open(file, 'wb'))"
    )
    read = program.format("pass") + "print(pickle.load(open(file, 'rb')).lr)"
    for text in (write, read):
        done = subprocess.run(
            [sys.executable, "-c", text, tmp_path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.25"


def test_snapshot_resumes_bit_for_bit():
    link = link_of(np.float32)
    optimizer = TracedAdam(alpha=0.01).setup(link)
    train(link, optimizer, 4)
    files = io.BytesIO(), io.BytesIO()
    serializers.save_npz(files[0], link)
    serializers.save_npz(files[1], optimizer)
    train(link, optimizer, 4, 4)
    resumed = link_of(np.float32, seed=1)
    other = TracedAdam(alpha=0.01).setup(resumed)
    for file, target in zip(files, (resumed, other), strict=True):
        file.seek(0)
        report = serializers.load_npz(file, target)
        assert not report.missing
        assert not report.unused
    train(resumed, other, 4, 4)
    expect_equal(arrays_of(link), arrays_of(resumed))


def test_snapshot_of_another_expression_of_the_same_name_is_reported():
    def versions():
        for factor in (1, 2):

            @chainrule.elementwise_rule(name="Mine")
            def rule(p, g, m, *, lr=0.1, factor=factor):
                m = 0.9 * m + factor * g
                return p - lr * m, m

            yield rule

        @chainrule.elementwise_rule(name="Mine")
        def rule(p, g, m, *, lr=0.1, factor=1):
            m = 0.5 * m + factor * g
            return p - lr * m, m

        yield rule

    first, other_default, other_expression = versions()
    link = link_of(np.float32, (4,))
    optimizer = first().setup(link)
    train(link, optimizer, 2)
    file = io.BytesIO()
    serializers.save_npz(file, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file.seek(0)
        serializers.load_npz(file, other_default().setup(link_of(np.float32, (4,))))
    target = link_of(np.float32, (4,))
    file.seek(0)
    with pytest.warns(UserWarning, match=r"/w0: the state was saved by another version of Mine"):
        serializers.load_npz(file, other_expression().setup(target))
    np.testing.assert_array_equal(target.w0.update_rule.state["m"], link.w0.update_rule.state["m"])


def test_a_snapshot_without_the_rule_loads():
    link = link_of(np.float32, (4,))
    optimizer = optimizers.MomentumSGD().setup(link)
    train(link, optimizer, 1)
    file = io.BytesIO()
    serializers.save_npz(file, optimizer)
    target = link_of(np.float32, (4,))
    file.seek(0)
    serializers.load_npz(file, TracedMomentum().setup(target))
    np.testing.assert_array_equal(target.w0.update_rule.state["v"], link.w0.update_rule.state["v"])


# The class


def test_the_class_is_an_ordinary_optimizer():
    assert issubclass(TracedAdam, chainrule.GradientMethod)
    assert issubclass(TracedAdam, ElementwiseMethod)
    assert TracedAdam.__name__ == "TracedAdam"
    assert TracedAdam.__module__ == __name__
    assert TracedAdam.__doc__ == "Adam, with Chainer's place of eps."
    assert str(inspect.signature(TracedMomentum)) == "(*, lr=0.01, momentum=0.9)"
    optimizer = TracedAdam(alpha=0.5)
    assert (optimizer.alpha, optimizer.beta1, optimizer.amsgrad) == (0.5, 0.9, False)
    optimizer.beta1 = 0.8
    assert optimizer.hyperparam.beta1 == 0.8
    rule = optimizer.create_update_rule()
    assert isinstance(rule, ElementwiseRule)
    assert rule.is_elementwise
    own = TracedAdam.TracedAdamRule(optimizer.hyperparam, beta2=0.5)
    assert (own.hyperparam.beta2, own.hyperparam.beta1) == (0.5, 0.8)
    assert TracedAdam.TracedAdamRule().hyperparam.alpha == 1e-3
    with pytest.raises(TypeError, match=r"\[TracedAdam\] no such .* 'alpah'; did you mean 'alpha'"):
        TracedAdam(alpah=1)


def test_algorithms_are_freed():
    def make(i):
        return chainrule.elementwise_rule(name=f"Rule{i}")(lambda p, g: p - g * (1 + i))

    rules = [make(i) for i in range(3)]
    link = link_of(np.float32, (2, 2, 2))
    for param, rule in zip(link.params(), rules, strict=True):
        param.update_rule = rule().create_update_rule()
    optimizer = optimizers.SGD()
    optimizer.target = link
    del rules
    for param in link.params():
        param.grad = np.zeros_like(param.array)
        param.update_rule.update(param)
        assert param.update_rule.t == 1


def test_a_step_that_is_not_finite_changes_nothing():
    @chainrule.elementwise_rule
    def Dividing(p, g, *, lr=0.0):
        return p - g / lr

    link = link_of(np.float32, (2,))
    before = link.w0.array.copy()
    optimizer = Dividing().setup(link)
    with pytest.raises(ValueError, match=r"/w0: Dividing has no finite step 1 .*lr=0"):
        train(link, optimizer, 1)
    np.testing.assert_array_equal(link.w0.array, before)


def test_program_is_shared_among_hundreds_of_rules():
    link = link_of(np.float32, tuple(itertools.repeat(3, 300)))
    optimizer = TracedAdam().setup(link)
    for i, param in enumerate(link.params()):
        param.update_rule.hyperparam.alpha = 0.01 * (1 + i)
    start = {path: param.array.copy() for path, param in link.namedparams()}
    train(link, optimizer, 1)
    moved = [np.abs(param.array - start[path]).max() for path, param in link.namedparams()]
    np.testing.assert_allclose(sorted(moved), 0.01 * np.arange(1, 301), rtol=1e-3)
