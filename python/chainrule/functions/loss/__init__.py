"""Losses."""

from chainrule.functions.loss.cross_entropy import sigmoid_cross_entropy, softmax_cross_entropy
from chainrule.functions.loss.squared_error import mean_squared_error
