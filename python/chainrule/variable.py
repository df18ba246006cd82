"""Variables and parameters."""

import operator
from typing import Any

import numpy as np

from chainrule import _device_array, initializers
from chainrule._core import Variable, structure_changed
from chainrule._dlpack import from_dlpack
from chainrule._names import refuse_no_rule
from chainrule.backend import CpuDevice
from chainrule.configuration import config
from chainrule.dtypes import get_dtype

__all__ = [
    "Parameter",
    "Variable",
    "VariableNode",
    "as_array",
    "as_variable",
    "variable_repr",
    "variable_str",
]


def as_variable(obj: Any) -> Variable:
    """Make a Variable of an array; Variables stay as they are.

    Args:
        obj: A NumPy array or a Variable.

    Returns:
        A Variable; one made here takes no gradient.

    Example:
        >>> import numpy
        >>> as_variable(numpy.ones(2)).requires_grad
        False
    """
    return obj if isinstance(obj, Variable) else Variable(obj, requires_grad=False)


def as_array(obj: Any) -> np.ndarray:
    """Give the array of a Variable; arrays stay as they are.

    Args:
        obj: A NumPy array or a Variable.

    Returns:
        The array.
    """
    return obj.array if isinstance(obj, Variable) else obj


def variable_repr(var: Variable) -> str:
    """Give the text of ``repr(var)``.

    Args:
        var: A Variable.

    Returns:
        Text that looks like NumPy's for an array.
    """
    array = _device_array.on_cpu(var)
    prefix = "variable" if var.name is None else f"variable {var.name}"
    if array is None:
        text = "None"
    elif array.size or array.shape == (0,):
        text = np.array2string(array, separator=", ", prefix=prefix + "(")
    else:
        text = f"[], shape={array.shape}"
    return f"{prefix}({text})"


def variable_str(var: Variable) -> str:
    """Give the text of ``str(var)``.

    Args:
        var: A Variable.

    Returns:
        Text that looks like NumPy's for an array.
    """
    prefix = "variable" if var.name is None else f"variable {var.name}"
    array = _device_array.on_cpu(var)
    text = "None" if array is None else np.array2string(array, prefix=prefix + "(")
    return f"{prefix}({text})"


class VariableNode:
    """A Variable's place in the graph: known even where its data are not kept.

    Args:
        shape: Shape of the data.
        dtype: Dtype of the data, or None where there are none.
        variable: The Variable; one without data where nobody keeps those.

    Attributes:
        shape: Shape of the data.
        dtype: Dtype of the data.
    """

    __slots__ = ("_variable", "dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any, variable: Variable) -> None:
        self.shape = shape
        self.dtype = dtype
        self._variable = variable

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def data(self) -> np.ndarray | None:
        """The array, or None where it is not kept."""
        return self._variable.array

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient's array, or None."""
        return self._variable.grad

    @property
    def grad_var(self) -> Variable | None:
        """The gradient, or None."""
        return self._variable.grad_var

    @property
    def requires_grad(self) -> bool:
        """Whether backward computes its gradient."""
        return self._variable.requires_grad

    @property
    def name(self) -> str | None:
        """The Variable's name."""
        return self._variable.name

    @property
    def label(self) -> str:
        """Shape and dtype, as they stand in drawings of graphs."""
        if self.shape == ():
            return str(self.dtype)
        return f"({', '.join(map(str, self.shape))}), {self.dtype}"

    @property
    def rank(self) -> int:
        """Length of the longest chain of functions that led here."""
        return self._variable.rank

    @property
    def creator(self) -> Any:
        """The function that made it, or None."""
        return self._variable.creator

    @property
    def creator_node(self) -> Any:
        """The node of the function that made it, or None."""
        return _creator_node(self._variable)

    def get_variable(self) -> Variable:
        """Give the Variable.

        Returns:
            It; without data where nobody keeps those.
        """
        return self._variable

    def get_variable_or_none(self) -> Variable | None:
        """Give the Variable if its data are kept.

        Returns:
            It, or None.
        """
        return None if self._variable.array is None else self._variable


def _creator_node(self: Variable) -> Any:
    """The node of the function that made it; for an old-style Function not the same object."""
    creator = self.creator
    return getattr(creator, "node", creator)


def _repr(self: Variable) -> str:
    return variable_repr(self)


def _str(self: Variable) -> str:
    return variable_str(self)


def _node(self: Variable) -> Any:
    """Its place in the graph."""
    known = self._has_array
    return VariableNode(self.shape if known else (), self.dtype if known else None, self)


def _summary(self: Variable) -> str:
    """Say in a line which Variable this is.

    Returns:
        Its name, or its address.
    """
    return f"<variable at 0x{id(self):x}>" if self.name is None else f"<variable {self.name}>"


def _debug_print(self: Variable) -> str:
    """Describe the Variable: device, shape, dtype, and statistics of data and gradient.

    Returns:
        A text of several lines.
    """

    def statistics(array: np.ndarray | None) -> str:
        if array is None:
            return "None"
        if np.all(array == 0):
            return "0"
        return f"mean={float(np.mean(array)):.8f}, std={float(np.std(array)):.8f}"

    array = _device_array.on_cpu(self)
    known = array is not None
    data = "None" if not known else statistics(array)
    grad = self.grad_var
    device = "CPU" if isinstance(self.device, CpuDevice) else str(self.device)
    return "\n".join(
        (
            self.summary(),
            f"- device: {device if known else None}",
            f"- backend: {(type(array) if device == 'CPU' else 'cupy.ndarray') if known else None}",
            f"- shape: {array.shape if known else None}",
            f"- dtype: {array.dtype if known else None}",
            f"- statistics: {data}",
            f"- grad: {statistics(None if grad is None else _device_array.on_cpu(grad))}",
        )
    )


def _label(self: Variable) -> str:
    """Shape and dtype, as they stand in drawings of graphs."""
    return _node(self).label if self._has_array else "None"


def _mastered(self: Variable, master: Variable, grad: Variable) -> Variable:
    """Make of its float32 copy, and its gradient's, what a rule in Python updates."""
    master.name, master.grad_var = self.name, grad
    return master


def _retain_data(self: Variable) -> None:
    """Do nothing: a Variable keeps its data as long as it lives."""


def _restore(
    cls: type[Variable],
    array: np.ndarray | None,
    name: str | None,
    grad: np.ndarray | None,
    requires_grad: bool,
    frozen: bool,
) -> Variable:
    variable: Variable = cls.__new__(cls)
    Variable.__init__(variable, array, name=name, grad=grad, requires_grad=requires_grad)
    variable.frozen = frozen
    return variable


def _reduce(self: Variable) -> tuple[Any, ...]:
    # A copy has no graph behind it: what is pickled is data.
    arguments = (type(self), self.array, self.name, self.grad, self.requires_grad, self.frozen)
    return _restore, arguments, getattr(self, "__dict__", None) or None


def _copy(self: Variable) -> Variable:
    if self.creator is not None:
        return self.reshape(self.shape)  # the same data in the same graph
    copied = _restore(*_reduce(self)[1])
    if hasattr(copied, "__dict__"):
        copied.__dict__.update(self.__dict__)
    return copied


# What needs no speed is written here and not in C++.
for _name, _member in {
    "__copy__": _copy,
    "__reduce__": _reduce,
    "__repr__": _repr,
    "__str__": _str,
    "_mastered": _mastered,
    "creator_node": property(_creator_node),
    "debug_print": _debug_print,
    "device": property(_device_array.device),
    "from_dlpack": classmethod(from_dlpack),
    "from_chx": _device_array.from_chx,
    "label": property(_label),
    "node": property(_node),
    "retain_data": _retain_data,
    "summary": _summary,
    "to_chx": _device_array.to_chx,
    "to_cpu": _device_array.to_cpu,
    "to_device": _device_array.to_device,
    "to_gpu": _device_array.to_gpu,
    "to_intel64": _device_array.to_intel64,
    "xp": property(_device_array.xp),
}.items():
    setattr(Variable, _name, _member)

_native_dtype = Variable.dtype.fget  # type: ignore[attr-defined]


class Parameter(Variable):
    """A Variable that an optimizer updates.

    Its shape may be left open; the parameter is then initialised later, usually when its link is
    first called.

    Args:
        initializer: What the array is filled with: a number, an array, or a callable that fills
            an array, such as :class:`chainrule.initializers.Normal`. An array without a shape is
            taken as the data itself. None stands for NaN.
        shape: Shape of the array; None leaves it open.
        name: Name of the parameter.
        layout: Kept for Chainer's signature.

    Attributes:
        initializer: What the array is filled with.
        update_rule: The :class:`chainrule.UpdateRule` that updates it, or None.

    Example:
        >>> w = Parameter(0.5)
        >>> w.is_initialized
        False
        >>> w.initialize((2,))
        >>> w
        variable([0.5, 0.5])
    """

    initializer: Any
    _update_rule: Any = None
    # The count of the optimizer that updates it; rules that it gets later follow it at once.
    _clock: Any = None
    _update_enabled = True

    def __init__(
        self,
        initializer: initializers.InitializerLike = None,
        shape: int | tuple[int, ...] | None = None,
        name: str | None = None,
        *,
        layout: Any = None,
    ) -> None:
        if initializer is None:
            initializer = initializers.NaN()
        elif shape is None and (
            isinstance(initializer, np.ndarray) or hasattr(initializer, "__cuda_array_interface__")
        ):
            super().__init__(initializer, name=name)
            self.initializer = initializer
            return
        else:
            initializer = initializers._get_initializer(initializer)
        self.initializer = initializer
        if shape is None:
            super().__init__(name=name)
            return
        if isinstance(shape, (int, np.integer)):
            shape = (int(shape),)
        super().__init__(initializers.generate_array(initializer, tuple(shape)), name=name)

    def _shown(self) -> Any:
        """Give what conditions of selections see; another library's parameter where it is one."""
        return self

    def _stand_in(self) -> Variable:
        """Give zeros like this one, with a gradient, for rules to make states for."""
        zeros = Variable(np.zeros(self.shape, self.dtype))
        made = Variable._from_dlpack(zeros, self.__dlpack_device__())
        made.grad_var = Variable._from_dlpack(made)
        return made

    @property
    def is_initialized(self) -> bool:
        """Whether it has an array."""
        return self._has_array

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the array, or the one it is going to have."""
        if self.is_initialized:
            return _native_dtype(self)
        return get_dtype(getattr(self.initializer, "dtype", None))

    def initialize(self, shape: tuple[int, ...]) -> None:
        """Make the array and fill it.

        Args:
            shape: Its shape.
        """
        initializer = initializers._get_initializer(self.initializer)
        array = initializers.generate_array(initializer, tuple(shape))
        self.cleargrad()
        self.array = array

    def _set_update_rule(self, rule: Any) -> None:
        refuse_no_rule(rule)
        if self._clock is not None and hasattr(rule, "_follow"):
            rule._follow(self._clock)
        attach = getattr(rule, "_attach", None)  # not every stand-in for a rule has it
        if attach is not None:
            attach(self)
        self._update_rule = rule
        structure_changed()  # optimizers keep tables
        # What was said before there was a rule holds for the rule.
        if rule is not None and not self._update_enabled:
            rule.enabled = False

    #: Reading goes through C: optimizers ask for every parameter at every step.
    update_rule = property(
        operator.attrgetter("_update_rule"),
        _set_update_rule,
        doc="The rule that updates this parameter, or None.",
    )

    @property
    def update_enabled(self) -> bool:
        """Whether its rule updates it; remembered for a rule that it does not have yet."""
        rule = self._update_rule
        return self._update_enabled if rule is None else bool(rule.enabled)

    @update_enabled.setter
    def update_enabled(self, enabled: bool) -> None:
        rule = self._update_rule
        if rule is not None:
            rule.enabled = enabled
        if not config.chainer_semantics:
            self._update_enabled = enabled
            self.frozen = not enabled

    def update(self) -> None:
        """Update the array by the parameter's own rule, if it has one."""
        if self._update_rule is not None:
            self._update_rule.update(self)

    def copydata(self, var: Variable) -> None:
        """Copy the data of another variable.

        The one of the two that has no array yet is initialised in the shape of the other.

        Args:
            var: Where to copy from.

        Raises:
            ValueError: If shapes differ.
        """
        if isinstance(var, Parameter) and not var.is_initialized:
            if not self.is_initialized:
                return
            var.initialize(self.shape)
        elif not self.is_initialized and var.array is not None:
            self.initialize(var.shape)
        super().copydata(var)

    def addgrad(self, var: Variable) -> None:
        """Add the gradient of another variable.

        A parameter without an array is initialised in the other's shape.

        Args:
            var: Whose gradient to add.
        """
        if not self.is_initialized and var._has_grad:
            self.initialize(var.shape)
        super().addgrad(var)
