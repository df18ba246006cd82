"""Hyperparameters as attributes of optimizers."""

from __future__ import annotations

from typing import Any

__all__ = ["HyperparameterProxy"]


class HyperparameterProxy:
    """Makes an entry of ``self.hyperparam`` an attribute of the optimizer.

    Args:
        attr_name: Name of the entry.

    Example:
        >>> from chainrule.optimizers import SGD
        >>> optimizer = SGD(lr=0.1)
        >>> optimizer.lr = 0.5
        >>> optimizer.hyperparam.lr
        0.5
    """

    def __init__(self, attr_name: str) -> None:
        self._attr_name = attr_name
        self.__doc__ = f"Alias to ``self.hyperparam.{attr_name}``"

    def __get__(self, obj: Any, type: Any = None) -> Any:
        return self if obj is None else getattr(obj.hyperparam, self._attr_name)

    def __set__(self, obj: Any, value: Any) -> None:
        setattr(obj.hyperparam, self._attr_name, value)
