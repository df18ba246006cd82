"""Functions in the old style: forward and backward both on arrays."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule._core import Variable
from chainrule.configuration import force_backprop_mode, no_backprop_mode
from chainrule.function_node import FunctionNode
from chainrule.variable import VariableNode

__all__ = ["Function", "FunctionAdapter", "force_backprop_mode", "no_backprop_mode"]


class FunctionAdapter(FunctionNode):
    """The node behind a :class:`Function`.

    Args:
        function: The function.
    """

    def __init__(self, function: Function) -> None:
        self._function = function

    @property
    def function(self) -> Function:
        """The function behind this node."""
        return self._function

    @property
    def _creator(self) -> Any:
        return self._function

    @property
    def label(self) -> str:
        """The function's label."""
        return self._function.label

    def check_type_forward(self, in_types: Any) -> None:
        """Let the function check its inputs.

        Args:
            in_types: Describes the inputs.
        """
        self._function.check_type_forward(in_types)

    def forward(self, inputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Run the function's forward.

        Args:
            inputs: Arrays.

        Returns:
            Arrays.
        """
        self._input_count = len(inputs)
        self.retain_inputs(range(len(inputs)))
        return self._function.forward(inputs)

    def backward(
        self,
        target_input_indexes: tuple[int, ...],
        grad_outputs: tuple[Variable | None, ...],
    ) -> tuple[Variable | None, ...]:
        """Run the function's backward.

        Args:
            target_input_indexes: Which inputs need gradients.
            grad_outputs: Gradients of the outputs, None where there is none.

        Returns:
            Gradients, which cannot be differentiated.
        """
        inputs: list[Variable | None] = [None] * self._input_count
        for index, variable in zip(self._to_retain, self.get_retained_inputs(), strict=True):
            inputs[index] = variable
        run = _OldBackward(self._function, target_input_indexes, inputs, grad_outputs)
        return run.gradients()


class _OldBackward(FunctionNode):
    """Runs an old-style backward; refuses to be differentiated itself."""

    def __init__(
        self,
        function: Function,
        targets: tuple[int, ...],
        inputs: list[Variable | None],
        grad_outputs: tuple[Variable | None, ...],
    ) -> None:
        self._function = function
        self._targets = targets
        self._given = (inputs, grad_outputs)
        self._empty: list[bool] = []

    @property
    def label(self) -> str:
        return f"{self._function.label} (backward)"

    def gradients(self) -> tuple[Variable | None, ...]:
        inputs, grad_outputs = self._given
        outputs = iter(self.apply([x for x in (*inputs, *grad_outputs) if x is not None]))
        return tuple(None if empty else next(outputs) for empty in self._empty)

    def forward(self, _: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        inputs, grad_outputs = (
            tuple(None if x is None else x.array for x in given) for given in self._given
        )
        del self._given  # the graph holds what it needs
        gradients = self._function.backward(inputs, grad_outputs)
        if not isinstance(gradients, (tuple, list)):
            raise TypeError(
                f"[{self._function.label}] backward returned {type(gradients).__name__}, expected "
                "a tuple of arrays"
            )
        if len(gradients) != len(inputs):
            raise ValueError(
                f"[{self._function.label}] number of gradients returned from backward is "
                f"incorrect: {len(gradients)} != expected {len(inputs)}"
            )
        wanted = [gradients[index] for index in self._targets]
        self._empty = [gradient is None for gradient in wanted]
        return tuple(gradient for gradient in wanted if gradient is not None)

    def backward(
        self,
        target_input_indexes: tuple[int, ...],
        grad_outputs: tuple[Variable | None, ...],
    ) -> tuple[Variable | None, ...]:
        raise RuntimeError(
            f'cannot twice-differentiate an old style Function "{self._function.label}"'
        )


class Function:
    """A function whose forward and backward both compute arrays from arrays.

    It cannot be differentiated twice; :class:`chainrule.FunctionNode` can. All inputs are kept for
    ``backward`` unless ``forward`` calls :meth:`retain_inputs`.

    Example:
        >>> import chainrule, numpy
        >>> class Double(chainrule.Function):
        ...     def forward(self, inputs):
        ...         return (inputs[0] * 2,)
        ...
        ...     def backward(self, inputs, grad_outputs):
        ...         return (grad_outputs[0] * 2,)
        >>> x = chainrule.Variable(numpy.array(3.0))
        >>> y = Double()(x)
        >>> y.backward()
        >>> float(x.grad)
        2.0
    """

    # The node of the last call, which holds this object.
    _adapter: weakref.ref[FunctionAdapter] | None = None

    def __call__(self, *inputs: Any) -> Any:
        """Run the function.

        Args:
            *inputs: Variables or arrays.

        Returns:
            The output, or a tuple of several.
        """
        adapter = FunctionAdapter(self)
        self._adapter = weakref.ref(adapter)
        outputs = adapter.apply(inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def node(self) -> FunctionAdapter:
        """The node of the last call.

        Raises:
            RuntimeError: If there was none, or its graph is gone.
        """
        adapter = None if self._adapter is None else self._adapter()
        if adapter is None:
            raise RuntimeError(f"[{self.label}] there is no graph: the function was not called")
        return adapter

    @property
    def inputs(self) -> tuple[VariableNode, ...] | None:
        """What the inputs of the last call are."""
        return self.node.inputs

    @property
    def outputs(self) -> tuple[Callable[[], VariableNode | None], ...] | None:
        """References to the outputs of the last call."""
        return self.node.outputs

    @property
    def rank(self) -> int:
        """Length of the longest chain of functions that led here."""
        return self.node.rank

    @property
    def output_data(self) -> tuple[np.ndarray | None, ...] | None:
        """Arrays of the outputs that are retained or still held."""
        return self.node.output_data

    @property
    def label(self) -> str:
        """Name in messages and drawings of graphs: the class's."""
        return type(self).__name__

    def check_type_forward(self, in_types: Any) -> None:
        """Check shapes and dtypes of the inputs; for a subclass to define.

        Args:
            in_types: Describes the inputs, see :mod:`chainrule.utils.type_check`.
        """

    def forward(self, inputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Compute the outputs; for a subclass to define.

        Args:
            inputs: Arrays.

        Returns:
            A tuple of arrays.
        """
        return self.forward_cpu(inputs)

    def forward_cpu(self, inputs: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Compute the outputs on a CPU; for a subclass that does not define ``forward``.

        Args:
            inputs: NumPy arrays.

        Returns:
            A tuple of arrays.

        Raises:
            NotImplementedError: If the subclass defines neither.
        """
        raise NotImplementedError(f"[{self.label}] neither forward nor forward_cpu is defined")

    def forward_gpu(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Compute the outputs on a GPU; for a subclass that does not define ``forward``.

        Args:
            inputs: Arrays on a GPU.

        Returns:
            A tuple of arrays.

        Raises:
            NotImplementedError: If the subclass defines neither.
        """
        raise NotImplementedError(f"[{self.label}] neither forward nor forward_gpu is defined")

    def backward(
        self,
        inputs: tuple[np.ndarray | None, ...],
        grad_outputs: tuple[np.ndarray | None, ...],
    ) -> tuple[np.ndarray | None, ...]:
        """Compute the gradients of all inputs; for a subclass to define.

        Args:
            inputs: The input arrays; None where they were not retained.
            grad_outputs: Gradients of the outputs; None where there is none.

        Returns:
            One gradient for each input; None where there is none.
        """
        return self.backward_cpu(inputs, grad_outputs)

    def backward_cpu(
        self,
        inputs: tuple[np.ndarray | None, ...],
        grad_outputs: tuple[np.ndarray | None, ...],
    ) -> tuple[np.ndarray | None, ...]:
        """Compute the gradients on a CPU; for a subclass that does not define ``backward``.

        Args:
            inputs: The input arrays; None where they were not retained.
            grad_outputs: Gradients of the outputs; None where there is none.

        Returns:
            One gradient for each input; None for all by default.
        """
        return (None,) * len(inputs)

    def backward_gpu(self, inputs: tuple[Any, ...], grad_outputs: tuple[Any, ...]) -> Any:
        """Compute the gradients on a GPU; for a subclass that does not define ``backward``.

        Args:
            inputs: The input arrays; None where they were not retained.
            grad_outputs: Gradients of the outputs; None where there is none.

        Returns:
            One gradient for each input; None for all by default.
        """
        return (None,) * len(inputs)

    def retain_inputs(self, indexes: Sequence[int]) -> None:
        """Keep only these inputs for ``backward``; to be called in ``forward``.

        Args:
            indexes: Which ones.
        """
        self.node.retain_inputs(indexes)

    def retain_outputs(self, indexes: Sequence[int], retain_after_backward: bool = False) -> None:
        """Keep outputs for ``backward``, which finds them in ``self.output_data``.

        Args:
            indexes: Which ones.
            retain_after_backward: Kept for Chainer's signature.
        """
        self.node.retain_outputs(indexes)

    def unchain(self) -> None:
        """Cut the graph here: nothing behind this function gets gradients through it."""
        self.node.unchain()
