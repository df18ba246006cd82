"""Initializers and freshly made links after ``numpy.random.seed(0)`` -> ``initializers.npz``.

``<case>/<shape>`` with the shape written like ``4x3x2x2`` (``scalar`` for ``()``); the case
is in ``CASES``.  A shape that the initializer refuses is absent here and its error stands
in ``behaviour.json``.  ``links/<name>/<parameter path>`` are the parameters of ``LINKS``.
"""

import chainer
import chainer.links as L
import numpy as np
from chainer import initializers

SEED = 0
SHAPES = ((), (3,), (4, 3), (3, 4), (3, 3), (4, 3, 2, 2), (3, 3, 4, 4))
#: case -> a function that makes the initializer
CASES = {
    "Normal/default": lambda: initializers.Normal(),
    "Normal/scale": lambda: initializers.Normal(0.5),
    "Normal/rng": lambda: initializers.Normal(0.5, rng=np.random.RandomState(5)),
    "LeCunNormal/default": lambda: initializers.LeCunNormal(),
    "LeCunNormal/scale": lambda: initializers.LeCunNormal(2.0),
    "GlorotNormal/default": lambda: initializers.GlorotNormal(),
    "HeNormal/default": lambda: initializers.HeNormal(),
    "HeNormal/fan_out": lambda: initializers.HeNormal(fan_option="fan_out"),
    "Uniform/default": lambda: initializers.Uniform(),
    "Uniform/scale": lambda: initializers.Uniform(0.5),
    "Uniform/rng": lambda: initializers.Uniform(0.5, rng=np.random.RandomState(5)),
    "LeCunUniform/default": lambda: initializers.LeCunUniform(),
    "GlorotUniform/default": lambda: initializers.GlorotUniform(),
    "HeUniform/default": lambda: initializers.HeUniform(),
    "HeUniform/scale": lambda: initializers.HeUniform(2.0),
    "Orthogonal/default": lambda: initializers.Orthogonal(),
    "Orthogonal/scale": lambda: initializers.Orthogonal(scale=1.0),
    "Orthogonal/projection": lambda: initializers.Orthogonal(mode="projection"),
    "Orthogonal/embedding": lambda: initializers.Orthogonal(mode="embedding"),
    "Orthogonal/basis": lambda: initializers.Orthogonal(mode="basis"),
    "Identity/default": lambda: initializers.Identity(),
    "Identity/scale": lambda: initializers.Identity(2.5),
    "Constant/scalar": lambda: initializers.Constant(0.3),
    "Constant/array": lambda: initializers.Constant(np.array([1.0, 2.0, 3.0])),
    "Zero/default": lambda: initializers.Zero(),
    "One/default": lambda: initializers.One(),
    "NaN/default": lambda: initializers.NaN(),
    "UpsamplingDeconvFilter/default": lambda: initializers.UpsamplingDeconvFilter(),
    "DownsamplingConvFilter/default": lambda: initializers.DownsamplingConvFilter(),
}
DTYPE_CASES = ("Normal/default", "LeCunNormal/default", "GlorotUniform/default")


def label(shape):
    return "x".join(map(str, shape)) or "scalar"


class TwoLinear(chainer.Chain):
    """A sized Linear, then one whose input size is known at the first call only."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(3, 4)
            self.l2 = L.Linear(None, 2)

    def forward(self, x):
        return self.l2(chainer.functions.relu(self.l1(x)))


#: name -> (a function that makes the link, shape of the ones it is called with, or None)
LINKS = {
    "two_linear": (TwoLinear, (2, 3)),
    "sequential": (lambda: chainer.Sequential(L.Linear(3, 4), L.Linear(4, 2)), None),
    "linear_options": (
        lambda: L.Linear(
            3, 4, initialW=initializers.HeNormal(), initial_bias=initializers.Uniform(0.1)
        ),
        None,
    ),
    "linear_nobias": (lambda: L.Linear(3, 4, nobias=True), None),
    "linear_scalars": (lambda: L.Linear(3, 4, initialW=0.5, initial_bias=0.25), None),
    "embed_id": (lambda: L.EmbedID(5, 3, ignore_label=-1), None),
    "convolution_2d": (lambda: L.Convolution2D(3, 4, ksize=2), None),
    "convolution_2d_lazy": (lambda: L.Convolution2D(None, 4, ksize=2), (1, 3, 4, 4)),
    "deconvolution_2d": (lambda: L.Deconvolution2D(3, 4, ksize=2), None),
    "bilinear": (lambda: L.Bilinear(2, 3, 4), None),
    "batch_normalization": (lambda: L.BatchNormalization(3), None),
    "layer_normalization": (lambda: L.LayerNormalization(3), None),
    "lstm": (lambda: L.LSTM(3, 2), None),
    "gru": (lambda: L.StatefulGRU(3, 2), None),
    "repeat": (lambda: L.Linear(2, 2).repeat(2), None),
    "scale": (lambda: L.Scale(axis=1, W_shape=(3,)), None),
    "maxout": (lambda: L.Maxout(3, 2, pool_size=2), None),
    "prelu": (lambda: L.PReLU((3,)), None),
    "highway": (lambda: L.Highway(3), None),
}


def make():
    """All arrays of ``initializers.npz``."""
    out = {}
    for case, initializer in CASES.items():
        for shape in SHAPES:
            for dtype in ("float32", "float64"):
                if dtype == "float64" and case not in DTYPE_CASES:
                    continue
                np.random.seed(SEED)
                try:
                    array = initializers.generate_array(initializer(), shape, np, dtype=dtype)
                except (ValueError, AssertionError, IndexError, TypeError):
                    continue
                tail = "" if dtype == "float32" else f"/{dtype}"
                out[f"{case}/{label(shape)}{tail}"] = array
    for name, (link, shape) in LINKS.items():
        np.random.seed(SEED)
        made = link()
        if shape is not None:
            made(np.ones(shape, np.float32))
        for path, param in made.namedparams():
            out[f"links/{name}{path}"] = param.array
    return out


def refusals():
    """The error of every initializer that refuses a shape, for ``behaviour.json``."""
    facts = {}
    for case, initializer in CASES.items():
        for shape in SHAPES:
            try:
                initializers.generate_array(initializer(), shape, np, dtype=np.float32)
            except (ValueError, AssertionError, IndexError, TypeError) as error:
                facts[f"{case}/{label(shape)}"] = [type(error).__name__, str(error)]
    return facts
