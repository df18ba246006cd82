"""Objects whose ``__init__`` has not run, of every class that C++ is behind: errors, no crashes."""

import contextlib
import faulthandler
import importlib
import pickle
import pkgutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

import chainrule
from chainrule import _core, functions, optimizers, schedules
from chainrule.optimizer import Hyperparameter


def classes():
    """Give the classes of the core and all of ours that are derived from them."""
    others = ("__main__", "libchainrule", "libchainrule_cuda", "torch", "jax")
    for module in pkgutil.iter_modules(chainrule.__path__):
        if module.name not in others:
            importlib.import_module(f"chainrule.{module.name}")
    found = [c for c in vars(_core).values() if type(c).__name__ == "pybind11_type"]
    for cls in found:  # grows
        found += [c for c in cls.__subclasses__() if c not in found]
    return found


def attempts(cls):
    """Read, set and call everything: each of a new object."""
    for name in dir(cls):
        # object.__reduce__, which nothing calls here, makes an object of pybind11's base class.
        if name in ("__class__", "__new__", "__reduce__"):
            continue
        yield lambda x, name=name: getattr(x, name)
        yield lambda x, name=name: setattr(x, name, None)
        yield lambda x, name=name: getattr(x, name)()
        yield lambda x, name=name: getattr(x, name)(None)


def use_everything():
    for cls in classes():
        print(cls.__module__, cls.__qualname__, flush=True)
        for attempt in attempts(cls):
            with contextlib.suppress(Exception):
                attempt(cls.__new__(cls))
        if cls.__module__ != "chainrule._core":
            continue
        for name, member in vars(cls).items():
            if isinstance(member, property):
                with pytest.raises(TypeError, match=f"before {cls.__name__}.__init__ ran"):
                    getattr(cls.__new__(cls), name)


@pytest.mark.slow
def test_nothing_crashes():
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    assert "chainrule._core Hyperparameter" in done.stdout
    assert "chainrule.optimizers.adam AdamRule" in done.stdout


@pytest.mark.parametrize(
    ("cls", "first"),
    [
        (Hyperparameter, lambda self: setattr(self, "lr", 0.1)),
        (Hyperparameter, repr),
        (chainrule.UpdateRule, lambda self: setattr(self.hyperparam, "lr", 0.1)),
        (chainrule.UpdateRule, lambda self: setattr(self, "t", 3)),
        (chainrule.UpdateRule, lambda self: setattr(self, "enabled", False)),
        (chainrule.Parameter, lambda self: setattr(self, "name", "x")),
        (chainrule.Parameter, lambda self: self.array),
        (chainrule.Variable, lambda self: -self),
    ],
)
def test_use_before_the_base_class_is_initialised(cls, first):
    class Mine(cls):
        def __init__(self):
            first(self)
            super().__init__()

    with pytest.raises(TypeError, match=r"\.__init__ ran: call super\(\).__init__\(\) first"):
        Mine()


def new(cls):
    return cls.__new__(cls)


@pytest.mark.parametrize(
    "use",
    [
        lambda link: functions.exp(new(chainrule.Variable)),
        lambda link: link.w.array * new(chainrule.Parameter),
        lambda link: setattr(link.w, "update_rule", new(type(link.w.update_rule))),
        lambda link: link.w.update_rule.update(new(chainrule.Parameter)),
        lambda link: new(type(link.w.update_rule)).update(link.w),
        lambda link: setattr(link.w.update_rule, "hyperparam", new(Hyperparameter)),
        lambda link: Hyperparameter(new(Hyperparameter)),
        lambda link: schedules.step + new(schedules.Expression),
        lambda link: setattr(link.w.update_rule.hyperparam, "lr", new(schedules.Expression)),
        lambda link: _core.UpdateTable(new(_core.Clock)),
    ],
)
def test_use_as_an_argument(use):
    link = chainrule.Link(w=2)
    link.w.array[:] = 0
    optimizer = optimizers.SGD(lr=0.1).setup(link)
    link.w.grad = np.ones(2, np.float32)
    with pytest.raises(TypeError, match=r"\.__init__ ran"):
        use(link)
    optimizer.update()
    np.testing.assert_array_equal(link.w.array, np.float32(-0.1))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_all_protocols(protocol):
    hyperparam = Hyperparameter()
    hyperparam.lr = 0.5
    copied = pickle.loads(pickle.dumps(hyperparam, protocol))
    assert copied.lr == 0.5
    link = chainrule.Link(w=2)
    optimizer = optimizers.Adam(alpha=0.25).setup(link)
    assert pickle.loads(pickle.dumps(optimizer, protocol)).alpha == 0.25
    with pytest.raises(TypeError, match=r"cannot pickle .*Undo"):
        pickle.dumps(_core.Undo(), protocol)


def test_a_rule_whose_attributes_were_copied_is_refused():
    link = chainrule.Link(w=2)
    optimizers.SGD(lr=0.1).setup(link)
    rule = new(type(link.w.update_rule))
    vars(rule).update(vars(link.w.update_rule))
    with pytest.raises(TypeError, match=r"before UpdateRule.__init__ ran"):
        link.w.update_rule = rule


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    faulthandler.enable()
    use_everything()
