"""Links of a few zeros for tests of optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule


def make_link(**shapes: Any) -> chainrule.Link:
    """A link of parameters that are zero and have a gradient of ones."""
    link = chainrule.Link(**shapes)
    for param in link.params():
        param.array[...] = 0
        param.grad = np.ones_like(param.array)
    return link
