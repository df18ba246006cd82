"""Arithmetic, elementary functions, reductions."""

from chainrule.functions.math.arithmetic import absolute, add, clip, maximum, minimum, square
from chainrule.functions.math.exponential import exp, log, sqrt
from chainrule.functions.math.places import argmax, argmin
from chainrule.functions.math.products import matmul
from chainrule.functions.math.reductions import average, logsumexp, max, mean, min, sum, sum_to
