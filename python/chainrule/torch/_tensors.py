"""Binding a model's tensors to parameters of chainrule."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from chainrule import _core
from chainrule.torch import _streams
from chainrule.torch._link import TensorLink, unwrapped
from chainrule.torch._parameter import TensorParameter, attached
from chainrule.torch._refusals import check, describe, refuse

__all__ = ["bind", "named_pairs", "named_tensors", "nothing"]


def named_tensors(
    model: Any,
) -> tuple[list[tuple[str, torch.nn.Parameter]], torch.nn.Module | None]:
    """List what is to be attached.

    Args:
        model: A module, a mapping from names to parameters, or an iterable of pairs or of
            parameters.

    Returns:
        Pairs of name and parameter in the model's order, tied ones under each of their names; and
        the module, if it is one.

    Raises:
        TypeError: If it is something else.
        ValueError: If there is nothing, or a name twice.
    """
    if isinstance(model, torch.nn.Module):
        model = unwrapped(model)
        return list(model.named_parameters(remove_duplicate=False)), model
    if isinstance(model, torch.Tensor) or not isinstance(model, Iterable):
        raise TypeError(
            f"[chainrule.torch] attach: got {type(model).__name__}, expected a torch.nn.Module or "
            "pairs of names and parameters"
        )
    return named_pairs(model, "attach", lambda place, _: f"{place}"), None


def named_pairs(
    given: Any, what: str, name_of: Callable[[int, torch.Tensor], str]
) -> list[tuple[str, torch.nn.Parameter]]:
    """List parameters that are given with or without names.

    Args:
        given: A mapping from names to parameters, or an iterable of pairs or of parameters.
        what: Who asks.
        name_of: Names one that has no name, by its place and itself.

    Returns:
        Pairs of name and parameter.

    Raises:
        TypeError: If it is something else.
        ValueError: If a name stands there twice, or a parameter was computed.
    """
    expected = "expected pairs of a name and a torch.nn.Parameter"
    if not isinstance(given, Iterable):
        raise TypeError(f"[chainrule.torch] {what}: got {type(given).__name__}, {expected}")
    named: dict[str, torch.nn.Parameter] = {}
    for place, each in enumerate(given.items() if isinstance(given, Mapping) else given):
        pair = isinstance(each, tuple) and len(each) == 2
        name, tensor = each if pair else (f"{place}", each)
        if not (isinstance(tensor, torch.Tensor) and isinstance(name, str) and name):
            raise TypeError(
                f"[chainrule.torch] {what}: got {type(tensor).__name__} for {name!r}, {expected}"
            )
        if not pair:
            name = name_of(place, tensor)
        if not tensor.is_leaf:
            raise ValueError(f"[chainrule.torch] {name} is no leaf: it was computed")
        if name in named:
            raise ValueError(f"[chainrule.torch] {what}: the name {name!r} stands there twice")
        named[name] = tensor
    return list(named.items())


def _refuse_taken(path: str, tensor: torch.Tensor) -> None:
    if attached(tensor) is None:
        return
    gc.collect()  # the other optimizer may be gone already, but for a cycle
    if attached(tensor) is not None:
        raise RuntimeError(
            f"[chainrule.torch] {path} is attached to another optimizer already: call its "
            "detach() first, or use optimizer.rules[...].use(...) to mix algorithms"
        )


def _refuse(
    known: weakref.WeakValueDictionary[str, TensorParameter], path: str, what: Any, gradient: Any
) -> None:
    refuse(path, what, gradient, known.get(path))


def _alias(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Give a tensor that has another's memory and counts changes with it, and what holds it.

    PyTorch takes references to a tensor in a third of the time where its own C++ objects have one
    already, as views have to what they look at. This one may have such: it is nobody else's.
    """
    alias = tensor.detach()
    if alias.is_inference():  # counts nothing
        return alias, None
    return alias, alias[...]


def bind(
    model: Any,
    taken: Mapping[int, TensorParameter] | None = None,
    more: Mapping[str, torch.nn.Parameter] | None = None,
) -> tuple[TensorLink, _core.BorrowedTensors]:
    """Make a parameter of chainrule for each parameter of a model.

    A parameter that takes no gradient and could not be updated is left out.

    Args:
        model: What :func:`named_tensors` takes.
        taken: Parameters, by the id of their tensor, that may stay attached.
        more: Parameters beside those of the model, by name.

    Returns:
        The parameters as a link, and what lends them their memory.

    Raises:
        TypeError: If a parameter is of a kind that cannot be updated.
        ValueError: If there are none.
        RuntimeError: If one is attached to another optimizer.
    """
    named, module = named_tensors(model)
    known_names = {name for name, _ in named}
    named += [pair for pair in (more or {}).items() if pair[0] not in known_names]
    taken = taken or {}
    made: dict[int, TensorParameter] = {}
    params: dict[str, TensorParameter] = {}
    for path, tensor in named:
        if id(tensor) not in made:
            try:
                check(path, tensor)
            except (TypeError, ValueError):
                if tensor.requires_grad:
                    raise
                continue
            if id(tensor) not in taken:
                _refuse_taken(path, tensor)
            known_one = taken.get(id(tensor))
            made[id(tensor)] = TensorParameter(tensor, path) if known_one is None else known_one
        params[path] = made[id(tensor)]
    if not params:
        raise ValueError("[chainrule.torch] attach: there are no parameters to update")
    known = weakref.WeakValueDictionary(params)
    tensors = _lender(functools.partial(_refuse, known))
    places = {} if module is None else _watch(tensors, module)
    path_of = {id(param): path for path, param in reversed(params.items())}
    for param in made.values():
        first, *tied = places.get(id(param.tensor), [_NOWHERE])
        tensors.add(param, param.tensor, path_of[id(param)], first[1], first[2])
        for other, place, name in tied:
            tensors.watch(param.tensor, other, place, name)
    return TensorLink(params, module), tensors


def nothing() -> tuple[TensorLink, _core.BorrowedTensors]:
    """Give what an optimizer has that has no parameters."""
    return TensorLink({}), _lender(refuse)


def _lender(refusing: Callable[..., Any]) -> _core.BorrowedTensors:
    return _core.BorrowedTensors(
        torch.Tensor,
        (torch.Tensor, torch.nn.Parameter),
        describe,
        refusing,
        _alias,
        torch._C._increment_version,
        _streams.current_stream,
    )


#: A path in the model, the dict of the module above, and the name there.
_Place = tuple[str, dict[str, Any] | None, str]
_NOWHERE: _Place = "", None, ""


def _watch(tensors: _core.BorrowedTensors, module: torch.nn.Module) -> dict[int, list[_Place]]:
    """Have every place of a module below this one watched; list those of parameters by their id."""
    out: dict[int, list[_Place]] = {}
    for above, part in module.named_modules():
        prefix = f"{above}." if above else ""
        for name, child in part._modules.items():
            if child is not None:
                tensors.watch(child, prefix + name, part._modules, name)
        for name, tensor in part._parameters.items():
            if tensor is not None:
                place = prefix + name, part._parameters, name
                out.setdefault(id(tensor), []).append(place)
    return out
