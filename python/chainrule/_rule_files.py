"""What the files of update rules hold beside counts and states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.configuration import config
from chainrule.serializer import AbstractSerializer, Deserializer

if TYPE_CHECKING:
    from chainrule.update_rule import UpdateRule

__all__ = ["serialize_count", "serialize_master", "serialize_scalars"]


def serialize_count(serializer: AbstractSerializer, name: str, present: int) -> int:
    """Save or load how many updates or epochs there were.

    Args:
        serializer: Where to or from.
        name: The entry's name.
        present: How many there were so far.

    Returns:
        The number that is in the file; the present one where it is saved.

    Raises:
        ValueError: If what is in the file is no such number.
    """
    count = serializer(name, present)
    if count is None or int(count) < 0:
        where = getattr(serializer, "path", "") + name
        raise ValueError(f"[load] entry '{where}': got {count}, expected an integer from 0 on")
    return int(count)


def serialize_scalars(rule: UpdateRule, serializer: AbstractSerializer) -> bool:
    """Save or load the numbers that an algorithm keeps between updates, by their names.

    Returns:
        Whether they were all there.
    """
    if not rule._keeps_scalars:
        return False
    complete = True
    for name, value in rule._scalars.items():
        try:
            loaded = serializer(name, value)
        except KeyError:
            loaded = None  # a file from before there was one
        if loaded is not None:
            rule._set_scalar(name, float(loaded))
        complete &= loaded is not None
    return complete


def serialize_master(rule: UpdateRule, serializer: AbstractSerializer) -> None:
    """Save or load the float32 copy of a half-precision parameter, which Chainer does not."""
    if config.chainer_semantics:
        return
    if not isinstance(serializer, Deserializer):
        if rule._master_copy is not None:
            serializer("fp32_param", rule._master_copy)
        return
    has = getattr(serializer, "has", None)
    if not rule._fp32_update and (has is None or not has("fp32_param")):
        rule._master_copy = None  # it need not be in the file
        return
    try:
        rule._master_copy = serializer("fp32_param", None)
    except KeyError:
        rule._master_copy = None  # made from the parameter at the next update
