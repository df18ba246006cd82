"""Rules: what hooks, statistics, distinct values and many tensors cost, and sets of real models.

The sets of ResNet-50 (161 tensors, 25.6 million elements) and of BERT-base (199 tensors, 109.5
million) have the shapes of the models, random gradients, and a rate for each tensor. Next to
PyTorch, optax takes part where it is installed, and Chainer 7.8.1 where `--chainer` names a
Python that has it:

    python benchmarks/rules.py --chainer old/bin/python
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import pathlib
import statistics
import subprocess
import sys

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
import common
import torch
from chainrule import optimizer_hooks, optimizers
from shapes import bert_base, hidden, resnet50
from update import compiled, gradient, in_c, model, ours

LARGE = 25_000_000


def rate(i: int) -> float:
    return 1e-4 * (1 + i / 1000)


def ours_on(optimizer, shapes, muon=None):
    """A step of chainrule over parameters of these shapes, each with a rate of its own.

    Matrices get the optimizer ``muon``, if there is one.
    """
    link = chainrule.ChainList(*(chainrule.Link(w=shape) for shape in shapes))
    optimizer.setup(link)
    for i, (param, shape) in enumerate(zip(link.params(), shapes, strict=True)):
        param.array[...] = 0.02
        param.grad = gradient(shape)
        if muon and hidden(i, shape):
            param.update_rule = muon.create_update_rule()
            param.update_rule.hyperparam.lr = 10 * rate(i)
        else:
            param.update_rule.hyperparam.alpha = rate(i)
    return optimizer.update


def tensors(shapes):
    params = [torch.full(shape, 0.02, requires_grad=True) for shape in shapes]
    for param, shape in zip(params, shapes, strict=True):
        param.grad = torch.from_numpy(gradient(shape))
    return params


def theirs_on(make, shapes, **options):
    """The same with PyTorch: a group per tensor."""
    groups = [{"params": [p], "lr": rate(i)} for i, p in enumerate(tensors(shapes))]
    return make(groups, **options).step


def their_muon(shapes):
    """Muon for the matrices and AdamW for the rest, with PyTorch."""
    both = ([], [])
    for i, (param, shape) in enumerate(zip(tensors(shapes), shapes, strict=True)):
        matrix = hidden(i, shape)
        group = {"params": [param], "lr": 10 * rate(i) if matrix else rate(i)}
        both[not matrix].append(group)
    first, second = torch.optim.Muon(both[0]), torch.optim.AdamW(both[1], fused=True)
    return lambda: (first.step(), second.step())[0]


def optax_on(shapes):
    """The same with optax under jit: one AdamW, scaled tensor by tensor."""
    import jax
    import optax

    def scaled(updates):
        return [update * rate(i) for i, update in enumerate(updates)]

    transformation = optax.chain(
        optax.scale_by_adam(),
        optax.add_decayed_weights(0.01),
        optax.stateless(lambda updates, _: scaled(updates)),
        optax.scale(-1.0),
    )

    def step(params, state, grads):
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params = [jax.numpy.full(shape, 0.02) for shape in shapes]
    grads = [jax.numpy.asarray(gradient(shape)) for shape in shapes]
    now = {"state": (params, transformation.init(params))}
    compiled_step = jax.jit(step, donate_argnums=(0, 1))

    def run():
        now["state"] = jax.block_until_ready(compiled_step(*now["state"], grads))

    return run


CHAINER = r"""
import json, sys, time
import chainer, numpy as np
shapes = json.load(sys.stdin)
model = chainer.ChainList(*[chainer.Link() for _ in shapes])
for i, (link, shape) in enumerate(zip(model, shapes)):
    with link.init_scope():
        link.w = chainer.Parameter(np.full(shape, 0.02, "f"))
optimizer = chainer.optimizers.Adam(weight_decay_rate=0.01).setup(model)
for i, (param, shape) in enumerate(zip(model.params(), shapes)):
    param.grad = np.random.default_rng(0).standard_normal(tuple(shape), dtype="f")
    param.update_rule.hyperparam.alpha = 1e-4 * (1 + i / 1000)
seconds = []
for _ in range(8):
    start = time.perf_counter()
    optimizer.update()
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds[1:]))
"""


def chainer_on(python: str, shapes) -> common.Timing:
    """Time Chainer 7.8.1 in its own interpreter; it knows one thread only."""
    done = subprocess.run(
        [python, "-W", "ignore", "-c", CHAINER],
        input=json.dumps(shapes), capture_output=True, text=True, check=True,
    )  # fmt: skip
    low, median, high = statistics.quantiles(json.loads(done.stdout), n=4, method="inclusive")
    return common.Timing(median, (high - low) / 2)


def switch(turn_on, turn_off, on: str):
    """Give what turns something on before turns of one name, and off before others."""
    is_on = False

    def arrange(name: str) -> None:
        nonlocal is_on
        if is_on != (name == on):
            (turn_off if is_on else turn_on)()
            is_on = not is_on

    return arrange


def fused(name: str, step, turn_on, turn_off, reach: float) -> None:
    """Compare a step with something on and off, over the same arrays."""
    arrange = switch(turn_on, turn_off, "with")
    title = f"{name}, against without"
    common.compare(title, {"with": step, "without": step}, reach=reach, arrange=arrange)
    arrange("without")


def hooks():
    """One tensor with and without what is fused into its sweep."""
    for name in ("SGD", "Adam"):
        optimizer = getattr(optimizers, name)()
        step = ours(optimizer, 1, LARGE)
        for hook in (
            optimizer_hooks.WeightDecay(1e-4),
            optimizer_hooks.Lasso(1e-4),
            optimizer_hooks.GradientHardClipping(-1, 1),
        ):
            fused(
                f"{name}, 25 million floats, with {type(hook).__name__}",
                step,
                functools.partial(optimizer.add_hook, hook, "hook"),
                functools.partial(optimizer.remove_hook, "hook"),
                1.03,
            )
        fused(
            f"{name}, 25 million floats, with all statistics",
            step,
            optimizer.observe,
            functools.partial(optimizer.observe, None, ()),
            1.05,
        )


def clipping():
    """Clipping by the global norm reads the gradients once more, and nothing else."""
    optimizer = optimizers.Adam()
    step, params = model(optimizer, 1, LARGE)
    grads = torch.from_numpy(np.asarray(params[0].grad))
    hook = optimizer_hooks.GradientClipping(1.0)

    arrange = switch(
        functools.partial(optimizer.add_hook, hook, "hook"),
        functools.partial(optimizer.remove_hook, "hook"),
        "clipped",
    )
    common.compare(
        "Adam, 25 million floats, clipped by the global norm, against one reading and a step",
        {"clipped": step, "a reading, a step": lambda: (torch.sum(grads), step())},
        reach=1.05,
        arrange=arrange,
    )


def overhead():
    """What thousands of parameters cost beyond their memory."""
    flat = ours(optimizers.Adam(), 1, 2000 * 256)
    common.beyond(
        "Adam, 2,000 tensors of 256 floats, against one tensor: nothing changes",
        {"2,000 tensors": ours(optimizers.Adam(), 2000, 256, own_rates=True), "one": flat},
        reach=0.3e-3,
    )
    common.beyond(
        "the same, a schedule each: every value changes at every step",
        {"2,000 tensors": ours(optimizers.Adam(), 2000, 256, scheduled=True), "one": flat},
        reach=0.6e-3,
    )


def frozen_encoder():
    """A deep network of which only the last layer learns, against what it cannot do without."""
    batch = gradient((128, 512))
    labels = (np.arange(128) % 10).astype(np.int32)

    class Head(chainrule.Chain):
        def __init__(self):
            super().__init__()
            with self.init_scope():
                self.out = L.Linear(512, 10)

        def forward(self, x):
            return F.softmax_cross_entropy(self.out(x), labels)

    layers = [layer for _ in range(8) for layer in (L.Linear(512, 512), F.relu)]
    encoder = chainrule.Sequential(*layers)
    head = Head()
    whole = chainrule.Sequential(encoder.copy(), head.copy())
    both = optimizers.Adam().setup(whole)
    whole[0].disable_update()
    alone = optimizers.Adam().setup(head)

    def least():
        with chainrule.no_backprop_mode():
            features = encoder(batch)
        alone.update(head, features.array)

    common.compare(
        "9 layers of which the last one learns, against forward and the last layer",
        {"disabled": lambda: both.update(whole, batch), "forward, last layer": least},
        reach=1.05,
    )


def residual_network():
    shapes = resnet50()
    flat = (sum(int(np.prod(shape)) for shape in shapes),)
    common.compare(
        "Adam, ResNet-50: 161 tensors with 161 rates, against one tensor",
        {
            "chainrule": ours_on(optimizers.Adam(), shapes),
            "chainrule, one tensor": ours_on(optimizers.Adam(), [flat]),
            "PyTorch, fused": theirs_on(torch.optim.Adam, shapes, fused=True),
            "PyTorch, fused, one tensor": theirs_on(torch.optim.Adam, [flat], fused=True),
        },
        reach=1.05,
        seconds=2,
    )
    library = compiled()
    library.omp_set_num_threads(common.thread_count())
    step, params = model(optimizers.Adam(), 1, LARGE)
    step()
    common.compare(
        "the same against a loop in C over 25 million floats",
        {
            "chainrule": ours_on(optimizers.Adam(), shapes),
            "loop in C": in_c(library, params[0]),
        },
        reach=1.1 * flat[0] / LARGE,
        seconds=2,
    )


def transformer(chainer: str | None):
    shapes = bert_base()
    small = optimizers.AdamW()
    steps = {
        "chainrule": ours_on(optimizers.AdamW(weight_decay_rate=0.01), shapes),
        "PyTorch, fused": theirs_on(torch.optim.AdamW, shapes, fused=True),
        "PyTorch": theirs_on(torch.optim.AdamW, shapes),
    }
    if importlib.util.find_spec("optax"):
        steps["optax, jit"] = optax_on(shapes)
    timings = common.compare("AdamW, BERT-base: 199 tensors with 199 rates", steps, reach=1.0)
    if chainer:
        timing = chainer_on(chainer, shapes)
        ratio = timings["chainrule"].median / timing.median
        print(f"  Chainer 7.8.1, one thread  {timing}   ratio {ratio:.3g}")
    steps.clear()

    step = ours_on(small, shapes)
    small.rules.state_dtype = "int8"
    common.compare(
        "AdamW with states of 8 bits, BERT-base, against float32",
        {"int8": step, "float32": ours_on(optimizers.AdamW(), shapes)},
    )
    common.compare(
        "Muon in bfloat16 for matrices, AdamW for the rest, BERT-base",
        {
            "chainrule": ours_on(optimizers.AdamW(), shapes, optimizers.Muon(ns_bfloat16=True)),
            "PyTorch": their_muon(shapes),
            "chainrule, in float32": ours_on(optimizers.AdamW(), shapes, optimizers.Muon()),
        },
        reach=1.0,
    )


def main() -> None:
    """Run all of it, or what the command line names."""
    parts = {
        "hooks": hooks,
        "clipping": clipping,
        "overhead": overhead,
        "frozen": frozen_encoder,
        "resnet": residual_network,
        "bert": lambda: transformer(chainer),
    }
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--chainer", help="a Python that has Chainer 7.8.1")
    parser.add_argument("--only", choices=parts, nargs="+", default=list(parts))
    args, rest = parser.parse_known_args()
    chainer = args.chainer
    if chainer and not pathlib.Path(chainer).exists():
        parser.error(f"--chainer: no such file: {chainer}")
    sys.argv[1:] = rest
    common.main(lambda: [parts[name]() for name in args.only], __doc__)


if __name__ == "__main__":
    main()
