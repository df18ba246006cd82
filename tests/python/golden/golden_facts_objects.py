"""Facts about links, Variables and their printed forms, for ``behaviour.json``."""

import io
import re

import chainer
import chainer.functions as F
import chainer.links as L
import golden_snapshots
import numpy as np


class Inner(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.z = L.Linear(2, 2)
            self.a = L.Linear(2, 2, nobias=True)


class Outer(chainer.Chain):
    """Children registered as tail, body, head; a parameter and a persistent of its own."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.tail = L.Linear(2, 2)
            self.body = Inner()
            self.head = chainer.ChainList(L.Linear(2, 2), L.EmbedID(3, 2))
            self.w = chainer.Parameter(np.zeros(2, np.float32))
        self.add_persistent("count", 0)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def type_names(links):
    return [type(link).__name__ for link in links]


def fact_link_order():
    net = Outer()
    return {
        "children": type_names(net.children()),
        "links": type_names(net.links()),
        "links_skipself": type_names(net.links(skipself=True)),
        "namedlinks": [path for path, _ in net.namedlinks()],
        "namedparams": [path for path, _ in net.namedparams()],
        "param_names": [param.name for param in net.params()],
        "link_names": [link.name for link in net.links()],
        "sequential_namedparams": [
            path
            for path, _ in chainer.Sequential(
                L.Linear(2, 2), F.relu, chainer.Sequential(L.Linear(2, 2))
            ).namedparams()
        ],
        "sequential_len": len(chainer.Sequential(L.Linear(2, 2), F.relu)),
        "uninitialized_namedparams": [p for p, _ in L.Linear(None, 2).namedparams(False)],
        "count_params": Outer().count_params(),
        "chain_list_of_11": [
            p for p, _ in chainer.ChainList(*(L.EmbedID(1, 1) for _ in range(11))).namedparams()
        ],
    }


def fact_reprs():
    with np.printoptions(precision=8):
        x = chainer.Variable(np.array([[1, 2.5], [-3, 0]], np.float32))
        named = chainer.Variable(np.array([1, 2], np.int32), name="x")
        scalar = chainer.Variable(np.array(0.44018972, np.float32))
        doubles = chainer.Variable(np.array([1.5, 2.0]))
        halves = chainer.Variable(np.array([1.5], np.float16), name="h")
        link = L.Linear(2, 3)
        parameters = {
            "Parameter": chainer.Parameter(np.zeros(2, np.float32)),
            "Parameter_named": link.b,
            "Parameter_uninitialized": L.Linear(None, 2).W,
        }
        values = {
            "float32_2d": x,
            "int32_named": named,
            "scalar": scalar,
            "float64": doubles,
            "float16_named": halves,
            "none": chainer.Variable(None),
            "empty": chainer.Variable(np.zeros((0, 3), np.float32)),
            "long": chainer.Variable(np.arange(2000, dtype=np.float32)),
            **parameters,
        }
        facts = {key: {"repr": repr(v), "str": str(v)} for key, v in values.items()}
    sequential = chainer.Sequential(link, F.relu)
    links = {"linear": link, "linear_lazy": L.Linear(None, 3), "sequential": sequential}
    links["mlp"] = golden_snapshots.Mlp()
    links["embed_id"] = L.EmbedID(3, 2)
    facts["links"] = {
        key: {"repr": anonymous(repr(v)), "str": anonymous(str(v))} for key, v in links.items()
    }
    y = x * 2 + 1
    facts["node_labels"] = [y.label, y.creator.label, y.creator.inputs[0].creator.label]
    facts["function_node_names"] = {
        "linear": F.linear(ones(2, 2), ones(3, 2)).creator.label,
        "relu": F.relu(x).creator.label,
        "softmax": F.softmax(x).creator.label,
    }
    return facts


def anonymous(text):
    """Memory addresses differ from run to run."""
    return re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)


def fact_summary_and_debug_print():
    facts = {}
    with_grad = chainer.Variable(np.array([1, 2, 4], np.float32), name="x")
    with_grad.grad = np.array([0.5, -0.5, 1], np.float32)
    zero_grad = chainer.Variable(np.array([1, 2, 4], np.float32))
    zero_grad.grad = np.zeros(3, np.float32)
    for key, variable in (
        ("named_grad", with_grad),
        ("zero_grad", zero_grad),
        ("no_grad_float64", chainer.Variable(np.array([[1.0, 3.0]]), name="d")),
        ("empty", chainer.Variable(None, name="e")),
    ):
        facts[key] = {
            "summary": anonymous(variable.summary()),
            "debug_print": anonymous(variable.debug_print()),
        }
    return facts


def fact_dtypes():
    """Result dtypes of arithmetic between Variables, arrays and Python numbers."""
    values = {
        "f16": chainer.Variable(np.ones(2, np.float16)),
        "f32": chainer.Variable(np.ones(2, np.float32)),
        "f64": chainer.Variable(np.ones(2)),
        "i32": chainer.Variable(np.ones(2, np.int32)),
        "array_f64": np.ones(2),
        "array_i64": np.ones(2, np.int64),
        "scalar_f64": np.float64(2),
        "float": 2.0,
        "int": 2,
    }
    facts = {}
    for left in ("f16", "f32", "f64", "i32"):
        for right, other in values.items():
            for sign, operate in (
                ("+", lambda a, b: a + b),
                ("*", lambda a, b: a * b),
                ("/", lambda a, b: a / b),
                ("**", lambda a, b: a**b),
                ("rsub", lambda a, b: b - a),
            ):
                try:
                    outcome = operate(values[left], other).dtype.name
                except Exception as error:  # the kind of error is the fact
                    outcome = type(error).__name__
                facts[f"{left} {sign} {right}"] = outcome
    return facts


def fact_variables():
    x = np.ones((2, 3), np.float32)
    v = chainer.Variable(x)
    facts = {
        "array_is_x": v.array is x,
        "data_is_x": v.data is x,
        "len": len(v),
        "T_shape": list(v.T.shape),
        "grad_default": v.grad,
        "requires_grad": v.requires_grad,
        "rank": (v * 2 * 2).rank,
        "int_variable_requires_grad": chainer.Variable(np.ones(2, np.int32)).requires_grad,
        "fortran_order_is_kept": chainer.Variable(x.T).array.flags.f_contiguous,
        "as_variable_requires_grad": chainer.as_variable(x).requires_grad,
        "relu_of_array_is_variable": type(F.relu(x)).__name__,
        "accuracy_has_creator": F.accuracy(v, np.zeros(2, np.int32)).creator is not None,
        "argmax_dtype": F.argmax(v, axis=1).dtype.name,
    }
    with chainer.using_config("train", False):
        facts["dropout_test_mode_is_same_object"] = F.dropout(v) is v
    loss = F.softmax_cross_entropy(v, np.zeros(2, np.int32))
    facts["softmax_cross_entropy_dtype_shape"] = [loss.dtype.name, list(loss.shape)]
    with chainer.no_backprop_mode():
        facts["no_backprop_creator"] = F.relu(v).creator
    facts["dropout_mask_from_numpy_random"] = dropout_mask()
    for name in ("==", "<"):
        try:
            facts[f"variable {name} variable"] = str(v == v if name == "==" else v < v)
        except Exception as error:  # the kind of error is the fact
            facts[f"variable {name} variable"] = [type(error).__name__, str(error)]
    out = io.StringIO()
    chainer.config.show(file=out)
    facts["config_show"] = out.getvalue().splitlines()
    return facts


def dropout_mask():
    """True where dropout keeps: ``numpy.random.rand(*x.shape) >= ratio``, drawn as doubles."""
    np.random.seed(0)
    kept = F.dropout(np.ones((2, 3), np.float32), ratio=0.5).array
    np.random.seed(0)
    expected = (np.random.rand(2, 3) >= 0.5) * np.float32(2)
    return bool((kept == expected).all())
