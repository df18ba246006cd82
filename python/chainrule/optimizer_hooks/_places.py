"""Which hooks of an optimizer and its rules run where in an update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.optimizer_hooks._weights import Pairs, WeightHook, refuse_shared, rules_of
from chainrule.optimizer_hooks.cautious import Cautious
from chainrule.optimizer_hooks.sam import SAM

if TYPE_CHECKING:
    from chainrule._hookable import Hookable
    from chainrule.optimizer import GradientMethod
    from chainrule.variable import Parameter

__all__ = ["HookPlaces", "Placed"]

#: A hook on weights by its name, with what it stands on.
Placed = tuple[str, WeightHook, Pairs]


class HookPlaces:
    """The hooks of an optimizer and its rules, sorted.

    Rules learn whether they are cautious.

    Args:
        optimizer: The optimizer, set up.
        hooks: Its hooks.

    Attributes:
        in_sweep: The optimizer's hooks before the sweep, without those that need another place.
        everywhere: Its hooks on weights.
        on_rules: Hooks on weights of single rules.
        sharp: Hooks that need a second gradient, with the parameters that they let move.

    Raises:
        TypeError: If a hook needs rules that the core runs, and one is written in Python.
        ValueError: If two hooks would keep one array.
    """

    def __init__(self, optimizer: GradientMethod, hooks: Hookable) -> None:
        pairs: Any = rules_of(optimizer)
        pre = hooks.of("pre")
        cautious = any(isinstance(hook, Cautious) for hook in pre)
        own = [(n, hook) for n, hook in hooks.items("post") if isinstance(hook, WeightHook)]
        self.sharp: list[tuple[SAM, list[Parameter]]] = [
            (hook, [param for _, param in pairs]) for hook in pre if isinstance(hook, SAM)
        ]
        on_rules: dict[tuple[str, int], Placed] = {}
        for rule, param in pairs:
            if (cautious or rule._own_cautious) and rule._runs_in_python:
                raise TypeError(
                    f"[Cautious] {param.name} is updated in Python: got {type(rule).__name__}, "
                    "expected rules of chainrule.optimizers"
                )
            rule._cautious = cautious or rule._own_cautious
            for hook in rule._hookable.pre.values():
                if isinstance(hook, SAM):
                    self._add_sharp(hook, param)
            on_rule = rule._weight_hooks()
            refuse_shared(str(param.name), (*own, *on_rule))
            for name, hook in () if rule._by_python else on_rule:
                placed = on_rules.setdefault((name, id(hook)), (name, hook, []))
                placed[2].append((rule, param))
        self.on_rules: list[Placed] = list(on_rules.values())
        everywhere: Pairs = [*pairs]
        self.everywhere: list[Placed] = [(name, hook, everywhere) for name, hook in own]
        self.in_sweep = [hook for hook in pre if not isinstance(hook, (Cautious, SAM))]

    def _add_sharp(self, hook: SAM, param: Parameter) -> None:
        found = next((params for known, params in self.sharp if known is hook), None)
        if found is None:
            self.sharp.append((hook, found := []))
        if not any(param is other for other in found):
            found.append(param)
