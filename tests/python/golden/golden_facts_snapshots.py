"""Facts about snapshots, for ``behaviour.json``; reads what golden_snapshots wrote."""

import io

import golden_cases
import golden_snapshots
import numpy as np
from chainer import optimizers, serializers
from golden_facts_objects import Outer


def fact_snapshot_keys():
    """Sorted: the order inside a file follows Python's string hashes."""
    facts = {}
    for path in sorted(golden_snapshots.FOLDER.glob("*.npz")):
        with np.load(path, allow_pickle=True) as archive:
            facts[path.stem] = {
                key: [archive[key].dtype.str, list(archive[key].shape)]
                for key in sorted(archive.files)
            }
    buffer = io.BytesIO()
    serializers.save_npz(buffer, Outer())
    buffer.seek(0)
    facts["nested_chains"] = sorted(np.load(buffer).files)
    return facts


def fact_snapshot_loading():
    folder = golden_snapshots.FOLDER
    model = golden_snapshots.Mlp(None)
    serializers.load_npz(str(folder / "mlp.npz"), model)
    facts = {
        "lazy_parameter_gets_its_shape": list(model.l1.W.shape),
        "number_comes_back_as": [type(model.seen).__name__, int(model.seen)],
    }
    serializers.load_npz(str(folder / "mlp_uninitialized.npz"), model)
    facts["none_over_initialized_keeps_shape"] = (
        None if model.l1.W.array is None else list(model.l1.W.shape)
    )
    momentum = optimizers.MomentumSGD(lr=0.3).setup(golden_snapshots.Mlp())
    serializers.load_npz(str(folder / "momentum_sgd_optimizer.npz"), momentum)
    facts["loaded_optimizer"] = {
        "t": int(momentum.t),
        "t_type": type(momentum.t).__name__,
        "epoch": int(momentum.epoch),
        "rule_t": int(momentum.target.l1.W.update_rule.t),
        "lr_is_not_loaded": momentum.lr,
        "state": sorted(momentum.target.l1.W.update_rule.state),
    }
    adam = optimizers.Adam().setup(golden_snapshots.Mlp())
    name = str(folder / "adam_partly_disabled_optimizer.npz")
    try:
        serializers.load_npz(name, adam)
    except KeyError as error:
        facts["missing_state_of_enabled_rule"] = ["KeyError", str(error)]
    adam = optimizers.Adam().setup(golden_snapshots.Mlp())
    adam.target.l1.disable_update()
    serializers.load_npz(name, adam)
    facts["missing_state_of_disabled_rule"] = adam.target.l1.W.update_rule.state
    target = golden_snapshots.Mlp()
    serializers.load_npz(str(folder / "trainer.npz"), target, path="updater/model:main/predictor/")
    facts["load_with_path_works"] = target.l1.W.array.shape == (4, 3)
    return facts


def fact_trainer_alpha():
    """Values a reader of ``snapshots/trainer.npz`` needs: alpha after 1, 2, 3, 4 epochs."""
    with np.load(golden_cases.HERE / "snapshots.npz") as archive:
        return [float(archive[f"trainer/epoch{epoch}/alpha"]) for epoch in (1, 2, 3, 4)]
