"""Update rules by the paths of their parameters.

``optimizer.rules`` selects: by path and pattern (:mod:`chainrule.rules.patterns`), by the class of
links, by a condition, with set operations between selections. A selection reads and writes many
rules at once, all or none; it prints as a table. ``optimizer.plan()`` describes all rules, and
what their states are going to need, as a table and as plain data; ``optimizer.apply_plan`` puts
such data on another optimizer, and snapshots hold them.
"""

from chainrule.rules.all_rules import Rules
from chainrule.rules.apply import PlanReport
from chainrule.rules.plan import Plan
from chainrule.rules.selection import Selection
from chainrule.rules.values import SelectedValues

__all__ = ["Plan", "PlanReport", "Rules", "SelectedValues", "Selection"]
