"""Activation functions."""

from chainrule.functions.activation.rectifiers import elu, leaky_relu, relu
from chainrule.functions.activation.sigmoids import sigmoid, softplus, tanh
from chainrule.functions.activation.softmax import log_softmax, softmax
