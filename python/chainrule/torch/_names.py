"""PyTorch's names of hyperparameters, and chainrule's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from chainrule._names import refuse_misspelt
from chainrule.configuration import config

if TYPE_CHECKING:
    from chainrule.optimizer import GradientMethod

__all__ = ["as_number", "native_values", "refuse_new", "torch_values"]

#: Values that PyTorch has together under one name.
_TUPLES = {
    "betas": ("beta1", "beta2", "beta3"),
    "etas": ("eta_minus", "eta_plus"),
    "step_sizes": ("min_step", "max_step"),
}


def _rate(known: Collection[str]) -> str | None:
    if "lr" in known:
        return "lr"
    return "alpha" if "alpha" in known else None


def _together(name: str, known: Collection[str]) -> tuple[str, ...]:
    found = tuple(each for each in _TUPLES.get(name, ()) if each in known)
    return found if len(found) > 1 else ()


def torch_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Add PyTorch's names to the hyperparameters of a rule.

    Args:
        values: Values by chainrule's names.

    Returns:
        The same values with ``lr`` for the rate, and ``betas`` for ``beta1``, ``beta2``, ... added;
        so are ``etas`` and ``step_sizes``.

    Example:
        >>> torch_values({"alpha": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8})
        {'lr': 0.1, 'betas': (0.9, 0.999), 'alpha': 0.1, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-08}
    """
    out: dict[str, Any] = {}
    rate = _rate(values)
    if rate is not None:
        out["lr"] = values[rate]
    for name in _TUPLES:
        names = _together(name, values)
        if names:
            out[name] = tuple(values[each] for each in names)
    return out | dict(values)


def native_values(name: str, value: Any, known: Iterable[str]) -> dict[str, Any] | None:
    """Translate a value under one of either's names.

    Args:
        name: PyTorch's or chainrule's name.
        value: The value; a tensor of one element counts as a number.
        known: chainrule's names for the algorithm.

    Returns:
        Values by chainrule's names; None if the algorithm has no such value.

    Raises:
        ValueError: If there are too few or too many betas, etas or step sizes.
        TypeError: If they are none.

    Example:
        >>> native_values("betas", (0.8, 0.9), ["alpha", "beta1", "beta2"])
        {'beta1': 0.8, 'beta2': 0.9}
    """
    known = list(known)
    names = _together(name, known)
    if names:
        if not isinstance(value, Iterable) or isinstance(value, str):
            raise TypeError(f"[param_groups] {name}: got {value!r}, expected {len(names)} numbers")
        value = list(value)
        if len(value) != len(names):
            raise ValueError(f"[param_groups] {name}: got {value!r}, expected {len(names)} numbers")
        return {each: as_number(item) for each, item in zip(names, value, strict=True)}
    if name == "lr" and _rate(known) is not None:
        name = _rate(known) or name
    return {name: as_number(value)} if name in known else None


def _count(value: Any) -> int:
    """How many elements a tensor has, or an array of NumPy."""
    return int(value.numel() if hasattr(value, "numel") else value.size)


def as_number(value: Any) -> Any:
    """Read a number.

    Args:
        value: The number, or a tensor of one element; or something else, which stays what it is.

    Returns:
        The number.
    """
    if not hasattr(value, "item") or not hasattr(value, "size"):
        return value
    return value.item() if _count(value) == 1 else value


def refuse_new(facade: object, native: GradientMethod, name: str) -> None:
    """Refuse to set a new attribute that looks like one which does something.

    What the native optimizer only keeps, such as ``epoch``, may be a note here too. Its methods and
    what can be switched on it are refused.

    Args:
        facade: PyTorch's optimizer.
        native: The one of chainrule that does its work.
        name: The attribute's name.

    Raises:
        AttributeError: If it is like a value under either's name, or like an attribute of theirs.
    """
    if name[0] == "_" or config.chainer_semantics:
        return
    theirs = getattr(type(native), name, None)
    if callable(theirs) or getattr(theirs, "fset", None) is not None:
        raise AttributeError(
            f"[{type(native).__name__}] no attribute '{name}' to set; did you mean 'native.{name}'?"
        )
    if not hasattr(type(native), name):
        refuse_misspelt(native, name)
    refuse_misspelt(facade, name)
