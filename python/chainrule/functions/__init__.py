"""Differentiable functions. Import it as ``import chainrule.functions as F``."""

from chainrule.functions.activation import (
    elu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from chainrule.functions.array import (
    broadcast,
    broadcast_to,
    cast,
    concat,
    expand_dims,
    flatten,
    flip,
    get_item,
    moveaxis,
    repeat,
    reshape,
    rollaxis,
    select_item,
    separate,
    split_axis,
    squeeze,
    stack,
    swapaxes,
    transpose,
    where,
)
from chainrule.functions.connection.linear import linear
from chainrule.functions.evaluation.accuracy import accuracy
from chainrule.functions.loss import (
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from chainrule.functions.math import (
    absolute,
    add,
    argmax,
    argmin,
    average,
    clip,
    exp,
    log,
    logsumexp,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    sqrt,
    square,
    sum,
    sum_to,
)
from chainrule.functions.noise import dropout
