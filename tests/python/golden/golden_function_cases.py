"""What ``functions.npz`` holds: every case's inputs and the call it makes.

NumPy only: ``build(F)`` takes the functions module, Chainer's where the file is made and
the one under test in the tests.  A case is named ``function/variant``; a call takes a
mapping from input names to Variables.  ``softmax_cross_entropy`` takes its class weights
as an array, ``.array`` of the Variable.
"""

import golden_cases as cases
import numpy as np

#: ``numpy.random.seed`` called right before every case (only dropout draws).
SEED = 0
#: Float inputs that are no part of the differentiation.
CONSTANT = {"soft_t", "soft_t4d", "class_weight", "class_weight3"}
#: Functions whose second gradients are recorded as well (float64 only), beside every
#: case named ``..._double_backprop``.
TWICE = {
    *("sigmoid_cross_entropy", "mean_squared_error", "huber_loss", "sigmoid", "tanh"),
    *("leaky_relu", "elu", "softplus", "clip", "absolute", "maximum", "minimum", "matmul"),
    *("log_softmax", "softmax", "logsumexp", "linear", "max", "min", "prod", "where"),
    *("pow", "exp", "log", "sqrt", "get_item", "normalize"),
}


def _call(function, /, *names, **kwargs):
    """Describes a call ``function(*inputs[names], **kwargs)``."""
    return lambda inputs: function(*(inputs[name] for name in names), **kwargs)


def arrays():
    """Named inputs, all float64 or int32; floats are cast to each tested dtype."""
    rng = np.random.RandomState(3)

    def floats(*shape):
        return cases.draw(rng, shape)

    ties = np.array([[1, 3, 3, 2], [2, 2, -1, 2], [0, 0, 0, 0]], np.float64)
    soft = np.abs(floats(6, 4)) + 0.25
    soft4d = np.abs(floats(2, 3, 2, 2)) + 0.25
    return {
        "x": floats(3, 4),
        "x2": floats(3, 4),
        "x3d": floats(2, 3, 4),
        "big": floats(3, 4) * 40,
        "zeros": np.array([-1.5, -0.0, 0.0, 0.5, 1.0, 6.0, 20.0, -20.0]),
        "positive": np.abs(floats(3, 4)) + 0.5,
        "ties": ties,
        "ties2": np.array([[1, 2, 3, 2], [2, 3, -1, 1], [0, 0, 1, -1]], np.float64),
        "condition": np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]], bool),
        "logits": floats(6, 4),
        "t": np.array([2, 3, -1, 2, 0, -1], np.int32),
        "t_255": np.array([2, 3, 255, 2, 0, 255], np.int32),
        "t_all_ignored": np.full(6, -1, np.int32),
        "class_weight": np.array([0.5, 2.0, 1.0, 0.25]),
        "soft_t": soft / soft.sum(axis=1, keepdims=True),
        "logits4d": floats(2, 3, 2, 2),
        "t4d": np.array([[[0, 2], [-1, 1]], [[1, 1], [0, -1]]], np.int32),
        "class_weight3": np.array([0.5, 2.0, 1.0]),
        "soft_t4d": soft4d / soft4d.sum(axis=1, keepdims=True),
        "binary_t": np.array([[0, 1, -1, 1], [1, -1, -1, 0], [1, 1, 0, 0]], np.int32),
        "binary_t_all_ignored": np.full((3, 4), -1, np.int32),
        "labels": np.array([0, 3, 1], np.int32),
        "ties_labels": np.array([1, 0, 2], np.int32),
        "A": floats(2, 3, 4),
        "B": floats(2, 4, 5),
        "A_t": floats(2, 4, 3),
        "B_t": floats(2, 5, 4),
        "vector": floats(4),
        "W": floats(5, 4),
        "b": floats(5),
        "W12": floats(5, 12),
        "one_row": floats(1, 4),
    }


def build(F):
    """Case name -> call, with the functions taken from the module ``F``."""
    calls = {}

    def add(case, function, *names, **kwargs):
        calls[case] = _call(function, *names, **kwargs)

    _add_losses(F, add, calls)
    _add_elementwise(F, add)
    _add_reductions(F, add)
    _add_shapes(F, add, calls)
    _add_products(F, add)
    return calls


def _add_losses(F, add, calls):
    name = "softmax_cross_entropy"
    for tail, double in (("", False), ("_double_backprop", True)):
        base = {"enable_double_backprop": double}
        for reduce in ("mean", "no"):
            for normalize in (True, False):
                keys = {"reduce": reduce, "normalize": normalize, **base}
                label = f"{reduce}_{'normalize' if normalize else 'batch'}{tail}"
                add(f"{name}/2d_{label}", F.softmax_cross_entropy, "logits", "t", **keys)
                add(f"{name}/4d_{label}", F.softmax_cross_entropy, "logits4d", "t4d", **keys)
            keys = {"reduce": reduce, **base}
            for dims, x, t, weight in (
                ("2d", "logits", "t", "class_weight"),
                ("4d", "logits4d", "t4d", "class_weight3"),
            ):
                calls[f"{name}/{dims}_class_weight_{reduce}{tail}"] = (
                    lambda v, x=x, t=t, weight=weight, keys=keys: F.softmax_cross_entropy(
                        v[x], v[t], class_weight=v[weight].array, **keys
                    )
                )
        add(
            f"{name}/ignore_255{tail}",
            F.softmax_cross_entropy,
            "logits",
            "t_255",
            ignore_label=255,
            **base,
        )
        add(f"{name}/all_ignored{tail}", F.softmax_cross_entropy, "logits", "t_all_ignored", **base)
    add(f"{name}/no_cache", F.softmax_cross_entropy, "logits", "t", cache_score=False)
    for loss in ("cross-entropy", "kl-divergence"):
        for reduce in ("mean", "no"):
            keys = {"soft_target_loss": loss, "reduce": reduce}
            label = f"{loss.split('-')[0]}_{reduce}"
            add(f"{name}/soft_2d_{label}", F.softmax_cross_entropy, "logits", "soft_t", **keys)
    for loss in ("cross-entropy", "kl-divergence"):
        keys = {"soft_target_loss": loss, "reduce": "mean"}
        label = f"{loss.split('-')[0]}_mean"
        add(f"{name}/soft_4d_{label}", F.softmax_cross_entropy, "logits4d", "soft_t4d", **keys)

    name = "sigmoid_cross_entropy"
    for normalize in (True, False):
        label = "normalize" if normalize else "batch"
        add(f"{name}/{label}", F.sigmoid_cross_entropy, "x", "binary_t", normalize=normalize)
    add(f"{name}/no", F.sigmoid_cross_entropy, "x", "binary_t", reduce="no")
    add(f"{name}/big", F.sigmoid_cross_entropy, "big", "binary_t")
    add(f"{name}/all_ignored", F.sigmoid_cross_entropy, "x", "binary_t_all_ignored")

    add("mean_squared_error/2d", F.mean_squared_error, "x", "x2")
    add("mean_absolute_error/2d", F.mean_absolute_error, "ties", "ties2")
    add("squared_error/2d", F.squared_error, "x", "x2")
    add("absolute_error/2d", F.absolute_error, "ties", "ties2")
    for reduce in ("sum_along_second_axis", "no"):
        add(f"huber_loss/{reduce}", F.huber_loss, "x", "x2", delta=0.75, reduce=reduce)
    for norm in ("L1", "L2"):
        for reduce in ("mean", "no"):
            add(f"hinge/{norm}_{reduce}", F.hinge, "x", "labels", norm=norm, reduce=reduce)
    add("accuracy/plain", F.accuracy, "x", "labels")
    add("accuracy/ignore", F.accuracy, "logits", "t", ignore_label=-1)
    add("accuracy/all_ignored", F.accuracy, "logits", "t_all_ignored", ignore_label=-1)
    add("accuracy/4d_ignore", F.accuracy, "logits4d", "t4d", ignore_label=-1)
    add("accuracy/ties", F.accuracy, "ties", "ties_labels")
    add("binary_accuracy/ignore", F.binary_accuracy, "x", "binary_t")


def _add_elementwise(F, add):
    for name in ("relu", "sigmoid", "tanh", "leaky_relu", "elu", "softplus", "absolute", "sign"):
        add(f"{name}/zeros", getattr(F, name), "zeros")
    for name in ("hard_sigmoid", "selu", "floor", "clipped_relu"):
        add(f"{name}/zeros", getattr(F, name), "zeros")
    add("relu6/zeros", F.relu6, "zeros")
    add("clipped_relu/z=1", F.clipped_relu, "zeros", z=1.0)
    add("leaky_relu/slope", F.leaky_relu, "zeros", slope=0.1)
    add("leaky_relu/negative_slope", F.leaky_relu, "zeros", slope=-0.5)
    add("elu/alpha", F.elu, "zeros", alpha=0.5)
    add("softplus/beta", F.softplus, "zeros", beta=2.5)
    add("softplus/big", F.softplus, "big")
    add("sigmoid/big", F.sigmoid, "big")
    add("clip/on_bounds", F.clip, "zeros", x_min=-1.5, x_max=1.0)
    add("maximum/ties", F.maximum, "ties", "ties2")
    add("minimum/ties", F.minimum, "ties", "ties2")
    add("where/plain", F.where, "condition", "x", "x2")
    add("where/broadcast", F.where, "condition", "x", "one_row")
    add("fmod/plain", F.fmod, "x", "positive")
    for name in ("exp", "log", "sqrt", "rsqrt", "log1p", "expm1", "square", "erf"):
        add(f"{name}/positive", getattr(F, name), "positive")
    add("swish_like/mul_sigmoid", lambda x: x * F.sigmoid(x), "x")
    add("pow/float", lambda x: x**1.5, "positive")
    add("pow/variables", lambda x, y: x**y, "positive", "x")
    add("pow/rpow", lambda x: 2.0**x, "x")
    add("dropout/seeded", F.dropout, "x", ratio=0.3)
    add("dropout/half", F.dropout, "x3d")


def _add_reductions(F, add):
    for axis in (0, 1, -1, (0, 1)):
        label = f"axis={axis}".replace(" ", "")
        for keepdims in (False, True):
            keys = {"axis": axis, "keepdims": keepdims}
            tail = f"{label}{'_keepdims' if keepdims else ''}"
            add(f"sum/{tail}", F.sum, "x3d", **keys)
            add(f"mean/{tail}", F.mean, "x3d", **keys)
            add(f"max/{tail}", F.max, "ties", **keys)
            add(f"min/{tail}", F.min, "ties", **keys)
    for name, source in (("sum", "x3d"), ("mean", "x3d"), ("max", "ties"), ("min", "ties")):
        add(f"{name}/all", getattr(F, name), source)
        add(f"{name}/all_keepdims", getattr(F, name), source, keepdims=True)
    for axis in (None, 0, 1, (0, 1)):
        label = f"axis={axis}".replace(" ", "")
        add(f"logsumexp/{label}", F.logsumexp, "x", axis=axis)
        add(f"prod/{label}", F.prod, "x", axis=axis)
    for axis in (0, 1, 2, -1):
        add(f"log_softmax/axis={axis}", F.log_softmax, "x3d", axis=axis)
        add(f"softmax/axis={axis}", F.softmax, "x3d", axis=axis)
    add("log_softmax/big", F.log_softmax, "big")
    add("logsumexp/big", F.logsumexp, "big", axis=1)
    add("argmax/ties", F.argmax, "ties", axis=1)
    add("argmin/ties", F.argmin, "ties", axis=1)
    add("average/axis=1", F.average, "x3d", axis=1)
    add("average/weights", lambda x, w: F.average(x, axis=1, weights=w), "x", "vector")
    add("cumsum/axis=1", F.cumsum, "x3d", axis=1)
    add("cumsum/flat", F.cumsum, "x")


def _add_shapes(F, add, calls):
    add("split_axis/sections", F.split_axis, "x3d", indices_or_sections=2, axis=2)
    add("split_axis/indices", F.split_axis, "x3d", indices_or_sections=(1, 3), axis=-1)
    add("split_axis/empty_part", F.split_axis, "x", indices_or_sections=(2, 2), axis=1)
    calls["split_axis/only_second_used"] = lambda v: F.split_axis(v["x"], 2, 1)[1]
    for axis in (0, 1):
        calls[f"concat/axis={axis}"] = lambda v, a=axis: F.concat((v["x"], v["x2"]), a)
    calls["concat/default"] = lambda v: F.concat((v["x"], v["x2"]))
    calls["concat/same_twice"] = lambda v: F.concat((v["x"], v["x"]), 0)
    for axis in (0, 1, -1):
        calls[f"stack/axis={axis}"] = lambda v, a=axis: F.stack((v["x"], v["x2"]), a)
    calls["vstack/plain"] = lambda v: F.vstack((v["x"], v["x2"]))
    calls["hstack/plain"] = lambda v: F.hstack((v["x"], v["x2"]))
    calls["separate/axis=1"] = lambda v: F.separate(v["x"], axis=1)

    slices = {
        "int": 1,
        "slice": (slice(None), slice(1, 3)),
        "negative_step": (slice(None, None, -2),),
        "newaxis_ellipsis": (None, Ellipsis, 1),
        "list": [2, 0, 2],
        "two_lists": ([0, 2, 0], [1, 1, 1]),
        "bool_mask": np.array([True, False, True]),
    }
    for label, key in slices.items():
        calls[f"get_item/{label}"] = lambda v, key=key: F.get_item(v["x"], key)
    add("transpose/axes", F.transpose, "x3d", axes=(2, 0, 1))
    add("swapaxes/0_2", F.swapaxes, "x3d", axis1=0, axis2=2)
    add("rollaxis/2", F.rollaxis, "x3d", axis=2)
    add("reshape/minus_one", F.reshape, "x3d", shape=(4, -1))
    add("expand_dims/1", F.expand_dims, "x", axis=1)
    add("squeeze/all", F.squeeze, "one_row")
    add("flip/1", F.flip, "x", axis=1)
    add("tile/2_1_2", F.tile, "x", reps=(2, 1, 2))
    add("repeat/3", F.repeat, "x", repeats=3, axis=0)
    add("pad/constant", F.pad, "x", pad_width=((1, 0), (2, 1)), mode="constant")
    add("broadcast_to/plain", F.broadcast_to, "one_row", shape=(3, 4))
    add("select_item/plain", F.select_item, "x", "labels")
    add("embed_id/ignore", F.embed_id, "t", "W", ignore_label=-1)
    add("embed_id/repeated", F.embed_id, "labels", "W")


def _add_products(F, add):
    for transa in (False, True):
        for transb in (False, True):
            label = f"transa={transa}_transb={transb}"
            left, right = ("A_t" if transa else "A"), ("B_t" if transb else "B")
            add(f"matmul/{label}", F.matmul, left, right, transa=transa, transb=transb)
    add("matmul/2d", F.matmul, "x", "W", transb=True)
    add("matmul/matrix_vector", F.matmul, "x", "vector")
    add("matmul/vector_vector", F.matmul, "vector", "vector")
    add("matmul/broadcast", F.matmul, "A", "W", transb=True)
    add("linear/plain", F.linear, "x", "W", "b")
    add("linear/nobias", F.linear, "x", "W")
    add("linear/flattens", F.linear, "x3d", "W12", "b")
    add("linear/n_batch_axes=2", F.linear, "x3d", "W", "b", n_batch_axes=2)
    add("normalize/axis=1", F.normalize, "x", axis=1)
    add("batch_l2_norm_squared/plain", F.batch_l2_norm_squared, "x")
