"""Hooks against Chainer 7.8.1, in the sweep, in memory, and written by users."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers, schedules
from golden import golden_cases as golden


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return golden.load("hooks")


def make_target(dtype: str) -> chainrule.Link:
    link = chainrule.Link()
    with link.init_scope():
        for name, value in golden.start(dtype).items():
            setattr(link, name, chainrule.Parameter(value))
    return link


def attach(hooks, place, optimizer, target) -> None:
    owner = optimizer if place == "optimizer" else target.p0.update_rule
    for class_name, args in hooks:
        owner.add_hook(getattr(optimizer_hooks, class_name)(*args))


def close(ours, theirs, dtype) -> None:
    # Norms are summed in another order; a factor's last bit is multiplied with every element.
    tolerance = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("chainer", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", golden.HOOK_OPTIMIZERS)
@pytest.mark.parametrize("case", golden.HOOKS)
def test_equal_to_chainer(values, case, name, dtype, chainer):
    hooks, place = golden.HOOKS[case]
    target = make_target(dtype)
    optimizer = getattr(optimizers, name)(**golden.HOOK_OPTIMIZERS[name]).setup(target)
    attach(hooks, place, optimizer, target)
    np.random.seed(golden.HOOK_SEED)
    steps = golden.STEPS_HOOKS
    with chainrule.using_config("chainer_semantics", chainer):
        for step, grads in enumerate(golden.gradients(dtype, max(steps)), start=1):
            for param, grad in grads.items():
                getattr(target, param).grad = grad.copy()
            optimizer.update()
            if step not in steps:
                continue
            for param, grad in grads.items():
                prefix = f"{case}/{name}/{dtype}/step{step}"
                close(getattr(target, param).array, values[f"{prefix}/{param}"], dtype)
                if chainer:  # the gradient is left as the rule saw it
                    close(getattr(target, param).grad, values[f"{prefix}/grad/{param}"], dtype)
                elif optimizer._plain:
                    assert np.array_equal(getattr(target, param).grad, grad)


@pytest.mark.parametrize("name", golden.HOOK_OPTIMIZERS)
@pytest.mark.parametrize(
    "case", ["none", "WeightDecay/optimizer", "WeightDecay/rule", "GradientClipping/optimizer"]
)
def test_loss_scaling_equal_to_chainer(values, case, name):
    hooks, place = golden.HOOKS.get(case, ([], "optimizer"))
    results = {}
    for chainer in (False, True):
        target = make_target("float32")
        optimizer = getattr(optimizers, name)(**golden.HOOK_OPTIMIZERS[name]).setup(target)
        attach(hooks, place, optimizer, target)
        optimizer.loss_scaling(scale=float(values["loss_scale"]))
        with chainrule.using_config("chainer_semantics", chainer):
            for grads in golden.gradients("float32", 20):

                def lossfun(grads=grads, target=target):
                    return (target.p0 * grads["p0"]).sum() + (target.p1 * grads["p1"]).sum()

                optimizer.update(lossfun)
        results[chainer] = [getattr(target, p).array for p in golden.SHAPES]
    theirs = [values[f"loss_scaled/{case}/{name}/step20/{p}"] for p in golden.SHAPES]
    for ours, expected in zip(results[True], theirs, strict=True):
        close(ours, expected, "float32")
    # By default hooks on the optimizer see the gradients without the scale.
    plain = make_target("float32")
    optimizer = getattr(optimizers, name)(**golden.HOOK_OPTIMIZERS[name]).setup(plain)
    attach(hooks, place, optimizer, plain)
    for grads in golden.gradients("float32", 20):
        for param, grad in grads.items():
            getattr(plain, param).grad = grad
        optimizer.update()
    for param, ours in zip(golden.SHAPES, results[False], strict=True):
        close(ours, getattr(plain, param).array, "float32")


def test_numbers_of_hooks_are_live():
    link = chainrule.Link(w=1)
    link.w.array[:] = 0
    optimizer = optimizers.SGD(lr=1).setup(link)
    clip = optimizer_hooks.GradientHardClipping(-1, 1)
    optimizer.add_hook(clip)
    link.w.grad = np.full(1, 5, np.float32)
    optimizer.update()
    clip.upper_bound = 2
    assert (clip.lower_bound, clip.upper_bound) == (-1, 2)
    optimizer.update()
    assert link.w.array[0] == -3
    for wrong in (np.nan, None, "2", np.array([1, 2])):
        with pytest.raises(
            (TypeError, ValueError), match=r"upper_bound: got .*, expected a number"
        ):
            clip.upper_bound = wrong
    assert (clip.lower_bound, clip.upper_bound) == (-1, 2)
    for number in (np.float32(0.5), np.array(0.5), np.int8(2), True, np.inf):
        clip.upper_bound = number
        assert clip.upper_bound == float(number)


NUMBERS = [
    (optimizer_hooks.EMA, "decay", [-0.1, 1.5]),
    (optimizer_hooks.GradientClipping, "threshold", [-1]),
    (optimizer_hooks.GradientHardClipping, "lower_bound", []),
    (optimizer_hooks.GradientLARS, "threshold", []),
    (optimizer_hooks.GradientLARS, "weight_decay", [np.inf]),
    (optimizer_hooks.GradientLARS, "eps", [-1e-9, np.inf]),
    (optimizer_hooks.GradientNoise, "eta", [-1, np.inf]),
    (optimizer_hooks.Lasso, "rate", [np.inf]),
    (optimizer_hooks.Lookahead, "alpha", [-0.1, 1.5]),
    (optimizer_hooks.Lookahead, "k", [0, 1.5, np.inf]),
    (optimizer_hooks.SAM, "rho", [-0.1, np.inf]),
    (optimizer_hooks.WeightDecay, "rate", [-np.inf]),
]


@pytest.mark.parametrize(("kind", "name", "wrong"), NUMBERS)
def test_numbers_that_would_destroy_parameters_are_refused(kind, name, wrong):
    rest = {"upper_bound": 2} if name == "lower_bound" else {}
    hook = kind(**{name: 1}, **rest)
    expected = rf"\[{kind.__name__}\] {name}: got .*, expected a .*number"
    for value in ("a", None, 1j, np.ones(2), np.ones(1), schedules.step * 2):
        with pytest.raises(TypeError, match=expected):
            kind(**{name: value}, **rest)
        with pytest.raises(TypeError, match=expected):
            setattr(hook, name, value)
    for value in (float("nan"), *wrong):
        with pytest.raises(ValueError, match=expected):
            kind(**{name: value}, **rest)
        with pytest.raises(ValueError, match=expected):
            setattr(hook, name, value)
    assert getattr(hook, name) == 1
    for value in (np.float32(1), np.array(1.0), np.int64(1)):
        for made in (kind(**{name: value}, **rest), copy.deepcopy(hook)):
            setattr(made, name, value)
            assert getattr(made, name) == 1


def test_noise_needs_a_function():
    with pytest.raises(TypeError, match="noise_func: got 3, expected a function"):
        optimizer_hooks.GradientNoise(0.1, 3)


def test_called_directly_hooks_change_gradients_in_memory():
    link = chainrule.Link(a=1, b=1)
    link.a.array[:], link.b.array[:] = 1, -1
    optimizer = optimizers.SGD().setup(link)
    grads = np.array([3], np.float32), np.array([4], np.float32)
    link.a.grad, link.b.grad = grads
    optimizer_hooks.GradientClipping(1)(optimizer)
    assert link.a.grad is grads[0]
    np.testing.assert_allclose([grads[0][0], grads[1][0]], [0.6, 0.8], rtol=1e-6)
    optimizer_hooks.WeightDecay(2)(link.a.update_rule, link.a)
    optimizer_hooks.Lasso(2)(link.b.update_rule, link.b)
    np.testing.assert_allclose([grads[0][0], grads[1][0]], [2.6, -1.2], rtol=1e-6)
    optimizer_hooks.GradientClipping(1)(link.a.update_rule, link.a)
    assert grads[0][0] == pytest.approx(1)
    link.a.cleargrad()
    optimizer_hooks.WeightDecay(2)(link.a.update_rule, link.a)
    assert link.a.grad is None


def test_clipping_on_one_rule_bounds_that_gradient_alone():
    link = chainrule.Link(a=2, b=2)
    link.a.array[:] = link.b.array[:] = 0
    optimizer = optimizers.SGD(lr=1).setup(link)
    link.a.update_rule.add_hook(optimizer_hooks.GradientClipping(1))
    link.a.grad = link.b.grad = np.array([3, 4], np.float32)
    optimizer.update()
    np.testing.assert_allclose(link.a.array, [-0.6, -0.8], rtol=1e-6)


def test_disabled_and_gradientless_parameters_are_left_alone():
    seen = []

    class Each:
        name, timing, call_for_each_param = "Each", "pre", True

        def __call__(self, rule, param):
            seen.append(param.name)
            param.grad += 1

    link = chainrule.Link(a=1, b=1, c=1)
    for param in link.params():
        param.array[:] = 0
    optimizer = optimizers.SGD(lr=1).setup(link)
    optimizer.add_hook(Each())
    optimizer.add_hook(optimizer_hooks.GradientClipping(1))
    link.a.update_rule.enabled = False
    link.a.grad, link.c.grad = np.full(1, 100, np.float32), np.full(1, 1, np.float32)
    optimizer.update()
    assert seen == ["c"]
    assert [p.array[0] for p in link.params()] == [0, 0, -1]
    assert link.a.grad[0] == 100


class Halving(optimizer_hooks.WeightDecay):
    """A user's own: what it overrides must be called."""

    def __call__(self, rule, param):
        param.grad *= 0.5


class Bare(optimizer_hooks.WeightDecay):
    """Derived and nothing overridden: still right, if not in the sweep."""


def test_derived_hooks():
    for cls, expected in ((Halving, -1), (Bare, -2 - 0.5)):
        link = chainrule.Link(w=1)
        link.w.array[:] = 1
        optimizer = optimizers.SGD(lr=1).setup(link)
        optimizer.add_hook(cls(0.5))
        link.w.grad = np.full(1, 2, np.float32)
        optimizer.update()
        assert link.w.array[0] - 1 == expected


@pytest.mark.parametrize("hook", [
    optimizer_hooks.WeightDecay(0.5), optimizer_hooks.Lasso(0.25),
    optimizer_hooks.GradientHardClipping(-1, 2), optimizer_hooks.GradientClipping(3),
    optimizer_hooks.GradientNoise(0.3), optimizer_hooks.GradientLARS(),
])  # fmt: skip
def test_copies_and_pickles(hook):
    hook.note = "kept"
    for other in (copy.deepcopy(hook), pickle.loads(pickle.dumps(hook))):
        assert type(other) is type(hook)
        assert other.note == "kept"
        for name in ("rate", "lower_bound", "upper_bound", "threshold", "eta"):
            assert getattr(other, name, None) == getattr(hook, name, None)
        assert (other.name, other.timing) == (type(hook).__name__, "pre")


@pytest.mark.parametrize(
    "name", ["WeightDecay", "Lasso", "GradientClipping", "GradientHardClipping", "GradientNoise"]
)
def test_old_names(name):
    args = (1, 2) if name == "GradientHardClipping" else (1,)
    with pytest.warns(DeprecationWarning, match=f"chainer.optimizer.{name} is deprecated"):
        hook = getattr(chainrule.optimizer, name)(*args)
    assert isinstance(hook, getattr(optimizer_hooks, name))
    link = chainrule.Link(w=1)
    link.w.array[:] = 1
    link.w.grad = np.ones(1, np.float32)
    optimizer = optimizers.SGD().setup(link)
    optimizer.add_hook(hook)
    optimizer.update()
    assert optimizer._plain == (name != "GradientNoise")


class _Norm(optimizer_hooks.GradientClipping):
    threshold = 2.0


class _Bounds(optimizer_hooks.GradientHardClipping):
    lower_bound = property(lambda self: -1.0)


class _Decay(optimizer_hooks.WeightDecay):
    def __init__(self, base):
        self.base = base
        super().__init__(base)

    rate = property(lambda self: 2 * self.base, lambda self, value: setattr(self, "base", value))


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (_Norm(2.0), [-2.0]),
        (_Norm(3.0), [-3.0]),
        (_Bounds(-5.0, 3.0), [-3.0]),
        (_Decay(0.5), [-11.0]),
    ],
)
def test_numbers_that_a_class_of_a_users_has_otherwise(hook, expected):
    link = chainrule.Link(w=1)
    optimizer = optimizers.SGD(lr=1.0).setup(link)
    optimizer.add_hook(hook)
    for _ in range(2):
        link.w.array[:] = 1
        link.w.grad = np.full(1, 10, np.float32)
        optimizer.update()
        assert (link.w.array - 1).tolist() == expected


def test_numbers_of_hooks_that_were_pickled_under_their_own_names():
    hook = optimizer_hooks.GradientLARS(threshold=0.5)
    attributes = {"threshold": vars(hook).pop("_threshold"), **vars(hook)}
    old = object.__new__(optimizer_hooks.GradientLARS)
    vars(old).update(attributes)
    assert old.threshold == 0.5
    old.threshold = 0.25
    assert old.threshold == 0.25
