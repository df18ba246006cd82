"""Update rules for JAX: optax's numbers, states that are values, selections, strictness."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import chainrule
from chainrule import _core, optimizer_hooks, optimizers, schedules
from chainrule.arrays import attach

jax = pytest.importorskip("jax", reason="chainrule.jax is for those who have JAX")
jnp = jax.numpy
transformation = chainrule.jax.transformation


def tree(seed: int, dtype=jnp.float32):
    """Parameters, or gradients, of several shapes in dicts and lists."""
    rng = np.random.default_rng(seed)
    shapes = {"layers": [{"w": (4, 3), "b": (4,)} for _ in range(11)], "scale": ()}
    return jax.tree_util.tree_map(
        lambda shape: jnp.asarray(rng.standard_normal(shape), dtype),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )


def apply(params, updates):
    return jax.tree_util.tree_map(lambda p, u: p + u, params, updates)


def bits(tree) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree_util.tree_leaves(tree)]


def trained(tx, steps: int, jit: bool = False):
    params = tree(0)
    state = tx.init(params)
    update = jax.jit(tx.update) if jit else tx.update
    for step in range(steps):
        updates, state = update(tree(100 + step), state, params)
        params = apply(params, updates)
    return params, state


def same_as_optax(ours, theirs, tolerance: float = 2e-6) -> None:
    for mine, other in zip(*map(jax.tree_util.tree_leaves, (ours, theirs)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


PAIRS = {
    "SGD": (lambda: optimizers.SGD(lr=0.1), lambda o: o.sgd(0.1)),
    "MomentumSGD": (
        lambda: optimizers.MomentumSGD(lr=0.01, momentum=0.8),
        lambda o: o.sgd(0.01, momentum=0.8),
    ),
    "Lion": (
        lambda: optimizers.Lion(lr=1e-3, weight_decay=0.1),
        lambda o: o.lion(1e-3, b1=0.9, b2=0.99, weight_decay=0.1),
    ),
    # chainrule's eps stands where Chainer's does, which is elsewhere; the decay is not times alpha.
    "AdamW": (
        lambda: optimizers.AdamW(alpha=1e-2, eps=1e-20, weight_decay_rate=1e-4),
        lambda o: o.adamw(1e-2, eps=1e-20, weight_decay=1e-2),
    ),
    "Adamax": (
        lambda: optimizers.Adamax(alpha=1e-2, eps=1e-8),
        lambda o: o.adamax(1e-2, eps=1e-8),
    ),
    "LAMB": (lambda: optimizers.LAMB(alpha=1e-2), lambda o: o.lamb(1e-2)),
    "schedule": (
        lambda: optimizers.SGD(lr=schedules.cosine(0.1, 0.0, 40)),
        lambda o: o.sgd(o.cosine_decay_schedule(0.1, 40)),
    ),
    "decay and clipping": (
        lambda: optimizers.SGD(lr=0.1),
        lambda o: o.chain(o.add_decayed_weights(0.1), o.clip(0.5), o.sgd(0.1)),
    ),
    "clipping of the norm": (
        lambda: optimizers.SGD(lr=0.1),
        lambda o: o.chain(o.clip_by_global_norm(0.5), o.sgd(0.1)),
    ),
}


HOOKS = {
    "decay and clipping": (
        optimizer_hooks.WeightDecay(0.1),
        optimizer_hooks.GradientHardClipping(-0.5, 0.5),
    ),
    "clipping of the norm": (optimizer_hooks.GradientClipping(0.5),),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_numbers_are_those_of_optax(name, jit):
    optax = pytest.importorskip("optax", reason="compared with optax")
    ours, theirs = PAIRS[name]
    params, _ = trained(transformation(ours(), hooks=HOOKS.get(name, ())), 50, jit)
    expected, _ = trained(theirs(optax), 50, True)
    same_as_optax(params, expected)


def test_algorithms_side_by_side_are_those_of_optax():
    optax = pytest.importorskip("optax", reason="compared with optax")
    rules = {
        "/layers/*/w": optimizers.Lion(lr=1e-3),
        "/layers/3/w": {"lr": chainrule.inherit * 0.5},
        ("/layers/0/*", "/scale"): {"enabled": False},
    }
    params, _ = trained(transformation(optimizers.SGD(lr=0.1), rules), 50)
    label = {"layers": [{"w": "lion", "b": "sgd"} for _ in range(11)], "scale": "off"}
    label["layers"][0] = {"w": "off", "b": "off"}
    label["layers"][3] = {"w": "half", "b": "sgd"}
    theirs = optax.multi_transform(
        {
            "lion": optax.lion(1e-3, weight_decay=0.0),
            "half": optax.lion(5e-4, weight_decay=0.0),
            "sgd": optax.sgd(0.1),
            "off": optax.set_to_zero(),
        },
        label,
    )
    same_as_optax(params, trained(theirs, 50)[0])
    assert bits(params["layers"][0]) == bits(tree(0)["layers"][0])


def test_works_within_optax():
    optax = pytest.importorskip("optax", reason="compared with optax")

    @jax.jit
    def step(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    results = []
    for inner in (transformation(optimizers.SGD(lr=0.1)), optax.sgd(0.1)):
        tx = optax.chain(optax.clip_by_global_norm(1.0), inner)
        params = tree(0)
        state = tx.init(params)
        for count in range(5):
            params, state = step.__wrapped__(params, state, tree(count))
        results.append(params)
    same_as_optax(*results)


@pytest.mark.parametrize("name", _core.update_rules())
def test_bits_are_those_of_the_native_optimizer(name):
    """Every rule passes through a state: jit or not, the arrays are those of an own optimizer."""
    start = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    array = start.copy()
    native = attach({"w": array}, getattr(optimizers, name)())
    ends = []
    for jit in (False, True):
        tx = transformation(getattr(optimizers, name)())
        params = {"w": jnp.asarray(start)}
        state = tx.init(params)
        update = jax.jit(tx.update) if jit else tx.update
        array[...] = start
        if jit:
            native = attach({"w": array}, getattr(optimizers, name)())
        for step in range(5):
            gradient = np.random.default_rng(step).standard_normal((4, 3)).astype(np.float32)
            native.update({"w": gradient})
            updates, state = update({"w": jnp.asarray(gradient)}, state, params)
            # What the rule computed; the sum may be rounded, so the next step begins from it.
            np.testing.assert_allclose(params["w"] + updates["w"], array, rtol=1e-6, atol=1e-7)
            params = {"w": jnp.asarray(array)}
        (rule,) = native.rules
        for key, value in (rule.state or {}).items():
            np.testing.assert_array_equal(state.rules["/w"][key], value)
        assert int(state.count) == 5
        ends.append(bits(state))
    assert ends[0] == ends[1]


def test_a_state_is_a_value():
    tx = transformation(optimizers.Prodigy(), {"/scale": optimizers.ScheduleFreeSGD()})
    params = tree(0)
    states, ends = [tx.init(params)], []
    before = bits(states[0])
    for step in range(4):
        updates, state = tx.update(tree(step), states[-1], params)
        states.append(state)
        ends.append(bits((updates, state)))
    # In any order, also after a new beginning.
    tx.init(tree(9))
    for step in (2, 0, 3, 1, 1):
        assert bits(tx.update(tree(step), states[step], params)) == ends[step]
    assert bits(states[0]) == before
    assert [int(state.count) for state in states] == [0, 1, 2, 3, 4]


def test_a_state_goes_through_scan_and_files(tmp_path):
    tx = transformation(optimizers.Adam(alpha=0.1), {"/*/b": {"enabled": schedules.after(2)}})
    params = {"l": {"w": jnp.ones((3, 2)), "b": jnp.ones(3)}}
    grads = jax.tree_util.tree_map(lambda p: jnp.stack([p * (i + 1) for i in range(4)]), params)

    def step(carry, gradient):
        params, state = carry
        updates, state = tx.update(gradient, state, params)
        return (apply(params, updates), state), updates["l"]["b"]

    start = (params, tx.init(params))
    end, moves = jax.lax.scan(step, start, grads)
    carry = start
    for index in range(4):
        carry, _ = step(carry, jax.tree_util.tree_map(lambda g: g[index], grads))  # noqa: B023
    assert bits(end) == bits(carry)
    assert np.asarray(moves != 0).all(axis=1).tolist() == [False, False, True, True]
    leaves, structure = jax.tree_util.tree_flatten(end)
    np.savez(tmp_path / "state.npz", *leaves)
    with np.load(tmp_path / "state.npz") as file:
        loaded = structure.unflatten([jnp.asarray(file[name]) for name in file.files])
    assert bits(step(loaded, params)[0]) == bits(step(end, params)[0])


def test_large_and_small_arrays_of_several_dtypes_under_jit():
    rng = np.random.default_rng(0)
    like = {
        "large": ((300, 70), jnp.float32),
        "small": [((3, 5), jnp.float32), ((7,), jnp.bfloat16), ((0, 2), jnp.float32)],
        "other": [((), jnp.float32), ((200, 300), jnp.bfloat16)],
    }
    params, grads = (
        jax.tree_util.tree_map(
            lambda about: jnp.asarray(rng.standard_normal(about[0]), about[1]),
            like,
            is_leaf=lambda x: isinstance(x, tuple),
        )
        for _ in range(2)
    )
    tx = transformation(optimizers.Adam())
    state = tx.init(params)
    expected = tx.update(grads, state, params)
    found = jax.jit(tx.update)(grads, state, params)
    assert bits(found) == bits(expected)
    assert jax.tree_util.tree_structure(found) == jax.tree_util.tree_structure(expected)
    shapes = [
        [leaf.shape for leaf in jax.tree_util.tree_leaves(each)] for each in (found, expected)
    ]
    assert shapes[0] == shapes[1]


def test_values_are_live_under_jit_too():
    optimizer = optimizers.SGD(lr=1.0)
    tx = transformation(optimizer)
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    update = jax.jit(tx.update)
    assert update(params, state, params)[0]["w"].tolist() == [-1, -1]
    optimizer.lr = 0.25
    assert update(params, state, params)[0]["w"].tolist() == [-0.25, -0.25]
    optimizer.observe(optimizer.rules["/w"], ["grad_norm"])
    jax.block_until_ready(update(params, state, params))
    (rule,) = optimizer.rules
    assert rule.statistics["grad_norm"] == pytest.approx(np.sqrt(2))
    assert optimizer.explain("/w", "lr") == "0.25, from the optimizer"


def test_rules_may_be_a_function():
    def rules(rules):
        (rules["/layers/**"] - rules["/layers/0/*"]).hyperparam.lr = 0.5
        rules.where(lambda path, param: param.ndim == 0).use(optimizers.Lion(lr=2.0))

    optimizer = optimizers.SGD(lr=1.0)
    params = tree(0)
    tx = transformation(optimizer, rules)
    updates, _ = tx.update(tree(1), tx.init(params), params)
    grads = tree(1)
    np.testing.assert_allclose(updates["layers"][0]["w"], -grads["layers"][0]["w"], rtol=1e-6)
    np.testing.assert_allclose(
        updates["layers"][10]["b"], -0.5 * grads["layers"][10]["b"], rtol=1e-5
    )
    np.testing.assert_allclose(abs(updates["scale"]), 2, rtol=1e-6)


class Sign(chainrule.UpdateRule):
    def init_state(self, param):
        self.state["count"] = np.zeros(1, np.int32)

    def update_core_cpu(self, param):
        self.state["count"] += 1
        param.array[...] -= self.state["count"] * np.sign(param.grad)


def test_rules_and_hooks_in_python_and_what_hooks_keep():
    def rules(rules):
        rules["/a"].use(Sign)
        rules["/b"].add_hook(optimizer_hooks.EMA(0.5))

    tx = transformation(optimizers.SGD(lr=0.5), rules)
    params = {"a": jnp.ones(2), "b": jnp.ones(2)}
    states = [tx.init(params)]
    grads = {"a": jnp.ones(2), "b": jnp.ones(2)}
    for step in range(3):
        updates, state = tx.update(grads, states[-1], params)
        states.append(state)
        assert updates["a"].tolist() == [-(step + 1)] * 2
    assert tx.update(grads, states[1], params)[0]["a"].tolist() == [-2, -2]
    averages = [state.rules["/b"]["EMA/average"][0].item() for state in states]
    assert averages == [1.0, 0.75, 0.625, 0.5625]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("state_dtype", [None, "int8"])
def test_half_precision(dtype, state_dtype):
    def rules(rules):
        rules.fp32_update = True
        rules.state_dtype = state_dtype
        rules.seed = 7

    tx = transformation(optimizers.Adam(alpha=0.01), rules)
    params, grads = ({"w": tree(seed)["layers"][0]["w"].astype(dtype)} for seed in (0, 1))
    states = [tx.init(params)]
    kept = states[0].rules["/w"]
    assert kept["master"].dtype == jnp.float32
    assert kept["m"].dtype == (state_dtype or "float32")
    ends = []
    for _ in range(3):
        updates, state = jax.jit(tx.update)(grads, states[-1], params)
        assert updates["w"].dtype == dtype
        states.append(state)
        ends.append(bits((updates, state)))
    assert bits(tx.update(grads, states[1], params)) == ends[1]


def test_single_arrays_and_other_containers():
    tx = transformation(optimizers.SGD(lr=1.0))
    updates, _ = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2))
    assert updates.tolist() == [-1, -1]
    optimizer = optimizers.SGD(lr=1.0)
    params = {"mlp/~/linear_0": {"w": jnp.ones(1)}, "t": (jnp.ones(1), None)}
    tx = transformation(optimizer)
    updates, _ = tx.update(params, tx.init(params), params)
    assert optimizer.rules.paths == ("/mlp/~/linear_0/w", "/t/0")
    assert updates["t"][1] is None


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"w": jnp.ones(2, jnp.int32)}, TypeError, r"\[jax\] /w: got int32, expected one of"),
        ({"w": 1.0}, TypeError, r"\[jax\] /w: got float, expected an array"),
        ({"w": jax.random.key(0)}, TypeError, r"\[jax\] /w: got key<fry>, expected an array"),
        ({"w": np.ones(2)}, TypeError, r"\[jax\] init: /w: got float64.* set jax_enable_x64"),
        ({}, ValueError, r"\[jax\] there are no arrays"),
        ({"a/b": jnp.ones(1), "a": {"b": jnp.ones(1)}}, ValueError, "/a/b: two parameters"),
        ({"a//b": jnp.ones(1)}, ValueError, "empty level"),
    ],
)
def test_parameters_that_are_refused(params, error, message):
    optimizer = optimizers.SGD()
    tx = transformation(optimizer, hooks=[optimizer_hooks.WeightDecay(0.1)])
    with pytest.raises(error, match=message):
        tx.init(params)
    assert optimizer.target is None
    state = tx.init({"w": jnp.ones(2)})  # nothing is left of the attempt
    tx.update({"w": jnp.ones(2)}, state, {"w": jnp.ones(2)})


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({"/v": {"lr": 1}}, KeyError, "no rule fits '/v'"),
        ({"/w": {"alpha": 1}}, AttributeError, "alpha"),
        ({"/w": 3}, TypeError, "int"),
        (lambda rules: rules["/w"].add_hook(optimizer_hooks.SAM(0.1)), TypeError, "SAM"),
    ],
)
def test_rules_that_are_refused(rules, error, message):
    optimizer = optimizers.SGD()
    tx = transformation(optimizer, rules, hooks=[optimizer_hooks.WeightDecay(0.1)])
    for _ in range(2):  # the second time as the first
        with pytest.raises(error, match=message):
            tx.init({"w": jnp.ones(2)})
    assert optimizer.target is None


def test_arguments_that_are_refused():
    for wrong in (optimizers.SGD, None):
        with pytest.raises(TypeError, match="expected an optimizer such as"):
            transformation(wrong)
    with pytest.raises(TypeError, match="rules: got list"):
        transformation(optimizers.SGD(), [])
    optimizer = optimizers.Adam()
    tx = transformation(optimizer)
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(2)}
    with pytest.raises(RuntimeError, match="call init first"):
        tx.update(params, None, params)
    with pytest.raises(TypeError, match="call init outside of jit"):
        jax.jit(tx.init)(params)
    state = tx.init(params)
    with pytest.raises(ValueError, match="set up already"):
        transformation(optimizer)
    with pytest.raises(ValueError, match="params are needed"):
        tx.update(params, state)
    with pytest.raises(ValueError, match=r"gradients of another structure: there is no '/W'"):
        tx.update({"W": params["w"], "b": params["b"]}, state, params)
    with pytest.raises(ValueError, match=r"gradients of another structure: .*/w are missing"):
        tx.update({"b": params["b"]}, state, params)
    with pytest.raises(ValueError, match=r"update: /b: got shape \(3,\), expected \(2,\)"):
        tx.update({"w": params["w"], "b": jnp.ones(3)}, state, params)
    with pytest.raises(TypeError, match=r"update: /b: got float16, expected float32"):
        tx.update({"w": params["w"], "b": jnp.ones(2, jnp.float16)}, state, params)
    with pytest.raises(ValueError, match=r"init: parameters of another structure"):
        tx.init({"b": params["b"]})
    other = transformation(optimizers.SGD()).init(params)
    with pytest.raises(ValueError, match=r"another algorithm's: got nothing, expected m, v"):
        tx.update(params, other, params)
    before = bits(state)
    optimizer.rules["/b"].on_nonfinite = "raise"
    with pytest.raises(ValueError, match="/b: the gradient is not finite"):
        tx.update({"w": params["w"], "b": jnp.array([1.0, jnp.nan])}, state, params)
    assert bits(state) == before
    assert int(tx.update(params, state, params)[1].count) == 1


def other_state(state, **arrays):
    return state._replace(rules={**state.rules, **arrays})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: None, TypeError, r"update: state: got NoneType, expected the Transformation"),
        (lambda s: (), TypeError, r"update: state: got tuple"),
        (
            lambda s: other_state(s, **{"/w": {"m": jnp.ones(1), "v": jnp.ones(2)}}),
            ValueError,
            r"/w: state 'm': got shape \(1,\), expected \(2,\)",
        ),
        (lambda s: other_state(s, **{"/v": {}}), ValueError, "other parameters: got /v too"),
        (
            lambda s: s._replace(numbers=s.numbers.astype(jnp.float32)),
            TypeError,
            r"state\.numbers: got float32, expected uint32",
        ),
        (lambda s: s._replace(numbers=s.numbers[:2]), ValueError, "another algorithm's"),
        (lambda s: s._replace(count=jnp.ones(2, int)), ValueError, r"state\.count: got shape"),
    ],
)
@pytest.mark.parametrize("jit", [False, True])
def test_states_that_are_refused(change, error, message, jit):
    tx = transformation(optimizers.Adam())
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    update = jax.jit(tx.update) if jit else tx.update
    with pytest.raises(Exception if jit else error, match=message):
        jax.block_until_ready(update(params, change(state), params))
    assert int(update(params, state, params)[1].count) == 1


def test_importing_chainrule_does_not_import_jax():
    program = "import sys, chainrule, chainrule.jax; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
