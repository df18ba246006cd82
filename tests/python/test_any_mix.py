"""Any mix of rules, dtypes, shapes, hooks, switches and schedules: the bits of the plain way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from chainrule import serializers
from one_by_one import one_by_one
from random_mixes import HOOKS, OWN, Drawn, Mix, different, mixes, new_rule
from thread_counts import threads

pytestmark = [
    # Some mixes diverge, alike on both sides.
    pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero):RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Non finite number found:UserWarning"),
]
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


class Run:
    """One way of training, with random numbers of its own."""

    def __init__(self, mix: Mix, count: int = 1) -> None:
        self.mix = mix
        self.threads = count
        self.random = np.random.get_state()

    def step(self, update) -> bool:
        """Update; tells whether that was refused, after which nothing has changed."""
        np.random.set_state(self.random)
        self.mix.begin_step()
        before = self.mix.facts()
        refused = None
        with threads(self.threads):
            try:
                update()
            except ValueError as error:
                refused = str(error)
        if refused is not None:
            assert different(before, self.mix.facts()) == [], f"changed in spite of: {refused}"
        self.random = np.random.get_state()
        return refused is not None


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(mixes())
def test_the_table_gives_the_bits_of_one_by_one(drawn: Drawn):
    one, two = Run(Mix(drawn)), Run(Mix(drawn), 2)
    plain = Run(Mix(drawn))
    assert different(one.mix.facts(), plain.mix.facts()) == []
    for step in range(len(drawn.steps)):
        refused = one.step(one.mix.update)
        factors, seen = one.mix.optimizer._table.norm_factors, one.mix.seen
        assume(not np.isnan(factors).any())  # all that they multiply is NaN
        assert two.step(two.mix.update) == refused
        assert plain.step(lambda: one_by_one(plain.mix, factors, seen)) == refused  # noqa: B023
        event("refused" if refused else "updated")
        assert different(one.mix.facts(), two.mix.facts()) == [], f"threads, step {step}"
        assert different(one.mix.facts(), plain.mix.facts()) == [], f"one by one, step {step}"


def saved(thing) -> io.BytesIO:
    file = io.BytesIO()
    serializers.save_npz(file, thing)
    file.seek(0)
    return file


def bare(mix: Mix) -> Mix:
    """A new program's model: rules and hooks of its own code stand in their places, no more."""
    fresh = Mix(mix.drawn, bare=True)
    for i, param in enumerate(fresh.params()):
        rule = mix.rule(i)
        name = type(rule).__name__.removesuffix("Rule")
        if name in OWN:
            param.update_rule = new_rule(name, 0.5)
        put_hooks(rule, param.update_rule)
    put_hooks(mix.optimizer, fresh.optimizer)
    fresh.step = mix.step
    return fresh


def put_hooks(source, target) -> None:
    for timing in ("pre", "post"):
        for name, hook in getattr(source._hookable, timing).items():
            if type(hook).__name__ in ("Halving", "Watching"):
                target.add_hook(HOOKS[name](0), name, timing)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(mixes(), st.data())
def test_an_interruption_changes_no_bit(drawn: Drawn, data):
    run = Run(Mix(drawn))
    at = data.draw(st.integers(0, len(drawn.steps)))
    for _ in range(at):
        run.step(run.mix.update)
    model, state = saved(run.mix.target), saved(run.mix.optimizer)
    fresh = bare(run.mix)
    serializers.load_npz(model, fresh.target)
    report = serializers.load_npz(state, fresh.optimizer)
    assert report.unfit == []
    resumed = Run(fresh)
    resumed.random = run.random
    assert different(run.mix.facts(), fresh.facts()) == [], "after loading"
    for step in range(at, len(drawn.steps)):
        refused = run.step(run.mix.update)
        assert resumed.step(fresh.update) == refused
        assert different(run.mix.facts(), fresh.facts()) == [], f"step {step}"
        assert states_of_hooks(run.mix) == states_of_hooks(fresh)


def states_of_hooks(mix: Mix) -> list[tuple[str, ...]]:
    return [tuple(rule.hooks) for rule in map(mix.rule, range(len(mix.drawn.params)))]
