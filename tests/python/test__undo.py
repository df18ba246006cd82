"""Updates in which Python code raises: all of the update, or nothing of it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers
from chainrule._undo import Undo, add_note
from small_links import make_link


class Stop(Exception):
    """What the tests' hooks raise."""


class Drift(chainrule.UpdateRule):
    """A rule in Python with states of every kind, which changes all it can before it raises."""

    raises = False

    def init_state(self, param):
        self.state["sum"] = np.zeros_like(param.array)
        self.state["seen"] = []

    def update_core_cpu(self, param):
        param.array -= param.grad
        param.grad *= 2
        self.state["sum"] += param.grad
        self.state["seen"].append(self.t)
        if self.raises:
            self.state["new"] = 1
            raise Stop


def facts(link) -> dict:
    """Everything that an update changes, copied."""
    found = {}
    for path, param in link.namedparams():
        rule = param.update_rule
        found[path] = (
            param.array.tobytes(),
            None if param.grad is None else param.grad.tobytes(),
            rule.t,
            rule._scalars,
            None
            if rule.state is None
            else {
                k: v.tobytes() if hasattr(v, "tobytes") else repr(v) for k, v in rule.state.items()
            },
        )
    return found


def make() -> tuple[chainrule.Link, chainrule.GradientMethod]:
    """Adam twice, float16 through a master copy, MSVAG (has scalars), a rule in Python."""
    link = make_link(a=(2, 3), b=2, c=4, d=3, e=2)
    rng = np.random.RandomState(0)
    optimizer = optimizers.Adam(alpha=0.1).setup(link)
    link.c.array = link.c.array.astype(np.float16)
    link.c.update_rule.use_fp32_update()
    link.d.update_rule = optimizers.MSVAG().create_update_rule()
    link.e.update_rule = Drift(optimizer.hyperparam)
    for param in link.params():
        param.grad = rng.normal(size=param.shape).astype(param.dtype)
    return link, optimizer


def stop_after(count: int, each: bool, spoil):
    """A hook that raises at its call of a number, after `spoil` has done its worst."""

    class Hook:
        name, timing, call_for_each_param = "stopper", "pre", each
        calls = 0

        def __call__(self, owner, param=None):
            self.calls += 1
            spoil(owner, param)
            if self.calls == count:
                raise Stop

    return Hook()


def spoil_all(owner, param):
    params = owner.target.params() if param is None else [param]
    for each in params:
        each.array[...] += 7
        each.grad[...] *= 3
        each.update_rule.t += 5
        for state in (each.update_rule.state or {}).values():
            if isinstance(state, np.ndarray):
                state[...] = 9


def exchange_all(owner, param):
    params = owner.target.params() if param is None else [param]
    for each in params:
        each.cleargrad()
        each.array = np.ones_like(each.array) * 5
        if isinstance(each.update_rule.state, dict):
            each.update_rule.state.clear()
        elif each.update_rule.state is not None:
            each.update_rule._clear_states()


@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("spoil", [spoil_all, exchange_all])
@pytest.mark.parametrize("place", ["optimizer", "each", "rule pre", "rule post"])
@pytest.mark.parametrize("chainer", [False, True])
def test_a_hook_that_raises_changes_nothing(place, spoil, steps_before, chainer):
    link, optimizer = make()
    optimizer.add_hook(optimizer_hooks.GradientClipping(0.5))
    with chainrule.using_config("chainer_semantics", chainer):
        for _ in range(steps_before):
            optimizer.update()
        hook = stop_after(4 if place == "each" else 1, place == "each", spoil)
        if place.startswith("rule"):
            link.d.update_rule.add_hook(hook, timing=place.removeprefix("rule "))
        else:
            optimizer.add_hook(hook)
        before, arrays = facts(link), [param.array for param in link.params()]
        with pytest.raises(Stop) as caught:
            optimizer.update()
        assert facts(link) == before
        assert optimizer.t == steps_before
        text = "\n".join(caught.value.__notes__)
        assert "stopped in the hook 'stopper'" in text
        assert "Adam: the update did not take place" in text
        if place != "optimizer":
            assert "/d" in text
        for param, array in zip(link.params(), arrays, strict=True):
            assert param.array is array or spoil is exchange_all
        # Without the hook it goes on as if nothing had been.
        if place.startswith("rule"):
            link.d.update_rule.remove_hook("stopper")
        else:
            optimizer.remove_hook("stopper")
        optimizer.update()
        other, undisturbed = make()
        undisturbed.add_hook(optimizer_hooks.GradientClipping(0.5))
        for _ in range(steps_before + 1):
            undisturbed.update()
    assert facts(link) == facts(other)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_rule_that_raises_changes_nothing(steps_before):
    link, optimizer = make()
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    for _ in range(steps_before):
        optimizer.update()
    before = facts(link)
    link.e.update_rule.raises = True
    with pytest.raises(Stop) as caught:
        optimizer.update()
    assert facts(link) == before
    assert optimizer.t == steps_before
    text = "\n".join(caught.value.__notes__)
    assert "stopped at /e, in its rule Drift" in text
    assert "did not take place" in text
    # The same for one parameter by itself.
    with pytest.raises(Stop) as caught:
        link.e.update()
    assert facts(link) == before
    assert "nothing was updated" in caught.value.__notes__[-1]
    link.e.update_rule.raises = False
    optimizer.update()
    assert facts(link) != before


def test_a_rule_that_raises_leaves_the_others_to_the_next_update():
    """What the sweep does comes last, whatever the order of the parameters."""
    link, optimizer = make()
    link.e.update_rule.raises = True
    seen = []
    link.b.update_rule.add_hook(lambda rule, param: seen.append(link.a.array.copy()), name="look")
    start = link.a.array.copy()
    with pytest.raises(Stop):
        optimizer.update()
    np.testing.assert_array_equal(seen, [start])
    np.testing.assert_array_equal(link.a.array, start)


@pytest.mark.parametrize("each", [False, True])
def test_after_a_post_hook_the_update_has_taken_place(each):
    link, optimizer = make()
    hook = stop_after(1, each, lambda owner, param: None)
    optimizer.add_hook(hook, timing="post")
    with pytest.raises(Stop) as caught:
        optimizer.update()
    text = "\n".join(caught.value.__notes__)
    assert "Adam: the update has taken place" in text
    assert "did not" not in text
    other, undisturbed = make()
    undisturbed.update()
    assert facts(link) == facts(other)
    assert optimizer.t == 1


@pytest.mark.parametrize("place", ["hook", "rule"])
@pytest.mark.parametrize("also", ["nothing", "gradients", "everything"])
def test_the_note_says_what_was_not_put_back(place, also):
    """Code on one rule is not expected to change others, which are not copied for it alone."""
    link, optimizer = make()
    if also == "gradients":
        optimizer.add_hook(optimizer_hooks.GradientNoise(1))
    elif also == "everything":
        optimizer.add_hook(lambda optimizer: None, "nothing")

    def spoil(rule, param):
        spoil_all(optimizer, None)
        raise Stop

    if place == "hook":
        link.d.update_rule.add_hook(spoil, "spoil")
    else:
        link.e.update_rule.update_core_cpu = lambda param: spoil(None, param)
    before = facts(link)
    with pytest.raises(Stop) as caught:
        optimizer.update()
    names = ("/d", "/e") if place == "hook" else ("/e",)
    after = facts(link)
    put_back = before if also == "everything" else {name: before[name] for name in names}
    assert {name: after[name] for name in put_back} == put_back
    note = f"but for what Python code on the rules of {', '.join(names)} wrote to other parameters"
    assert (note in caught.value.__notes__[-1]) == (after != before) == (also != "everything")
    # By itself a rule speaks for its own parameter.
    with pytest.raises(Stop) as caught:
        getattr(link, names[0][1:]).update()
    assert "parameter, gradient, state and count are as they were" in caught.value.__notes__[-1]


def test_a_keyboard_interrupt_is_no_exception():
    link, optimizer = make()
    before = facts(link)

    def interrupt(optimizer):
        spoil_all(optimizer, None)
        raise KeyboardInterrupt

    optimizer.add_hook(interrupt, name="interrupt")
    with pytest.raises(KeyboardInterrupt):
        optimizer.update()
    assert facts(link) == before


def test_a_gradient_that_was_none_is_none_again():
    link = make_link(w=2, v=2)
    optimizer = optimizers.SGD().setup(link)
    link.w.cleargrad()
    link.v.array = np.zeros(3, np.float32)  # the gradient no longer fits
    with (
        chainrule.using_config("chainer_semantics", True),
        pytest.raises(ValueError, match="/v: gradient of the wrong shape"),
    ):
        optimizer.update()
    assert link.w.grad is None


def test_hooks_before_rules_in_python_and_the_norm_of_all_gradients():
    """The sweep is cut in two around rules in Python; the norm is that of the whole."""
    results = []
    for in_python in (False, True):
        link = make_link(a=3, b=5, c=2)
        optimizer = optimizers.MomentumSGD(lr=0.1).setup(link)
        optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
        optimizer.add_hook(optimizer_hooks.GradientClipping(0.7))
        optimizer.add_hook(optimizer_hooks.Lasso(0.01))
        if in_python:
            link.b.update_rule.add_hook(lambda rule, param: None, name="nothing")
        for step in range(4):
            for number, param in enumerate(link.params()):
                param.grad = np.full_like(param.array, step + number - 2)
            optimizer.update()
        results.append([param.array for param in link.params()])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize("place", ["optimizer", "rule pre", "rule post", "own rule"])
@pytest.mark.parametrize("plain", [False, True])
def test_an_update_in_an_update_is_called_what_it_is(place, plain):
    link, optimizer = make()

    def again(owner, param=None):
        with pytest.raises(RuntimeError, match=r"got a call of averaged\(\) from one of its own"):
            optimizer.averaged().__enter__()
        if plain:  # the update in it would need no Python
            optimizer.rules.use(optimizers.SGD())
        optimizer.update()

    if place == "optimizer":
        optimizer.add_hook(again, "again")
    elif place == "own rule":
        link.e.update_rule.update_core_cpu = lambda param: again(None)
    else:
        link.d.update_rule.add_hook(again, "again", timing=place.removeprefix("rule "))
    before = facts(link)
    expected = (
        r"\[update\] .* updating: got a call of update\(\) from one of its own hooks or rules"
    )
    with pytest.raises(RuntimeError, match=expected) as caught:
        optimizer.update()
    assert "the update did not take place" in caught.value.__notes__[-1]
    assert plain or facts(link) == before


def test_undo_twice():
    link = make_link(w=2)
    rule = link.w.update_rule = Drift()
    rule.update(link.w)
    undo = Undo()
    undo.keep(link.w, rule)
    before = facts(link)
    for _ in range(2):
        rule.update(link.w)
        assert facts(link) != before
        undo.restore()
        assert facts(link) == before


def test_notes_stand_in_the_exception():
    error = ValueError("x")
    add_note(error, "one")
    add_note(error, "two")
    assert error.__notes__ == ["one", "two"]


def in_threads(*works) -> list[BaseException]:
    errors = []
    start = threading.Barrier(len(works))

    def run(work):
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("in_python", [False, True])
def test_optimizers_in_threads_of_their_own(in_python):
    """Rates, hooks and rules change all the time, in all of them; the values are those of one."""

    def work(results, seed):
        rng = np.random.RandomState(seed)
        link = make_link(a=300, b=1_200_000, c=(7, 9))
        optimizer = optimizers.Adam(alpha=0.1).setup(link)
        optimizer.add_hook(optimizer_hooks.GradientClipping(3))
        for step in range(12):
            optimizer.alpha = 0.1 / (1 + step)
            link.c.update_rule.hyperparam.alpha = 0.01 * step
            if step == 4:
                link.a.update_rule = optimizers.MomentumSGD().create_update_rule()
            if in_python and step % 3 == 1:
                link.a.update_rule.add_hook(lambda rule, param: None, name=f"none {step}")
            for param in link.params():
                param.grad = np.full(param.shape, rng.normal(), np.float32)
            optimizer.update()
        results.append([param.array for param in link.params()])

    alone, together = [], []
    for seed in range(3):
        work(alone, seed)
    found = [[] for _ in range(3)]
    assert not in_threads(*[lambda seed=seed: work(found[seed], seed) for seed in range(3)])
    together = [results[0] for results in found]
    for ours, expected in zip(together, alone, strict=True):
        for mine, its in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(mine, its)


@pytest.mark.slow
@pytest.mark.parametrize("in_python", [False, True])
def test_one_optimizer_in_two_threads(in_python):
    """Each call updates everything once or raises; the values are those of so many updates."""

    def start():
        link = make_link(a=30, b=3_000_000)
        optimizer = optimizers.MomentumSGD(lr=0.5).setup(link)
        for param in link.params():
            param.grad = np.full(param.shape, 2.0**-6, np.float32)
        if in_python:
            link.a.update_rule.add_hook(lambda rule, param: None, name="nothing")
        return link, optimizer

    link, optimizer = start()
    done, refused = [], []

    def work():
        for number in range(25):
            if number % 5 == 0:
                chainrule._core.structure_changed()  # makes the table be built anew
            try:
                optimizer.update()
            except RuntimeError as error:
                refused.append(str(error))
            else:
                done.append(1)

    assert not in_threads(work, work)
    assert all("updating in another thread" in text for text in refused)
    assert optimizer.t == link.a.update_rule.t == link.b.update_rule.t == len(done) > 0
    other, undisturbed = start()
    for _ in done:
        undisturbed.update()
    for ours, expected in zip(link.params(), other.params(), strict=True):
        np.testing.assert_array_equal(ours.array, expected.array)
