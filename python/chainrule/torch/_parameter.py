"""Parameters that live in PyTorch's memory."""

from __future__ import annotations

import contextlib
import contextvars
import weakref
from typing import TYPE_CHECKING, Any

import torch
from chainrule._core import Variable
from chainrule.variable import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["TensorParameter", "attached", "freezing_at_the_end", "layout_of", "reach_tensors"]

_frozen: Any = Variable.frozen
_array: Any = Variable.array
_grad: Any = Variable.grad

#: Parameters by the id of their tensor, which they keep alive.
_attached: weakref.WeakValueDictionary[int, TensorParameter] = weakref.WeakValueDictionary()


def layout_of(tensor: torch.Tensor) -> dict[str, Any]:
    """Tell what must stay as it is for a state to fit.

    Args:
        tensor: The tensor.

    Returns:
        Device, dtype and shape.
    """
    return {name: getattr(tensor, name) for name in ("device", "dtype", "shape")}


def attached(tensor: torch.Tensor) -> TensorParameter | None:
    """Find the parameter that an attached optimizer has for a tensor.

    Args:
        tensor: A parameter of a module.

    Returns:
        The parameter; None where no optimizer is attached.
    """
    return _attached.get(id(tensor))


class TensorParameter(Parameter):
    """A parameter on the memory of a ``torch.nn.Parameter``.

    Hooks and rules written in Python get one of these: ``array`` and, during an update, ``grad``
    are NumPy arrays on the tensors' own memory; on a GPU they are CuPy's, where that is installed.
    ``tensor`` and ``tensor.grad`` are there on any device.

    Args:
        tensor: The tensor.
        path: Its name in the model.

    Attributes:
        tensor: The tensor.
    """

    tensor: torch.nn.Parameter
    #: Called when the rule is switched off, to let its state go.
    _on_freeze: Callable[[TensorParameter], None] | None = None

    def __init__(self, tensor: torch.nn.Parameter, path: str) -> None:
        super().__init__(name=path)
        self.tensor = tensor
        self._required = True  # what `requires_grad` is when the rule is on
        self._found = tensor.requires_grad  # what it was before the rule was off
        self._was_frozen = False
        self._layout = layout_of(tensor)

    def _register(self) -> None:
        _attached[id(self.tensor)] = self

    def _unregister(self) -> None:
        if _attached.get(id(self.tensor)) is self:
            del _attached[id(self.tensor)]

    def _release(self) -> None:
        """Let go of the tensor, and of the rule: it takes gradients as before the rule was off."""
        self._unregister()
        self.update_rule = None
        if self._was_frozen:
            self._was_frozen = False
            self.tensor.requires_grad_(self._found)

    def _shown(self) -> Any:
        return self.tensor

    def _reach_tensor(self) -> None:
        """Write the values to the tensor where it has been moved to other memory meanwhile."""
        mine = torch.from_dlpack(self)
        if mine.data_ptr() == self.tensor.data_ptr():
            return
        if mine.shape != self.tensor.shape:
            raise ValueError(
                f"[chainrule.torch] {self.name} was given another shape in the block: got "
                f"{tuple(self.tensor.shape)}, expected {tuple(mine.shape)}, so that its values "
                "cannot be given back to it; param.array has them"
            )
        self.tensor.data.copy_(mine)

    def _mastered(self, master: Variable, grad: Variable) -> TensorParameter:
        tensor = torch.nn.Parameter(torch.from_dlpack(master), requires_grad=False)
        tensor.grad = torch.from_dlpack(grad)
        made = TensorParameter(tensor, self.name or "")
        made._share(master)
        made.grad_var = grad
        return made

    def _stand_in(self) -> TensorParameter:
        tensor = torch.nn.Parameter(torch.zeros_like(self.tensor), requires_grad=False)
        tensor.grad = torch.zeros_like(tensor)
        made = TensorParameter(tensor, self.name or "")
        made._share(Variable._from_dlpack(tensor.detach()))
        made.grad_var = Variable._from_dlpack(tensor.grad)
        return made

    @property
    def array(self) -> Any:
        """The data, a NumPy array on the tensor's memory; on a GPU one of CuPy's."""
        return self._seen(_array, "tensor")

    @array.setter
    def array(self, value: Any) -> None:
        own = self.array
        if own is None:
            _array.__set__(self, value)
        elif value is not own:
            if value is None or value.shape != own.shape:
                raise ValueError(
                    f"[chainrule.torch] {self.name}: the array is the tensor's memory: got "
                    f"{None if value is None else value.shape}, expected shape {own.shape}"
                )
            own[...] = value

    data = array

    def _seen(self, member: Any, tensor: str) -> Any:
        try:
            return member.__get__(self)
        except RuntimeError as error:
            if not isinstance(error.__cause__, ImportError):
                raise
            raise RuntimeError(
                f"[chainrule.torch] {self.name} is on {self.tensor.device}, where arrays are "
                f"CuPy's, which cannot be imported: use param.{tensor}, or install cupy"
            ) from error

    @property
    def grad(self) -> Any:
        """During an update the gradient, an array on its tensor's memory; None at other times."""
        return self._seen(_grad, "tensor.grad")

    @grad.setter
    def grad(self, grad: Any) -> None:
        _grad.__set__(self, grad)

    @property
    def frozen(self) -> bool:
        """Whether it takes no gradient: what ``tensor.requires_grad`` is the opposite of."""
        return bool(_frozen.__get__(self))

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        _frozen.__set__(self, frozen)
        self._follow_rule()

    def _follow_rule(self) -> None:
        """Let ``requires_grad`` be what the rule says."""
        tensor, frozen = self.tensor, self.frozen
        if frozen == self._was_frozen:
            return
        self._was_frozen = frozen
        if frozen:
            self._required = self._found = tensor.requires_grad
            tensor.requires_grad_(False)
            waiting = _waiting.get()
            if waiting is not None:
                waiting.append(self)
            elif self._on_freeze is not None:
                self._on_freeze(self)
        elif self._required:
            tensor.requires_grad_(True)

    def _begin(self, rule: Any) -> None:
        """Have a rule, or none, from now on; it is off where the tensor takes no gradient."""
        if rule is not None and not self.tensor.requires_grad:
            self._was_frozen, self._found = True, False
            _frozen.__set__(self, True)
            if rule.enabled:  # before it is the tensor's, which would take gradients then
                rule.enabled = False
        if rule is None or self.update_rule is not rule:
            # What was said to a rule before this one does not count.
            self._update_enabled = rule is None or bool(rule.enabled)
            self.update_rule = rule


_waiting: contextvars.ContextVar[list[TensorParameter] | None] = contextvars.ContextVar(
    "waiting", default=None
)


@contextlib.contextmanager
def freezing_at_the_end() -> Iterator[None]:
    """Let states of rules that a block switches off go at its end, and not if it raises."""
    waiting: list[TensorParameter] = []
    token = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(token)
    for param in waiting:
        if param.frozen and param._on_freeze is not None:
            param._on_freeze(param)


def reach_tensors(params: Iterable[Any]) -> None:
    """Write the values of parameters to their tensors, where those have been moved meanwhile.

    Args:
        params: The parameters.

    Raises:
        ValueError: If a tensor has another shape; all others have their values then.
    """
    failed: ValueError | None = None
    for param in params:
        if isinstance(param, TensorParameter):
            try:
                param._reach_tensor()
            except ValueError as error:
                failed = failed or error
    if failed is not None:
        raise failed


def _get_rule(self: torch.nn.Parameter) -> Any:
    """The rule that updates this parameter; None where no optimizer is attached."""
    param = _attached.get(id(self))
    return None if param is None else param.update_rule


def _set_rule(self: torch.nn.Parameter, rule: Any) -> None:
    param = _attached.get(id(self))
    if param is None:
        raise RuntimeError(
            "[chainrule.torch] this parameter has no optimizer of chainrule: call "
            "chainrule.torch.attach(model, optimizer) before its update_rule is set"
        )
    param.update_rule = rule


torch.nn.Parameter.update_rule = property(_get_rule, _set_rule, doc=_get_rule.__doc__)
