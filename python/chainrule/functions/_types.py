"""What functions take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from chainrule._core import Variable

#: A Variable, an array, or a number; arrays and numbers take no gradient.
VariableLike: TypeAlias = "Variable | np.ndarray | np.generic | float"
#: None stands for all axes.
AxisLike: TypeAlias = "int | Sequence[int] | None"
#: What may stand between the brackets of ``x[...]``.
IndexLike: TypeAlias = Any
