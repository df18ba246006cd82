"""Thousands of rules: their rows are planned and counted by several threads, with one's result."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule
from chainrule import optimizer_hooks, optimizers
from chainrule.schedules import cosine, every, step
from thread_counts import threads

COUNT = 1700  # more than one thread is given
MAKES = (
    lambda: optimizers.SGD(lr=0.1),
    lambda: optimizers.MomentumSGD(lr=0.05),
    lambda: optimizers.Adam(alpha=0.01),
    lambda: optimizers.AdaBound(alpha=0.01),
    lambda: optimizers.NAdam(alpha=0.01),
    lambda: optimizers.RMSprop(lr=0.01),
    lambda: optimizers.ScheduleFreeSGD(lr=0.1),
)


def dtype_of(i: int):
    return (np.float32, np.float64, np.float32, np.float16)[i % 4]


class Training:
    """A model of many small parameters, of which each is treated in another way."""

    def __init__(self) -> None:
        self.link = chainrule.Link()
        with self.link.init_scope():
            for i in range(COUNT):
                values = np.linspace(-1, 1, i % 9).astype(dtype_of(i))
                setattr(self.link, f"w{i:04}", chainrule.Parameter(values))
        self.params = [getattr(self.link, f"w{i:04}") for i in range(COUNT)]
        self.optimizer = optimizers.Adam(alpha=0.02).setup(self.link)
        for i, param in enumerate(self.params):
            if i % 3:
                param.update_rule = MAKES[i % len(MAKES)]().create_update_rule()
            self.treat(i, param.update_rule)
        self.optimizer.observe(self.optimizer.rules.where(lambda path, _: path.endswith("5")))
        self.random = np.random.RandomState(3)

    def treat(self, i: int, rule) -> None:
        rate = "alpha" if hasattr(rule.hyperparam, "alpha") else "lr"
        if i % 5 == 1:
            setattr(rule.hyperparam, rate, 0.01 * (1 + i / COUNT))
        if i % 5 == 2:
            setattr(rule.hyperparam, rate, cosine(0.01, 0.001, 20) * (1 + i / COUNT))
        if i % 11 == 3:
            rule.add_hook(optimizer_hooks.WeightDecay(0.01))
        if i % 13 == 4:
            rule.enabled = False
        if i % 17 == 5:
            rule.enabled = every(2)
        if i % 19 == 6:
            rule.on_nonfinite = "skip_param"
        if dtype_of(i) is np.float16 and i % 8 == 3:
            rule.use_fp32_update()

    def set_gradients(self, at: int) -> None:
        for i, param in enumerate(self.params):
            values = self.random.standard_normal(param.shape).astype(param.dtype)
            if i % 19 == 6 and at == 2 and values.size:
                values[0] = np.nan
            if i % 23 == at:
                param.cleargrad()
            elif i % 2 and param.grad is not None:
                param.grad[...] = values
            else:
                param.grad = values

    def change(self, at: int) -> None:
        """Do between updates what a user may do."""
        if at == 3:
            self.optimizer.alpha = 0.03
        if at == 4:
            for param in self.params[5::50]:
                param.update_rule.enabled = not param.update_rule.enabled
        if at == 5:
            for param in self.params[3::8]:
                param.update_rule.use_fp32_update(False)
        if at == 6:
            for param in self.params[::70]:
                param.array = param.array.astype(np.float64)
                param.cleargrad()
                param.update_rule = optimizers.SGD(lr=0.1).create_update_rule()
        if at == 7:
            for param in self.params[3::8]:
                param.update_rule.use_fp32_update()

    def run(self, steps: int) -> None:
        for at in range(steps):
            self.change(at)
            self.set_gradients(at)
            self.optimizer.update()

    def everything(self):
        for param in self.params:
            rule = param.update_rule
            yield param.array.tobytes(), rule.t, rule.enabled, rule.skipped
            for name, state in sorted((rule.state or {}).items()):
                yield name, np.asarray(state).tobytes()
            yield {k: np.float64(v).tobytes() for k, v in dict(rule.statistics or {}).items()}


def trained(count: int, steps: int = 10) -> list:
    with threads(count):
        training = Training()
        training.run(steps)
        return list(training.everything())


def test_threads_plan_and_count_as_one_does():
    expected = trained(1)
    assert len({entry for entry in expected if isinstance(entry, tuple)}) > COUNT
    for count in (2, 3):
        assert trained(count) == expected


def test_the_first_error_in_order_is_raised_and_nothing_changes():
    with threads(2):
        training = Training()
        training.run(3)
        for i in (1600, 100, 1000):
            param = training.params[i]
            param.update_rule = optimizers.SGD().create_update_rule()
            param.update_rule.hyperparam.lr = 0.1 / (4 - step)
            param.update_rule.enabled = True
        training.set_gradients(40)
        training.optimizer.update()
        before = list(training.everything())
        training.set_gradients(40)
        for i in (100, 1000, 1600):
            with pytest.raises(ValueError, match=rf"/w{i:04}: hyperparameter 'lr' of SGD is not"):
                training.optimizer.update()
            assert list(training.everything()) == before
            training.params[i].update_rule.hyperparam.lr = 0.1
        training.optimizer.update()
        assert list(training.everything()) != before
