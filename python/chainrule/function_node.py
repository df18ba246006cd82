"""Differentiable functions written in Python."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import _core
from chainrule._core import Variable
from chainrule.configuration import config
from chainrule.gradients import grad
from chainrule.utils import type_check
from chainrule.variable import VariableNode, as_variable

__all__ = ["FunctionNode", "grad"]


def _output(node: Any, index: int) -> VariableNode | None:
    variable = node.output_variable(index)
    return None if variable is None else variable.node


class FunctionNode:
    r"""A function of arrays whose gradient is written with functions of Variables.

    A subclass defines ``forward``, which computes arrays from arrays, and ``backward``, which
    computes gradients. ``backward`` is made of public functions on Variables, so that it can be
    differentiated again. :meth:`apply` runs the function; each object runs once.

    Example:
        >>> import chainrule, numpy
        >>> class Cube(chainrule.FunctionNode):
        ...     def forward(self, inputs):
        ...         self.retain_inputs((0,))
        ...         (x,) = inputs
        ...         return (x**3,)
        ...
        ...     def backward(self, indexes, grad_outputs):
        ...         (x,) = self.get_retained_inputs()
        ...         return (3 * x**2 * grad_outputs[0],)
        >>> x = chainrule.Variable(numpy.array(2.0))
        >>> (y,) = Cube().apply((x,))
        >>> y.backward()
        >>> float(x.grad)
        12.0
    """

    # Set by `apply`; the native node, which holds this object.
    _node: Any = None
    _to_retain: tuple[int, ...] = ()
    _outputs_to_retain: tuple[int, ...] = ()

    @property
    def _graph(self) -> Any:
        """The native node, or None before `apply` and after the graph was freed."""
        return self._node if self._node is not None and self._node.alive else None

    @property
    def _creator(self) -> Any:
        """What ``Variable.creator`` is for the outputs."""
        return self

    @property
    def inputs(self) -> tuple[VariableNode, ...] | None:
        """What the inputs are: shape, dtype, place in the graph; None where there is no graph."""
        graph = self._graph
        return graph and tuple(VariableNode(*described) for described in graph.inputs())

    @property
    def outputs(self) -> tuple[Callable[[], VariableNode | None], ...] | None:
        """References to the outputs: called, each gives a node, or None if nobody holds it."""
        graph = self._graph
        return graph and tuple(
            functools.partial(_output, graph, i) for i in range(graph.output_count)
        )

    @property
    def rank(self) -> int:
        """Length of the longest chain of functions that led here."""
        graph = self._graph
        return 0 if graph is None else graph.rank

    @property
    def label(self) -> str:
        """Name in messages and drawings of graphs: the class's."""
        return type(self).__name__

    @property
    def output_data(self) -> tuple[np.ndarray | None, ...] | None:
        """Arrays of the outputs that are retained or still held, None for the others."""
        graph = self._graph
        return graph and graph.output_data

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: the function is run by :meth:`apply`.

        Args:
            *args: Anything.
            **kwargs: Anything.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            f"A function class object ({type(self).__name__}) which is derived from FunctionNode "
            "has been called as if it were a callable. Use apply() method instead."
        )

    def apply(self, inputs: Sequence[Any]) -> tuple[Variable, ...]:
        """Run the function.

        Args:
            inputs: Variables or arrays.

        Returns:
            The outputs.

        Raises:
            RuntimeError: If this object has run already.
            chainrule.utils.type_check.InvalidType: If ``check_type_forward`` refuses the inputs.
            TypeError: If ``forward`` returns anything but a tuple of arrays.
        """
        if self._node is not None:
            raise RuntimeError(
                f"[{self.label}] this function has run already: make a new object for each apply"
            )
        variables = [as_variable(x) for x in inputs]
        arrays = tuple(x.array for x in variables)
        if type(self).check_type_forward is not FunctionNode.check_type_forward:
            self._check_types(arrays)
        outputs: Any = self.forward(arrays)
        if not isinstance(outputs, tuple):
            raise TypeError(
                f"forward output must be a tuple ({self.label})\nActual: {type(outputs)}"
            )
        for output in outputs:
            if not isinstance(output, (np.ndarray, np.generic)):
                types = ", ".join(str(type(y)) for y in outputs)
                raise TypeError(
                    f"forward output must be a tuple of ndarrays.\nFunction: {self.label}\n"
                    f"Actual output types: ({types})"
                )
        if config.debug:
            for output in outputs:
                if output.dtype.kind == "f" and np.isnan(output).any():
                    raise RuntimeError(f"NaN is detected on forward computation of {self.label}")
        return _core.apply_node(self, variables, outputs, self._to_retain, self._outputs_to_retain)

    def _check_types(self, arrays: tuple[Any, ...]) -> None:
        if not config.type_check:
            return
        try:
            self.check_type_forward(type_check.get_types(arrays, "in_types", False))
        except type_check.InvalidType as error:
            message = (
                f"\nInvalid operation is performed in: {self.label} (Forward)\n\n"
                f"Expect: {error.expect}\nActual: {error.actual}"
            )
            raise type_check.InvalidType(error.expect, error.actual, message) from None

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

    def retain_inputs(self, indexes: Sequence[int]) -> None:
        """Keep inputs for ``backward``; to be called in ``forward``.

        Args:
            indexes: Which ones.
        """
        self._to_retain = tuple(indexes)

    def retain_outputs(self, indexes: Sequence[int]) -> None:
        """Keep outputs for ``backward``; to be called in ``forward``.

        Args:
            indexes: Which ones.
        """
        self._outputs_to_retain = tuple(indexes)

    def get_retained_inputs(self) -> tuple[Variable, ...]:
        """Give the inputs that were retained, in the order in which that was asked for.

        Returns:
            Variables in the graph, with the data that they had in ``forward``.

        Raises:
            RuntimeError: If there is no graph, or data were replaced since and the gradient would
                have to be differentiated again.
        """
        return self._connected().retained_inputs()

    def get_retained_outputs(self) -> tuple[Variable, ...]:
        """Give the outputs that were retained, in the order in which that was asked for.

        Returns:
            Variables in the graph.

        Raises:
            RuntimeError: If there is no graph.
        """
        return self._connected().retained_outputs()

    def _connected(self) -> Any:
        if self._node is None:
            raise RuntimeError(f"[{self.label}] there is no graph: apply() has recorded nothing")
        return self._node

    def backward(
        self,
        target_input_indexes: tuple[int, ...],
        grad_outputs: tuple[Variable | None, ...],
    ) -> tuple[Variable | None, ...]:
        """Compute gradients of inputs; for a subclass to define.

        Args:
            target_input_indexes: Which inputs need gradients.
            grad_outputs: Gradients of the outputs, None where there is none.

        Returns:
            One gradient for each of ``target_input_indexes``; None where there is none.
        """
        return (None,) * len(target_input_indexes)

    def backward_accumulate(
        self,
        target_input_indexes: tuple[int, ...],
        grad_outputs: tuple[Variable | None, ...],
        grad_inputs: tuple[Variable | None, ...],
    ) -> tuple[Variable | None, ...]:
        """Compute gradients of inputs and add them to others.

        Args:
            target_input_indexes: Which inputs need gradients.
            grad_outputs: Gradients of the outputs, None where there is none.
            grad_inputs: What to add to, for each of ``target_input_indexes``, or None.

        Returns:
            The sums.
        """
        gradients = self.backward(target_input_indexes, grad_outputs)
        return tuple(
            old if new is None else new if old is None else old + new
            for old, new in zip(grad_inputs, gradients, strict=True)
        )

    def _run_backward(
        self,
        target_input_indexes: tuple[int, ...],
        grad_outputs: tuple[Variable | None, ...],
    ) -> Any:
        """What the native node calls; checks what comes back."""
        if type(self).backward_accumulate is not FunctionNode.backward_accumulate:
            nothing = (None,) * len(target_input_indexes)
            gradients = self.backward_accumulate(target_input_indexes, grad_outputs, nothing)
        else:
            gradients = self.backward(target_input_indexes, grad_outputs)
        if not isinstance(gradients, (tuple, list)):
            raise TypeError(
                f"[{self.label}] backward returned {type(gradients).__name__}, expected a tuple of "
                "Variables"
            )
        if len(gradients) != len(target_input_indexes):
            raise ValueError(
                f"[{self.label}] number of gradients returned from backward is incorrect: "
                f"{len(gradients)} != expected {len(target_input_indexes)}"
            )
        for gradient in gradients:
            if gradient is not None and not isinstance(gradient, Variable):
                raise TypeError(
                    f"[{self.label}] backward returned a tuple with {type(gradient).__name__}, "
                    "expected Variables or None"
                )
        return gradients

    def unchain(self) -> None:
        """Cut the graph here: nothing behind this function gets gradients through it."""
        if self._graph is not None:
            self._graph.unchain()
