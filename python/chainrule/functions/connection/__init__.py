"""Functions with weights."""

from chainrule.functions.connection.linear import linear
