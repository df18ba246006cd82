"""Functions that draw random numbers."""

from chainrule.functions.noise.dropout import dropout
