"""Another name of :mod:`chainrule.backends.cuda`: the same module object."""

import sys

from chainrule.backends import cuda as _cuda

sys.modules[__name__] = _cuda
