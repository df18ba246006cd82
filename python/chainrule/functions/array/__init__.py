"""Functions that move elements and compute nothing."""

from chainrule.functions.array.indexing import flip, get_item, repeat, select_item, where
from chainrule.functions.array.joining import concat, separate, split_axis, stack
from chainrule.functions.array.shapes import (
    broadcast,
    broadcast_to,
    cast,
    expand_dims,
    flatten,
    moveaxis,
    reshape,
    rollaxis,
    squeeze,
    swapaxes,
    transpose,
)
