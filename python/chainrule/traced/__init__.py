"""Update rules of your own that run like built-in ones: a function, traced once.

:func:`elementwise_rule` makes an optimizer of a function of a parameter, its gradient and states.
"""

from chainrule.traced.rule import ElementwiseMethod, ElementwiseRule, elementwise_rule
from chainrule.traced.trace import TraceError

__all__ = ["ElementwiseMethod", "ElementwiseRule", "TraceError", "elementwise_rule"]
