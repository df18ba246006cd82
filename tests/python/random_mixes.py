"""Random optimizers of everything that there is, and random training.

A mix is drawn as data. `Mix` makes a link and an optimizer of it, and `Mix.begin_step` brings them
from step to step, so that several of them go the same way. What an update has to come to is in
`one_by_one`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

import chainrule
from chainrule import optimizer_hooks, optimizers, schedules
from random_configurations import EXPRESSIONS, SWITCHES

SHAPES = ((), (0,), (1,), (5,), (2, 0), (3, 4), (4, 1), (2, 3, 4), (300,), (3, 3000), (40000,))
DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
HALVES = ("float16", "bfloat16")
LAYOUTS = ("C", "C", "F", "strided", "reversed")
#: Rules for whole tensors, which keep full states.
TENSOR = ("Muon", "Adafactor", "SOAP")
#: Rules whose update looks at the parameter; Cautious does not go with them.
READING = (
    "LAMB",
    "LARS",
    "Prodigy",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "StableAdamW",
    "Traced",
)
RATES = st.floats(1e-4, 0.1)
VALUES = RATES | EXPRESSIONS


@chainrule.elementwise_rule
def Traced(p, g, m, v, *, lr=0.01, beta=0.9, eps=1e-6, t):
    m = beta * m + (1 - beta) * g
    v = np.maximum(beta * v, abs(g))
    return p - lr * m / ((1 - beta**t) * (v + eps)), m, v


class Plain(chainrule.UpdateRule):
    """Momentum in NumPy, with a state of each kind."""

    def init_state(self, param):
        self.state["velocity"] = np.zeros(param.shape, param.dtype)
        self.state["sum"] = 0.0

    def update_core_cpu(self, param):
        self.state["velocity"] *= param.dtype.type(0.5)
        self.state["velocity"] += param.grad
        self.state["sum"] = float(self.state["sum"] + self.t)
        param.array -= param.dtype.type(self.hyperparam.lr) * self.state["velocity"]


class Derived(optimizers.adam.AdamRule):
    """A built-in rule with Python around it."""

    def update_core_cpu(self, param):
        super().update_core_cpu(param)
        param.array *= param.dtype.type(0.875)


class Halving:
    """A hook in Python for each parameter."""

    name, timing, call_for_each_param = "halving", "pre", True

    def __call__(self, rule, param):
        if param.grad is not None:
            param.grad *= param.dtype.type(0.5)


class Watching:
    """A hook in Python for the optimizer or one rule that changes nothing."""

    name, timing = "watching", "post"

    def __call__(self, *owners):
        pass


#: Rules that no plan can hold, and what the values of each fall back to.
OWN = {"Traced": Traced, "Plain": optimizers.SGD, "Derived": optimizers.Adam}
IN_PYTHON = ("Plain", "Derived")
NAMES = (*sorted(optimizers.__all__), *OWN)
#: What the rules of a mix are chosen from; of those with one estimate there are several at times.
POOLS = (NAMES, NAMES, NAMES, ("Prodigy", "Prodigy", "Prodigy", *NAMES), ("Prodigy", "Plain"))
#: What each hook is made of, from a number between 0 and 1.
HOOKS = {
    "WeightDecay": lambda x: optimizer_hooks.WeightDecay(x),
    "Lasso": lambda x: optimizer_hooks.Lasso(x / 4),
    "GradientHardClipping": lambda x: optimizer_hooks.GradientHardClipping(-x - 0.1, x),
    "GradientClipping": lambda x: optimizer_hooks.GradientClipping(x + 0.1),
    "GradientLARS": lambda x: optimizer_hooks.GradientLARS(weight_decay=x),
    "GradientNoise": lambda x: optimizer_hooks.GradientNoise(x),
    "EMA": lambda x: optimizer_hooks.EMA(x),
    "second EMA": lambda x: optimizer_hooks.EMA(1 - x),
    "Lookahead": lambda x: optimizer_hooks.Lookahead(x, 2),
    "Cautious": lambda x: optimizer_hooks.Cautious(),
    "SAM": lambda x: optimizer_hooks.SAM(x),
    "Halving": lambda x: Halving(),
    "Watching": lambda x: Watching(),
}
#: What may change between two steps.
KINDS = (
    *("value", "main", "parent", "enabled", "policies", "use"),
    *("value", "enabled", "array", "hook", "number", "state"),
)
#: Loss scaling: none, found by itself (its interval), or fixed.
SCALES = (1024.0, 3.0, 0.25, 1.0, 2.0**20)
SCALINGS = st.tuples(st.just("interval"), st.sampled_from([1, 2])) | st.tuples(
    st.just("scale"), st.sampled_from(SCALES)
)
#: Where gradients come from: whoever calls update, or a loss function, with what more.
SOURCES = ("given", "given", "loss", "scaled", "scaled", "sharp", "scaled and sharp")
ELEMENTWISE = ("WeightDecay", "Lasso", "GradientHardClipping")
NATIVE = (*ELEMENTWISE, "GradientClipping")


@dataclasses.dataclass
class Spec:
    """One parameter with its rule."""

    shape: tuple[int, ...]
    dtype: str
    layout: str
    grad_layout: str
    rule: str
    rate: float
    hooks: list[tuple[str, float]]
    policies: dict[str, Any]
    tied: bool


@dataclasses.dataclass
class Drawn:
    """A mix as data."""

    main: str
    rate: Any
    params: list[Spec]
    hooks: list[tuple[str, float]]
    #: Whether gradients come from a loss function, and how its loss is multiplied.
    lossfun: bool
    scaling: tuple[str, float] | None
    #: For each step: changes, places without a gradient, places and values that are not finite.
    steps: list[tuple[list[tuple[Any, ...]], list[int], list[tuple[int, float]]]]


def fits(rule: str, spec: Spec) -> bool:
    """Whether a rule is for such a parameter."""
    return rule != "Muon" or (len(spec.shape) == 2 and 0 not in spec.shape)


def policies_of(rule: str) -> st.SearchStrategy[dict[str, Any]]:
    states = [None, "float32"] if rule in TENSOR else [None, "float32", "bfloat16", "int8"]
    return st.fixed_dictionaries(
        {},
        optional={
            "fp32_update": st.booleans(),
            "state_dtype": st.sampled_from(states),
            "rounding": st.sampled_from(["nearest", "stochastic"]),
            "on_nonfinite": st.sampled_from(["skip_param", "skip_param", "skip_step", "raise"]),
            "missing_grad": st.sampled_from(["skip", "zero", "zero", "raise"]),
        },
    )


@st.composite
def specs(draw: Any, lossfun: bool, pool: tuple[str, ...]) -> Spec:
    spec = Spec(
        draw(st.sampled_from(SHAPES)),
        draw(st.sampled_from(list(DTYPES))),
        draw(st.sampled_from(LAYOUTS)),
        draw(st.sampled_from(LAYOUTS)),
        "",
        draw(RATES),
        [],
        {},
        draw(st.booleans()),
    )
    spec.rule = draw(st.sampled_from([name for name in pool if fits(name, spec)]))
    # The optimizer's own hooks on weights keep their arrays by the same names.
    known = [name for name in HOOKS if name not in ("EMA", "Cautious")]
    if not lossfun:
        known.remove("SAM")
    if spec.rule not in (*READING, *IN_PYTHON):
        known.append("Cautious")
    spec.hooks = draw(hooks_of(known))
    spec.policies = draw(policies_of(spec.rule))
    return spec


def hooks_of(known: list[str]) -> st.SearchStrategy[list[tuple[str, float]]]:
    pair = st.tuples(st.sampled_from(known), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    return st.lists(pair, max_size=3, unique_by=lambda hook: hook[0])


@st.composite
def mixes(draw: Any, most_params: int = 5, most_steps: int = 5) -> Drawn:
    count = draw(st.integers(1, most_params))
    source = draw(st.sampled_from(SOURCES))
    lossfun = source != "given"
    scaling = draw(SCALINGS) if "scaled" in source else None
    pool = draw(st.sampled_from(POOLS))
    params = [draw(specs(lossfun, pool)) for _ in range(count)]
    known = [name for name in HOOKS if name not in ("second EMA", "Lookahead", "Cautious")]
    known.remove("SAM")
    hooks = draw(hooks_of(known))
    if "sharp" in source:
        hooks.insert(draw(st.integers(0, len(hooks))), ("SAM", draw(st.floats(0.01, 1))))
    if any(spec.dtype in HALVES for spec in params):
        # Several hooks that work in memory round a half-precision gradient several times, where
        # the sweep does once. Dividing by the loss scale is one of them.
        natives = [hook for hook in hooks if hook[0] in NATIVE]
        hooks = [hook for hook in hooks if hook not in natives[not lossfun :]]
    places = st.integers(0, count - 1)

    def change() -> tuple[Any, ...]:
        i = draw(places)
        kind = draw(st.sampled_from((*KINDS, "scaling") if lossfun else KINDS))
        spec = params[i]
        return (
            kind,
            i,
            {
                "value": lambda: draw(VALUES),
                "main": lambda: draw(RATES),
                "parent": lambda: draw(RATES),
                "enabled": lambda: draw(SWITCHES),
                # What goes with all rules.
                "policies": lambda: draw(policies_of("Muon")),
                "use": lambda: draw(st.sampled_from([name for name in NAMES if fits(name, spec)])),
                "array": lambda: draw(st.sampled_from(LAYOUTS)),
                "hook": lambda: draw(st.sampled_from(["Halving", *ELEMENTWISE])),
                "number": lambda: draw(st.floats(0, 1)),
                "scaling": lambda: draw(SCALINGS),
                "state": lambda: None,
            }[kind](),
        )

    steps = []
    for _ in range(draw(st.integers(1, most_steps))):
        changes = [change() for _ in range(draw(st.integers(0, 3)))]
        missing = draw(st.lists(places, max_size=2, unique=True))
        bad = draw(
            st.lists(st.tuples(places, st.sampled_from([np.inf, -np.inf, np.nan])), max_size=1)
            if draw(st.booleans())
            else st.just([])
        )
        steps.append((changes, missing, bad))
    main = draw(st.sampled_from(["SGD", "Adam", "RMSprop", "Traced"]))
    rate = draw(RATES | st.sampled_from([schedules.cosine(0.1, 0.01, 4), schedules.warmup(3, 0.1)]))
    return Drawn(main, rate, params, hooks, lossfun, scaling, steps)


def laid(values: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers in memory of another order."""
    values = np.array(values)
    if values.ndim == 0 or layout == "C":
        return values
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed":
        return values[::-1].copy()[::-1]
    wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
    wide[..., ::2] = values
    return wide[..., ::2]


def rate_name(hyperparam: Any) -> str:
    return next(name for name in ("alpha", "lr", "rho") if name in hyperparam.get_dict())


def new_rule(name: str, rate: float) -> chainrule.UpdateRule:
    """A rule whose values fall back to those of another optimizer."""
    optimizer = OWN[name]() if name in OWN else getattr(optimizers, name)()
    setattr(optimizer.hyperparam, rate_name(optimizer.hyperparam), rate)
    if name in IN_PYTHON:
        return {"Plain": Plain, "Derived": Derived}[name](optimizer.hyperparam)
    return optimizer.create_update_rule()


class Loss:
    """A loss with given gradients."""

    def __init__(self, mix: Mix) -> None:
        self._mix = mix

    def backward(self, loss_scale: float | None = None) -> None:
        mix = self._mix
        mix.seen.append([param.array.copy() for param in mix.params()])
        for i, param in enumerate(mix.params()):
            param.grad = mix.gradient(i, loss_scale)


class Mix:
    """A link and its optimizer, made as drawn.

    Args:
        drawn: What to make.
        bare: Whether only the parameters are made, with other values, as for a file to be loaded.

    Attributes:
        seen: For each call of the loss function in this step, the parameters that it saw.
    """

    seen: list[list[np.ndarray]]

    def __init__(self, drawn: Drawn, bare: bool = False) -> None:
        np.random.seed(11 if bare else 7)
        self.drawn = drawn
        first, second = chainrule.Link(), chainrule.Link()
        for i, spec in enumerate(drawn.params):
            values = np.random.uniform(-1, 1, spec.shape).astype(DTYPES[spec.dtype])
            param = chainrule.Parameter(laid(values, spec.layout), name=f"p{i}")
            with first.init_scope():
                setattr(first, f"p{i}", param)
            if spec.tied:
                with second.init_scope():
                    setattr(second, f"tied{i}", param)
        self.target = chainrule.Chain(a=first, b=second)
        main = Traced if drawn.main == "Traced" else getattr(optimizers, drawn.main)
        self.optimizer = main().setup(self.target)
        self.step = 0
        if not bare:
            self._configure()

    def _configure(self) -> None:
        hyperparam = self.optimizer.hyperparam
        setattr(hyperparam, rate_name(hyperparam), self.drawn.rate)
        if self.drawn.scaling is not None:
            self._scale(*self.drawn.scaling)
        for name, number in self.drawn.hooks:
            self.optimizer.add_hook(HOOKS[name](number), name)
        for i, spec in enumerate(self.drawn.params):
            if spec.rule != self.drawn.main:
                self._use(i, spec.rule, spec.rate)
            rule = self.rule(i)
            for name, number in spec.hooks:
                rule.add_hook(HOOKS[name](number), name)
            for policy, value in spec.policies.items():
                setattr(rule, policy, value)

    def param(self, i: int) -> chainrule.Parameter:
        return getattr(self.target.a, f"p{i}")

    def params(self) -> list[chainrule.Parameter]:
        return [self.param(i) for i in range(len(self.drawn.params))]

    def rule(self, i: int) -> chainrule.UpdateRule:
        return self.param(i).update_rule

    def _use(self, i: int, name: str, rate: float) -> None:
        self.optimizer.rules[f"/a/p{i}"].use(lambda: new_rule(name, rate))

    def _scale(self, kind: str, number: float) -> None:
        self.optimizer.loss_scaling(**{kind: number})
        if kind == "interval":
            self.optimizer._loss_scale = 64.0  # as after a few updates

    def _change(self, kind: str, i: int, what: Any) -> None:
        rule = self.rule(i)
        rate = rate_name(rule.hyperparam)
        if kind == "value":
            setattr(rule.hyperparam, rate, what)
        elif kind == "main":
            setattr(self.optimizer.hyperparam, rate_name(self.optimizer.hyperparam), what)
        elif kind == "parent":
            setattr(rule.hyperparam.parent, rate, what)
        elif kind == "enabled":
            rule.enabled = what
        elif kind == "policies":
            for policy, value in what.items():
                setattr(rule, policy, value)
        elif kind == "use":
            if "Cautious" in rule.hooks:
                rule.remove_hook("Cautious")
            if what in TENSOR:
                rule.state_dtype = None
            self._use(i, what, self.drawn.params[i].rate)
        elif kind == "array":
            self.param(i).array = laid(self.param(i).array, what)
        elif kind == "hook":
            if what in rule.hooks:
                rule.remove_hook(what)
            elif what == "Halving" or "Cautious" not in rule.hooks:
                rule.add_hook(HOOKS[what](0.125), what)
        elif kind == "number":
            for hook in (*rule.hooks.values(), *self.optimizer._hookable.pre.values()):
                if hasattr(hook, "rate"):
                    hook.rate = what
                elif isinstance(hook, optimizer_hooks.SAM):
                    hook.rho = what
        elif kind == "scaling":
            self._scale(*what)
        elif rule.state is not None:  # a state in memory that the user has
            for name, state in rule.state.items():
                if np.ndim(state) and state.dtype != np.int8:
                    rule.state[name] = state * state.dtype.type(0.5)

    def begin_step(self) -> None:
        """Make the changes of the next step, and give gradients."""
        changes, missing, bad = self.drawn.steps[self.step]
        for each in changes:
            self._change(*each)
        self._missing, self._bad = missing, bad
        self.seen = []
        for i, param in enumerate(self.params()):
            param.cleargrad()
            if not self.drawn.lossfun:
                param.grad = self.gradient(i)
        self.step += 1

    def gradient(self, i: int, loss_scale: float | None = None) -> np.ndarray | None:
        """The gradient of a parameter in this step, as it is now; None if it has none."""
        if i in self._missing:
            return None
        spec, param = self.drawn.params[i], self.param(i)
        values = np.random.RandomState(100 * self.step + i).normal(size=spec.shape)
        for place, value in self._bad:
            if place == i and values.size:
                values.flat[-1] = value
        if self.drawn.lossfun:
            values = np.asarray(values + 0.25 * param.array.astype(np.float64))
            # Rounded before it is multiplied, so that halves of it lose nothing.
            values = values.astype(param.dtype) * param.dtype.type(loss_scale or 1.0)
        return laid(values.astype(param.dtype), spec.grad_layout)

    def update(self) -> None:
        """Update as a program does."""
        if self.drawn.lossfun:
            self.optimizer.update(lambda: Loss(self))
        else:
            self.optimizer.update()

    def pending(self) -> set[str]:
        """Names of parameters whose states the next update stores as another dtype.

        The policy was changed after the last one. Loading stores them so at once.
        """
        found = set()
        for param in self.params():
            rule = param.update_rule
            if rule._algorithm is None:
                continue
            state = rule.state or {}
            names = {state[n].dtype.name for n in rule._state_names if n in state}
            half = rule.fp32_update and param.dtype.itemsize == 2
            if names - {rule.state_dtype or ("float32" if half else param.dtype.name)}:
                found.add(param.name)
        return found

    def facts(self) -> dict[str, Any]:
        """Everything that an update changes, as bytes and numbers."""
        found: dict[str, Any] = {"t": self.optimizer.t, "scale": self.optimizer._loss_scale}
        for param in self.params():
            rule, name = param.update_rule, param.name
            found[f"{name} array"] = param.array.tobytes()
            found[f"{name} counts"] = (rule.t, rule.skipped, rule.enabled, param.frozen)
            found[f"{name} scalars"] = {
                k: np.float64(v).tobytes() for k, v in rule._scalars.items()
            }
            master = rule._master_copy
            if master is not None and np.array_equal(master, param.array.astype(np.float32)):
                master = None  # it says nothing
            found[f"{name} master"] = as_bytes(master)
            for key, state in (rule.state or {}).items():
                found[f"{name} state {key}"] = as_bytes(state)
            # Before the first update, arrays of hooks may be there, as copies of the parameter.
            for hook, arrays in rule._hook_states.items() if rule.t else ():
                for key, array in arrays.items():
                    found[f"{name} {hook} {key}"] = as_bytes(array)
            values = {k: v for k, v in rule.hyperparam.get_dict().items() if v is not None}
            found[f"{name} values"] = {k: np.float64(v).tobytes() for k, v in values.items()}
        return found


def as_bytes(value: Any) -> Any:
    array = np.asarray(value)
    return None if value is None else (array.dtype, array.shape, array.tobytes())


def different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What of the facts is not the same."""
    return [key for key in sorted({*one, *other}) if one.get(key, "") != other.get(key, "")]
