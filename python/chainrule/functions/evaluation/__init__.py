"""Measures of how good predictions are; they have no gradient."""

from chainrule.functions.evaluation.accuracy import accuracy
