"""Random configurations of an optimizer's rules, and what to compare of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule
from chainrule import links as L
from chainrule import optimizer_hooks, optimizers, schedules

# Muon refuses vectors, of which the model has some.
NAMES = sorted(set(optimizers.__all__) - {"Muon"})
PATHS = ("/l1/W", "/l1/b", "/l2/W", "/l2/b")
RATES = st.floats(1e-6, 0.5) | st.sampled_from([np.float32(0.1), 1])
EXPRESSIONS = st.sampled_from(
    [
        schedules.inherit * 0.5,
        schedules.cosine(0.1, 0.05, 7),
        schedules.warmup(3, 0.01) * schedules.minimum(schedules.inherit, 0.25),
        schedules.piecewise([2, 5], [0.1, schedules.inherit, 0.03]),
    ]
)
OWN = RATES | EXPRESSIONS
SWITCHES = st.booleans() | st.sampled_from(
    [schedules.after(2), schedules.every(2), ~schedules.every(3), schedules.before(3)]
)


def make_net(seed: int = 0) -> chainrule.Chain:
    np.random.seed(seed)
    return chainrule.Chain(l1=L.Linear(2, 3), l2=L.Linear(3, 1))


def _hook(draw: Any) -> Any:
    rate = draw(st.floats(0, 1))
    return draw(
        st.sampled_from(
            [
                optimizer_hooks.WeightDecay(rate),
                optimizer_hooks.Lasso(rate),
                optimizer_hooks.GradientHardClipping(-rate, rate),
                optimizer_hooks.GradientClipping(rate + 0.1),
                optimizer_hooks.GradientLARS(weight_decay=rate),
            ]
        )
    )


@st.composite
def configurations(draw: Any) -> list[tuple[Any, ...]]:
    """A list of steps; `configure` carries them out."""
    steps: list[tuple[Any, ...]] = []
    paths = st.lists(st.sampled_from(PATHS), min_size=1, unique=True)
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["use", "rate", "hook", "enabled", "fp32", "main", "hook all"]))
        steps.append(
            {
                "use": lambda: ("use", draw(paths), draw(st.sampled_from(NAMES)), draw(RATES)),
                "rate": lambda: ("rate", draw(paths), draw(OWN)),
                "hook": lambda: ("hook", draw(paths), _hook(draw), draw(st.text("ab", min_size=1))),
                "enabled": lambda: ("enabled", draw(paths), draw(SWITCHES)),
                "fp32": lambda: ("fp32", draw(paths), draw(st.booleans())),
                "main": lambda: ("main", draw(RATES)),
                "hook all": lambda: ("hook all", _hook(draw), draw(st.text("ab", min_size=1))),
            }[kind]()
        )
    return steps


def rate_name(hyperparam: Any) -> str:
    return next(name for name in ("alpha", "lr", "rho") if name in hyperparam.get_dict())


def configure(optimizer: Any, steps: list[tuple[Any, ...]]) -> None:
    for kind, *arguments in steps:
        if kind == "main":
            setattr(optimizer.hyperparam, rate_name(optimizer.hyperparam), arguments[0])
            continue
        if kind == "hook all":
            if arguments[1] not in {**optimizer._hookable.pre, **optimizer._hookable.post}:
                optimizer.add_hook(arguments[0], arguments[1])
            continue
        selection = optimizer.rules[arguments[0]]
        if kind == "use":
            other = getattr(optimizers, arguments[1])()
            setattr(other.hyperparam, rate_name(other.hyperparam), arguments[2])
            selection.use(other)
        elif kind == "rate":
            for rule in selection:
                rule.hyperparam._set(rate_name(rule.hyperparam), arguments[1], "a test")
        elif kind == "hook":
            if not any(arguments[2] in rule.hooks for rule in selection):
                selection.add_hook(arguments[1], arguments[2])
        elif kind == "enabled":
            selection.enabled = arguments[1]
        else:
            selection.fp32_update = arguments[1]


def _hooks(owner: Any) -> list[Any]:
    return [
        (timing, name, type(hook).__name__, dict(vars(hook)), numbers(hook))
        for timing in ("pre", "post")
        for name, hook in getattr(owner._hookable, timing).items()
    ]


def numbers(hook: Any) -> Any:
    return (hook._a, hook._b) if hasattr(hook, "_a") else None


def picture(optimizer: Any) -> Any:
    """What the configuration of an optimizer comes to, without asking the code under test."""
    shared: dict[int, int] = {}
    held = []

    def number(obj: Any) -> int:
        held.append(obj)  # so that no other object gets its id
        return shared.setdefault(id(obj), len(shared))

    def typed(values: dict[str, Any]) -> Any:
        return {name: (type(value), value) for name, value in values.items()}

    rules = {}
    for path, param in optimizer.target.namedparams():
        rule = param.update_rule
        rules[path] = rule and (
            type(rule),
            typed(rule.hyperparam.get_dict()),
            [
                (name, type(value), repr(value), origin)
                for name, value, origin in sorted(rule.hyperparam.__getstate__()[2], key=str)
            ],
            rule.hyperparam.parent is optimizer.hyperparam,
            number(rule.hyperparam.parent),
            rule.enabled,
            repr(rule._enabled_when),
            rule._enabled_origin,
            param.frozen,
            rule._fp32_update,
            _hooks(rule),
            [number(hook) for hook in rule.hooks.values()],
        )
    return typed(optimizer.hyperparam.get_dict()), _hooks(optimizer), rules


def train(optimizer: Any, steps: int, seed: int) -> None:
    random = np.random.RandomState(seed)
    for _ in range(steps):
        for param in optimizer.target.params():
            param.grad = random.normal(size=param.shape).astype(param.dtype)
        optimizer.update()


def everything(optimizer: Any) -> Any:
    """Parameters, states and counts, as bytes."""
    found: dict[str, Any] = {"t": optimizer.t}
    for path, param in optimizer.target.namedparams():
        rule = param.update_rule
        state = {} if rule is None or rule.state is None else dict(rule.state)
        found[path] = (
            param.array.tobytes(),
            None if rule is None else (rule.t, rule._scalars),
            {name: (array.dtype, array.tobytes()) for name, array in state.items()},
        )
    return found
