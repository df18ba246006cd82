"""A PyTorch model as what an optimizer is set up for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from chainrule.link import Link
from chainrule.rules import entries
from chainrule.torch._parameter import TensorParameter
from chainrule.variable import Parameter

__all__ = ["ModulePart", "TensorLink", "unwrapped"]

#: Wrappers whose parameters have a prefix that the model itself does not know.
_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
}


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """Give the model that ``torch.compile`` or data parallelism have wrapped.

    Args:
        model: A model.

    Returns:
        The user's own one, whose names parameters have.
    """
    while True:
        inner = getattr(model, _WRAPPERS.get(type(model).__name__, ""), None)
        if not isinstance(inner, torch.nn.Module):
            return model
        model = inner


class ModulePart(Link):
    """The parameters below a module, as a key of selections."""

    def __init__(self, name: str, params: list[TensorParameter]) -> None:
        super().__init__()
        self.name = name
        self.__dict__["_found"] = params

    def params(self, include_uninit: bool = True) -> Iterator[Parameter]:
        """Walk over the parameters."""
        yield from self.__dict__["_found"]


class TensorLink(Link):
    """The parameters of a model under PyTorch's names, each once.

    Args:
        named: Parameters by name, in the model's order; a tied one may have several names.
        model: The model; None where parameters were given without one.
    """

    _separator = "."
    _part_class: ClassVar[type] = torch.nn.Module

    def __init__(
        self, named: dict[str, TensorParameter], model: torch.nn.Module | None = None
    ) -> None:
        super().__init__()
        self.__dict__["_named"] = named
        self.__dict__["_model"] = model

    @property
    def named(self) -> dict[str, TensorParameter]:
        """Parameters by name."""
        found: dict[str, TensorParameter] = self.__dict__["_named"]
        return found

    @property
    def model(self) -> torch.nn.Module | None:
        """The model."""
        return self.__dict__["_model"]

    def params(self, include_uninit: bool = True) -> Iterator[Parameter]:
        """Walk over the parameters."""
        yield from dict.fromkeys(self.named.values())

    def namedparams(self, include_uninit: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Walk over the parameters with their names."""
        yield from self.named.items()

    def cleargrads(self) -> None:
        """Forget the tensors' gradients."""
        for param in self.named.values():
            param.tensor.grad = None

    def _below(self, module: torch.nn.Module) -> list[TensorParameter]:
        known = {id(param.tensor): param for param in self.named.values()}
        return [known[id(p)] for p in module.parameters() if id(p) in known]

    def _parts(self) -> Iterator[tuple[Any, Iterator[Parameter]]]:
        for module in () if self.model is None else self.model.modules():
            yield module, iter(self._below(module))

    def _own(self, key: Any) -> Any:
        if isinstance(key, torch.Tensor):
            for param in self.named.values():
                if param.tensor is key:
                    return param
            raise KeyError(
                "[rules] the tensor is no parameter of this optimizer: got one of shape "
                f"{tuple(key.shape)}"
            )
        if not isinstance(key, torch.nn.Module):
            return key
        key = unwrapped(key)
        names = [] if self.model is None else [n for n, m in self.model.named_modules() if m is key]
        if not names:
            raise KeyError(f"[rules] the model has no such module: got a {type(key).__name__}")
        return ModulePart(names[0], self._below(key))


entries._OUR_WALKS.add(TensorLink.namedparams)
