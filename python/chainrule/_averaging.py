"""Parameters that hold their averages for a while."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from chainrule._core import Variable
from chainrule._device_array import beside, is_elsewhere
from chainrule._walk import each_param
from chainrule.optimizer_hooks._weights import WeightHook
from chainrule.update_rule import UpdateRule
from chainrule.variable import as_variable

if TYPE_CHECKING:
    from chainrule._optimizer import Optimizer
    from chainrule.link import Link
    from chainrule.variable import Parameter

__all__ = ["averaged"]


def _average_of(param: Parameter, rule: UpdateRule, hooks: Iterable[tuple[str, Any]]) -> Any:
    """What the rule's hooks, the optimizer's or the rule have for a parameter; the last first."""
    for name, hook in (*reversed(list(rule.hooks.items())), *hooks):
        if isinstance(hook, WeightHook):
            hook._key = name
        offer = getattr(hook, "averaged_value", None)
        value = None if offer is None else offer(rule, param)
        if value is not None:
            return value
    return rule.averaged_value(param)


def _target(optimizer: Optimizer) -> Link:
    if optimizer.target is None:
        raise RuntimeError(
            f"[averaged] {type(optimizer).__name__} is not set up: call setup(link) first"
        )
    return optimizer.target


def _averages(optimizer: Optimizer) -> Iterator[tuple[Parameter, Any]]:
    """Walk over parameters that have an average, with it."""
    hookable = optimizer._hooks()
    hooks = [*reversed(hookable.items("post")), *reversed(hookable.items("pre"))]
    for path, param in each_param(_target(optimizer), False):
        rule = param.update_rule
        if not isinstance(rule, UpdateRule):
            continue
        average = _average_of(param, rule, hooks)
        if average is None:
            continue
        if average.shape != param.shape:
            raise ValueError(
                f"[averaged] {path}: average of the wrong shape: got {average.shape}, expected "
                f"{param.shape}"
            )
        if not is_elsewhere(param) and not param.array.flags.writeable:
            raise ValueError(f"[averaged] {path}: the parameter's array is read-only")
        yield param, average


class _Swapped:
    """A parameter that can hold its average, and what it holds otherwise."""

    def __init__(self, param: Parameter, average: Any) -> None:
        self.param, self._average = param, beside(average, param)
        self._array: Any = None if is_elsewhere(param) else param.array
        self._before: Any = (
            Variable._from_dlpack(param, None, True) if self._array is None else self._array.copy()
        )

    def put(self) -> None:
        if self._array is None:
            self.param.copydata(as_variable(self._average))
        else:
            self._array[...] = self._average

    def give_back(self) -> None:
        array, before = self._array, self._before
        if array is None:
            self.param.copydata(before)
            return
        if not array.flags.writeable:  # somebody froze it in the block
            array = before
        array[...] = before
        if self.param.array is not array:
            self.param.array = array


class _Averages:
    """The parameters of an optimizer that hold their averages now."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.blocks = 0
        self._kept: list[_Swapped] = []
        params = [param for _, param in each_param(_target(optimizer), False)]
        self._rules = [p.update_rule for p in params if isinstance(p.update_rule, UpdateRule)]
        # From here on no update begins, and one that has begun is seen.
        self._lend(self._rules, True)
        try:
            optimizer._begin_averaging(self)
            # Everything is looked up and kept before the first parameter changes.
            found = [_Swapped(*each) for each in _averages(optimizer)]
            having = {id(each.param) for each in found}
            self._lend([p.update_rule for p in params if id(p) not in having], False)
            for each in found:
                self._kept.append(each)
                each.put()
        except BaseException:
            self.give_back(optimizer)
            raise

    @property
    def params(self) -> list[Parameter]:
        """Those that hold an average."""
        return [each.param for each in self._kept]

    @staticmethod
    def _lend(rules: Iterable[object], lent: bool) -> None:
        for rule in rules:
            if isinstance(rule, UpdateRule):
                rule._lent = lent

    def give_back(self, optimizer: Optimizer) -> None:
        """Let the parameters have their values again, and then updates begin."""
        for each in self._kept:
            each.give_back()
        self._lend(self._rules, False)
        if optimizer._averaging is self:
            optimizer._averaging = None


_swap = threading.RLock()  # held while parameters get their averages, or their values back


@contextlib.contextmanager
def averaged(optimizer: Optimizer) -> Iterator[None]:
    """Let the parameters of an optimizer hold their averages; see :meth:`Optimizer.averaged`."""
    with _swap:
        if optimizer._averaging is None:
            _Averages(optimizer)
        held = optimizer._averaging
        held.blocks += 1
    try:
        yield
    finally:
        with _swap:
            held.blocks -= 1
            if held.blocks == 0:
                held.give_back(optimizer)
