"""Snapshots saved by Chainer, in ``snapshots/``, and what training makes of them next.

``snapshots.npz`` holds, for each optimizer of ``OPTIMIZERS``: the parameters at steps 3
and 6 as ``<optimizer>/step3/l1/W``, and the gradients that led from one to the other as
``<optimizer>/grad/step4/l1/W``; the batch ``x``, ``t`` gave all of them.
"""

from unittest import mock

import chainer
import chainer.functions as F
import chainer.links as L
import golden_cases as cases
import numpy as np
from chainer import optimizer_hooks, optimizers, serializers, training
from chainer.training import extensions
from golden_optimizers import TwoParameters, train

FOLDER = cases.HERE / "snapshots"
OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(alpha=0.01),
    "amsgrad": lambda: optimizers.AMSGrad(alpha=0.01),
    "momentum_sgd": lambda: optimizers.MomentumSGD(lr=0.05),
    "sgd": lambda: optimizers.SGD(lr=0.05),
}


class Mlp(chainer.Chain):
    """Two Linear layers and two persistent values, an array and a number."""

    def __init__(self, in_size=3):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(in_size, 4)
            self.l2 = L.Linear(4, 2)
        self.add_persistent("mean", np.array([0.25, -1.5, 3.0], np.float32))
        self.add_persistent("seen", 7)

    def forward(self, x):
        return self.l2(F.tanh(self.l1(x)))


class Tower(chainer.ChainList):
    """A ChainList with a Chain inside."""

    def __init__(self):
        super().__init__(L.Linear(3, 2), Mlp(), L.Linear(2, 2, nobias=True))


def batch():
    rng = np.random.RandomState(6)
    return cases.draw(rng, (5, 3), "float32"), np.array([0, 1, 1, 0, 1], np.int32)


def seeded(link):
    np.random.seed(0)
    return link()


def step(out, prefix, model, optimizer, number):
    x, t = batch()
    loss = F.softmax_cross_entropy(model(x), t)
    model.cleargrads()
    loss.backward()
    if number > 3:
        for path, param in model.namedparams():
            out[f"{prefix}/grad/step{number}{path}"] = param.grad.copy()
    optimizer.update()


def save(name, thing):
    serializers.save_npz(str(FOLDER / f"{name}.npz"), thing)


def save_links():
    for name, link in (
        ("mlp", Mlp),
        ("chain_list", Tower),
        ("sequential", lambda: chainer.Sequential(L.Linear(3, 4), F.relu, L.Linear(4, 2))),
        ("mlp_uninitialized", lambda: Mlp(None)),
        ("batch_normalization", lambda: L.BatchNormalization(3)),
    ):
        save(name, seeded(link))
    model = seeded(Mlp)
    serializers.save_npz(str(FOLDER / "mlp_uncompressed.npz"), model, compression=False)
    serializers.save_hdf5(str(FOLDER / "mlp.h5"), model)


def save_training(out):
    """Three steps, a snapshot of model and optimizer, three steps more."""
    for name, make_optimizer in OPTIMIZERS.items():
        model = seeded(Mlp)
        optimizer = make_optimizer().setup(model)
        optimizer.new_epoch()
        for number in range(1, 7):
            step(out, name, model, optimizer, number)
            if number in (3, 6):
                for path, param in model.namedparams():
                    out[f"{name}/step{number}{path}"] = param.array.copy()
            if number == 3:
                save(f"{name}_model", model)
                save(f"{name}_optimizer", optimizer)


def save_adam_partly_disabled():
    """A rule that never ran has no state: the snapshot then holds its ``t`` alone."""
    model = seeded(Mlp)
    optimizer = optimizers.Adam(alpha=0.01).setup(model)
    model.l1.disable_update()
    optimizer.add_hook(optimizer_hooks.WeightDecay(0.1))
    for number in range(1, 4):
        step({}, "", model, optimizer, number)
    save("adam_partly_disabled_optimizer", optimizer)


def save_trainer(out):
    """A whole trainer, two epochs in; parameters and log values after four."""
    x, t = batch()
    dataset = chainer.datasets.TupleDataset(x, t)
    model = L.Classifier(seeded(Mlp))
    optimizer = optimizers.Adam(alpha=0.01).setup(model)
    iterator = chainer.iterators.SerialIterator(dataset, 2, shuffle=False)
    updater = training.StandardUpdater(iterator, optimizer, device=-1)
    trainer = training.Trainer(updater, (4, "epoch"), out=str(FOLDER))
    trainer.extend(extensions.ExponentialShift("alpha", 0.5), trigger=(1, "epoch"))

    @training.make_extension(trigger=(1, "epoch"))
    def record(trainer):
        epoch = trainer.updater.epoch
        for path, param in model.namedparams():
            out[f"trainer/epoch{epoch}{path}"] = param.array.copy()
        out[f"trainer/epoch{epoch}/alpha"] = np.float64(optimizer.alpha)
        if epoch == 2:
            save("trainer", trainer)

    trainer.extend(record, name="record")
    with mock.patch("chainer.training.trainer._get_time", return_value=0.0):
        trainer.run()  # the snapshot holds the elapsed time; zero keeps the file the same


def save_rules():
    """One snapshot of each optimizer, of the two parameters of ``optimizers.npz``."""
    (FOLDER / "rules").mkdir(exist_ok=True)
    for case in cases.SNAPSHOT_RULES:
        class_name, kwargs = cases.OPTIMIZERS[case]
        target = TwoParameters("float32")
        optimizer = getattr(optimizers, class_name)(**kwargs).setup(target)
        train({}, "", optimizer, target, "float32", (cases.SNAPSHOT_STEP,))
        save(f"rules/{case.replace('/', '_')}", optimizer)


def make():
    """Writes ``snapshots/`` and gives all arrays of ``snapshots.npz``."""
    FOLDER.mkdir(exist_ok=True)
    x, t = batch()
    out = {"x": x, "t": t}
    save_links()
    save_rules()
    save_training(out)
    save_adam_partly_disabled()
    save_trainer(out)
    return out
