"""State dicts: chainrule's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import torch
from chainrule._numbers import is_number
from chainrule.serializers.npz import DictionarySerializer, NpzDeserializer
from chainrule.torch._names import as_number
from chainrule.torch._report import StateReport, cast_states
from chainrule.torch._state import from_tensor, to_tensor
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.torch._facade import Optimizer
    from chainrule.torch._parameter import TensorParameter

__all__ = ["mapping", "read", "write"]

_FORMAT = 1


class _Writer(DictionarySerializer):
    """Keeps what lies below each name apart: names, and what lies there, may contain slashes.

    Attributes:
        below: What was stored below each name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.below: dict[str, dict[str, Any]] = {}

    def __getitem__(self, key: str) -> DictionarySerializer:
        return DictionarySerializer(self.below.setdefault(key, {}), f"{key}/")


class _Reader(NpzDeserializer):
    """Finds below each name what a state dict has there.

    Args:
        rest: What lies below no name.
        below: What lies below each name.
        strict: Whether all that is asked for must be there.
    """

    def __init__(
        self, rest: Mapping[str, Any], below: Mapping[str, Mapping[str, Any]], strict: bool
    ) -> None:
        arrays = {
            name: {f"{name}/{entry}": _array(value) for entry, value in entries.items()}
            for name, entries in below.items()
        }
        every = {key: array for part in arrays.values() for key, array in part.items()}
        super().__init__({**rest, **every}, strict=strict)
        self.report.file = "state dict"
        self._below = arrays

    def __getitem__(self, key: str) -> NpzDeserializer:
        child = super().__getitem__(key)
        if not self.path:
            child.path, child.npz = f"{key}/", self._below.get(key, {})
        return child


def write(optimizer: Optimizer) -> dict[str, Any]:
    """Make a state dict.

    Args:
        optimizer: The optimizer.

    Returns:
        Plain data and tensors.
    """
    serializer = _Writer()
    optimizer._look("state_dict")
    optimizer.native.serialize(serializer)
    rest = {"format": _FORMAT, **{key: _plain(array) for key, array in serializer.target.items()}}
    state = {
        name: {key.removeprefix(f"{name}/"): _plain(array) for key, array in arrays.items()}
        for name, arrays in serializer.below.items()
    }
    groups = []
    numbers = {id(param.tensor): place for place, param in enumerate(optimizer._params)}
    for group in optimizer.param_groups:
        packed = group.copy()
        packed["params"] = [numbers[id(tensor)] for tensor in packed["params"]]
        groups.append(packed)
    return {"state": state, "param_groups": groups, "chainrule": rest}


def _plain(array: np.ndarray) -> Any:
    if array.dtype.hasobject:
        return None
    if array.dtype.kind in "US":
        return str(array[()])
    # A state of 8 bits may have no dimensions.
    if array.ndim == 0 and array.dtype.kind in "iub" and array.dtype != np.int8:
        return int(array)
    return to_tensor(np.atleast_1d(array) if array.ndim == 0 else array).reshape(array.shape)


def _array(value: Any) -> np.ndarray:
    return from_tensor(value) if isinstance(value, torch.Tensor) else np.asarray(value)


def mapping(given: Any, what: str) -> Mapping[str, Any]:
    """Refuse to load what is no mapping.

    Args:
        given: What is loaded.
        what: What it should be.

    Returns:
        The same.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"[load_state_dict] got {_in_short(given)}, expected {what} as a mapping")
    return given


def read(
    optimizer: Optimizer, saved: Mapping[str, Any], strict: bool, names: Iterable[str] | None
) -> StateReport:
    """Load a state dict, or leave everything as it was.

    Args:
        optimizer: The optimizer.
        saved: The state dict.
        strict: Whether all of it must fit.
        names: Names of the parameters in the order of the other optimizer.

    Returns:
        What was loaded.

    Raises:
        KeyError: If parameters are missing or not known.
        ValueError: If something does not fit.
    """
    mapping(saved, "a state dict")
    if "state" not in saved or "param_groups" not in saved:
        raise ValueError(
            f"[load_state_dict] no state dict of an optimizer: got {', '.join(map(str, saved))}, "
            "expected state and param_groups"
        )
    _check_groups(saved["param_groups"])
    for name, state in mapping(saved["state"], "its entry 'state'").items():
        mapping(state, f"its entry 'state' of {name}")
    if "chainrule" not in saved:
        from chainrule.torch._foreign import load

        return load(optimizer, saved, strict, names)
    version = mapping(saved["chainrule"], "its entry 'chainrule'").get("format")
    if version != _FORMAT:
        raise ValueError(f"[load_state_dict] format of a later version: got {version!r}")
    rest = {k: _array(v) for k, v in saved["chainrule"].items() if k != "format"}
    known = set(optimizer._link.named)
    below = _by_name(saved["state"], known)
    theirs = set(below)
    if not known & theirs and theirs:
        raise KeyError(
            "[load_state_dict] the state dict is of another model: it has "
            f"{', '.join(sorted(theirs)[:3])} ..., this model {', '.join(sorted(known)[:3])} ..."
        )
    optimizer._look("load_state_dict")
    deserializer = _Reader(rest, below, strict)
    deserializer.load(optimizer.native)
    found = deserializer.report
    for param in optimizer._params:
        param._follow_rule()
    optimizer._tensors.done()
    optimizer._version = -1
    _arrange(optimizer, saved["param_groups"])
    return StateReport(
        "chainrule",
        loaded=[name for name in optimizer._link.named if name in theirs],
        fresh=found.fresh,
        missing=[name for name in optimizer._link.named if name not in theirs],
        unused=found.unused,
        replaced=found.replaced,
        notes=found.unfit + cast_states(_dtypes(optimizer, saved["state"])),
    )


def _check_groups(groups: Any) -> None:
    fitting = isinstance(groups, (list, tuple)) and all(
        isinstance(group, Mapping)
        and isinstance(group.get("params"), (list, tuple))
        and isinstance(group.get("param_names", []), (list, tuple))
        for group in groups
    )
    if not fitting:
        raise ValueError(
            f"[load_state_dict] param_groups: got {_in_short(groups)}, expected a list of dicts, "
            "each with a list of params"
        )


def _in_short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:60]} ..."


def _by_name(
    state: Mapping[str, Mapping[str, Any]], known: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Give entries by parameter; in older state dicts names end at their first slash."""
    found = {name: dict(entries) for name, entries in state.items()}
    for name in sorted(known, key=len, reverse=True):
        first, _, rest = name.partition("/")
        if not rest or name in found or first not in found:
            continue
        mine = [entry for entry in found[first] if entry.startswith(f"{rest}/")]
        if mine:
            found[name] = {e.removeprefix(f"{rest}/"): found[first].pop(e) for e in mine}
        if not found[first]:
            del found[first]
    return found


def _dtypes(
    optimizer: Optimizer, states: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[TensorParameter, dict[str, torch.dtype]]]:
    """Tell of what dtype states were saved."""
    for name, param in optimizer._link.named.items():
        entries = states.get(name, {}).items()
        yield param, {n: value.dtype for n, value in entries if isinstance(value, torch.Tensor)}


def _arrange(optimizer: Optimizer, groups: list[dict[str, Any]]) -> None:
    """Have the groups that were saved, with what schedulers keep in them."""
    ours = {
        name: param
        for name, param in optimizer._link.named.items()
        if isinstance(param.update_rule, UpdateRule)
    }
    parts = []
    for group in groups:
        extras = {n: value for n, value in group.items() if n not in ("params", "param_names")}
        names = group.get("param_names", ())
        parts.append(([ours[name] for name in names if name in ours], extras))
    optimizer._groups.arrange(parts)
    _set_rates(optimizer, parts)


def _set_rates(
    optimizer: Optimizer, parts: Iterable[tuple[list[TensorParameter], Mapping[str, Any]]]
) -> None:
    """Follow somebody who wrote another rate into the groups of a state dict, as PyTorch does.

    Groups say what the rules that were saved with them had; another number was put there since.
    """
    rates = {id(params[0]): extras.get("lr") for params, extras in parts if params}
    for group in optimizer._groups.current():
        rate = as_number(rates.get(id(group._members[0])))
        if is_number(rate) and "lr" in group and not math.isclose(rate, group["lr"]):
            group["lr"] = rate
