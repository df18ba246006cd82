"""Hooks that the native core carries out inside the sweep that updates."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, ClassVar

from chainrule import _core
from chainrule._numbers import Number
from chainrule._walk import each_param
from chainrule.configuration import config

if TYPE_CHECKING:
    from chainrule.optimizer import Optimizer, UpdateRule
    from chainrule.variable import Parameter


def is_native(hook: object) -> bool:
    """Tell whether the core may run a hook itself: built-in classes, not what users derive."""
    return "_kind" in vars(type(hook)) and isinstance(hook, NativeHook)


class NativeHook(_core.GradientHook):
    """Base of the built-in hooks; the numbers live in C++ and may be changed at any time."""

    #: What the core does; each built-in class names it anew.
    _kind: ClassVar[str]
    name: str
    timing = "pre"

    def __init__(self, **numbers: float) -> None:
        super().__init__(self._kind)
        cls: Any = type(self)
        for name, value in numbers.items():
            number = _numbers(cls)[name]
            number.__set__(self, value)
            if getattr(cls, name) is not number:
                with contextlib.suppress(AttributeError):  # it can only be read
                    setattr(self, name, value)

    def __call__(self, owner: Any, param: Any = None) -> None:
        """Change gradients in memory.

        Args:
            owner: The optimizer, or the update rule of ``param``.
            param: The parameter whose gradient is changed; all of the optimizer's without it.
        """
        cls: Any = type(self)
        for name, number in _numbers(cls).items():
            if getattr(cls, name) is not number:  # a class of a user's has its own
                number.__set__(self, getattr(self, name))
        params = _gradient_params(owner) if param is None else [param]
        _core.apply_hook(self, params)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._a, self._b, vars(self))


@functools.cache
def _numbers(cls: Any) -> dict[str, Number]:
    """List the numbers that live in C++, which classes that users derive may have otherwise."""
    found: dict[str, Number] = {}
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, Number) and name not in found:
                found[name] = value
    return found


def _restore(cls: type[NativeHook], a: float, b: float, attributes: dict[str, Any]) -> NativeHook:
    hook = cls.__new__(cls)
    NativeHook.__init__(hook)
    hook._a, hook._b = a, b
    hook.__dict__.update(attributes)
    return hook


def _gradient_params(optimizer: Optimizer) -> list[Parameter]:
    """List the parameters whose gradients a hook on an optimizer may change."""
    if optimizer.target is None:
        raise RuntimeError("Optimizer is not set up. Call `setup` method.")
    every = config.chainer_semantics
    found = []
    for path, param in each_param(optimizer.target, False):
        rule: UpdateRule | None = param.update_rule
        if not param._has_grad or path in optimizer._held:
            continue
        if every or rule is None or rule.enabled:
            found.append(param)
    return found
