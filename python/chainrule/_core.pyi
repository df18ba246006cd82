"""
chainrule's native core. Use it through the package chainrule.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
import typing_extensions
__all__: list[str] = ['Algorithm', 'BorrowedTensors', 'Clock', 'Expression', 'GradientHook', 'HookedWeights', 'Hyperparameter', 'Node', 'NodeHandle', 'Perturbation', 'Undo', 'UpdateRule', 'UpdateTable', 'Variable', 'absolute', 'accuracy', 'add', 'apply_hook', 'apply_node', 'argmax', 'argmin', 'as_variable', 'average', 'backprop_enabled', 'backward', 'broadcast', 'broadcast_to', 'cast', 'clear_backprop_enabled', 'clip', 'concat', 'cpu_memory', 'cuda_device_count', 'cuda_device_name', 'cuda_memory_info', 'cuda_products', 'cuda_release_cached_memory', 'cuda_rule_compiler', 'cuda_set_reclaimer', 'cuda_status', 'cuda_synchronize', 'default_hyperparameter', 'divide', 'dropout', 'dropout_mask', 'elu', 'empty_bytes', 'equal', 'exp', 'expand_dims', 'flatten', 'flip', 'floor_divide', 'get_item', 'grad', 'greater', 'greater_equal', 'instruction_set', 'leaky_relu', 'less', 'less_equal', 'linear', 'live_node_count', 'live_variable_count', 'log', 'log_softmax', 'logsumexp', 'matmul', 'max', 'maximum', 'mean', 'mean_squared_error', 'min', 'minimum', 'moveaxis', 'multiply', 'nearest', 'negative', 'not_equal', 'num_threads', 'onednn_version', 'overlaps', 'power', 'problem_with_traced_code', 'put_item', 'release_cached_memory', 'relu', 'repeat', 'reshape', 'rollaxis', 'select_item', 'separate', 'set_backprop_enabled', 'set_backprop_enabled_globally', 'set_num_threads', 'sigmoid', 'sigmoid_cross_entropy', 'softmax', 'softmax_cross_entropy', 'softplus', 'split_axis', 'sqrt', 'square', 'squeeze', 'stack', 'structure_changed', 'structure_version', 'subtract', 'sum', 'sum_to', 'swapaxes', 'tanh', 'transpose', 'update_rules', 'values_version', 'where', 'wide_copy', 'xla_call_target', 'xla_close']
class Node:
    """
    One recorded operation; what ``Variable.creator`` is.
    """
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def __repr__(self) -> str:
        ...
    @property
    def label(self) -> str:
        """
        Name of the operation.
        """
    @property
    def rank(self) -> int:
        """
        Length of the longest chain of operations that led here.
        """
class Variable:
    """
    An array that remembers how it was computed.
    
    Operations on variables are recorded as they run, and ``backward`` runs them back:
    ``x.grad`` is then d(self)/dx for every variable ``x`` that took part. The data stay
    the caller's: ``Variable(x).array is x``.
    
    Args:
        data: NumPy array of dtype bool, (u)int8 to int64, float16, bfloat16 (with
            ml_dtypes), float32 or float64, of at most 8 dimensions; or None for a
            variable that gets its data later.
        name: Shown when the variable is printed and in errors.
        grad: Initial gradient, of the shape and dtype of ``data``.
        requires_grad: Whether ``backward`` computes its gradient.
    
    Raises:
        TypeError: If ``data`` is no array or of another dtype.
        ValueError: If ``grad`` has another shape.
    
    Example:
        >>> import numpy
        >>> from chainrule import Variable
        >>> x = Variable(numpy.array([1.0, 2.0], dtype=numpy.float32))
        >>> y = x * x
        >>> y.grad = numpy.ones_like(y.array)
        >>> y.backward()
        >>> x.grad
        array([2., 4.], dtype=float32)
    """
    __array_priority__: typing.ClassVar[int] = 200
    __array_ufunc__ = None
    @staticmethod
    def _first_elsewhere(variables: list, arrays: list) -> int | None:
        """
        The number of the first variable that does not look as its ndarray, on the same
        memory, or whose ndarray is read-only; None if there is none.
        """
    @staticmethod
    def _from_dlpack(x: typing.Any, device: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex] | None = None, copy: bool | None = None) -> Variable:
        ...
    @classmethod
    def from_dlpack(cls: type[Variable], x: typing.Any, *, device: typing.Any = None, copy: bool | None = None) -> Variable:
        """
        Make a variable on the memory of another library's array or tensor.
        
            Nothing is copied: both see what either writes, and the memory lives until both let go of it.
            What the other library calls read-only stays so, as JAX's arrays are. The other way,
            ``numpy.from_dlpack(variable)`` and ``torch.from_dlpack(variable)`` do the same.
        
            On a CUDA device the other library is told which stream works here, and makes that wait for
            what it has yet to do. Letting go of such memory waits for the work on it.
        
            Args:
                cls: The class that it is asked of.
                x: An object with ``__dlpack__`` and ``__dlpack_device__``, on the CPU or on a CUDA
                    device: an array of NumPy, CuPy or JAX, a tensor of PyTorch, a Variable; or a capsule
                    of DLPack's.
                device: Where the variable is to be: None where ``x`` is, ``'cpu'``, ``'cuda'``,
                    ``'cuda:1'``, a :class:`chainrule.backend.Device` or DLPack's pair of numbers. What
                    lies elsewhere is copied.
                copy: Whether to copy; None only to get to ``device``, False never.
        
            Returns:
                A variable, or a parameter where it is asked of :class:`chainrule.Parameter`.
        
            Raises:
                TypeError: If ``x`` is something else, or of a dtype that chainrule does not have.
                ValueError: If it has more than 8 dimensions, the capsule has been used, or ``device`` is
                    none.
                BufferError: If the memory is on a device that cannot be used, is not aligned, or cannot
                    be given, or if it had to be copied and ``copy`` is False.
        
            Example:
                >>> import numpy, chainrule
                >>> x = numpy.zeros(3, numpy.float32)
                >>> v = chainrule.Variable.from_dlpack(x)
                >>> v.array[0] = 1
                >>> x
                array([1., 0., 0.], dtype=float32)
            
        """
    def __abs__(self):
        """
        abs(self)
        """
    def __add__(self, value):
        """
        Return self+value.
        """
    def __array__(self, dtype: typing.Any = None, copy: typing.Any = None) -> typing.Any:
        """
        The data as NumPy asks for them: ``numpy.asarray(x)`` is ``x.array``.
        
        There is no ``__array_interface__``, which would leave NumPy with an address only: a
        variable can be given another array while NumPy looks at the old one.
        
        Args:
            dtype: Another dtype, which costs a copy.
            copy: Whether to copy; False refuses to.
        
        Raises:
            TypeError: If the data lie on a CUDA device.
            ValueError: If there are none, or a copy is needed and refused.
        
        Example:
            >>> import numpy, chainrule
            >>> v = chainrule.Variable(numpy.ones(2))
            >>> numpy.asarray(v) is v.array
            True
        """
    def __bool__(self):
        """
        True if self else False
        """
    def __copy__(self) -> Variable:
        ...
    def __dlpack__(self, *, stream: typing.Any = None, max_version: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex] | None = None, dl_device: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex] | None = None, copy: bool | None = None) -> typing.Any:
        """
        Gives the data to another library as DLPack's protocol says: without a copy, unless
        ``copy`` is true or ``dl_device`` is another device. The memory lives as long as the
        other side needs it.
        
        Args:
            stream: On a CUDA device, the stream that the other side works on, as an integer:
                it is made to wait for what was computed here. None and 1 stand for the legacy
                default stream, 2 for the thread's own, -1 for no waiting. None on the CPU.
            max_version: The newest version that the other side understands. Before ``(1, 0)``
                nothing read-only can be given.
            dl_device: Where the memory is to be: None where it is, ``(1, 0)`` on the CPU,
                ``(2, i)`` on a CUDA device.
            copy: Whether to copy; False refuses to.
        
        Returns:
            A capsule.
        
        Raises:
            BufferError: If it cannot be given so: without a copy nothing can whose elements
                run backwards, or are laid out in steps of a fraction of one.
            TypeError: If ``stream`` is no integer.
            ValueError: If it is one that the protocol does not have.
        
        Example:
            >>> import numpy, chainrule
            >>> v = chainrule.Variable(numpy.arange(3))
            >>> numpy.from_dlpack(v)
            array([0, 1, 2])
        """
    def __dlpack_device__(self) -> tuple[int, int]:
        """
        The device that the data lie on, as DLPack numbers them: ``(1, 0)`` is the CPU,
        ``(2, i)`` a CUDA device.
        """
    def __eq__(self, value):
        """
        Return self==value.
        """
    def __float__(self):
        """
        float(self)
        """
    def __floordiv__(self, value):
        """
        Return self//value.
        """
    def __ge__(self, value):
        """
        Return self>=value.
        """
    def __getitem__(self: Variable | numpy.ndarray | numpy.generic | float | None, slices: typing.Any) -> Variable:
        """
        Elements named by integers, slices, None, Ellipsis, arrays, masks.
        """
    def __gt__(self, value):
        """
        Return self>value.
        """
    def __hash__(self):
        """
        Return hash(self).
        """
    def __init__(self, data: typing.Any = None, *, name: str | None = None, grad: typing.Any = None, requires_grad: bool = True) -> None:
        ...
    def __int__(self):
        """
        int(self)
        """
    def __le__(self, value):
        """
        Return self<=value.
        """
    def __len__(self) -> int:
        ...
    def __lt__(self, value):
        """
        Return self<value.
        """
    def __matmul__(self, value):
        """
        Return self@value.
        """
    def __mul__(self, value):
        """
        Return self*value.
        """
    def __ne__(self, value):
        """
        Return self!=value.
        """
    def __neg__(self):
        """
        -self
        """
    def __pos__(self):
        """
        +self
        """
    def __pow__(self, value, mod = None):
        """
        Return pow(self, value, mod).
        """
    def __radd__(self, value):
        """
        Return value+self.
        """
    def __reduce__(self) -> tuple[typing.Any, ...]:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def __repr__(self) -> str:
        ...
    def __rfloordiv__(self, value):
        """
        Return value//self.
        """
    def __rmatmul__(self, value):
        """
        Return value@self.
        """
    def __rmul__(self, value):
        """
        Return value*self.
        """
    def __rpow__(self, value, mod = None):
        """
        Return pow(value, self, mod).
        """
    def __rsub__(self, value):
        """
        Return value-self.
        """
    def __rtruediv__(self, value):
        """
        Return value/self.
        """
    def __str__(self) -> str:
        ...
    def __sub__(self, value):
        """
        Return self-value.
        """
    def __truediv__(self, value):
        """
        Return self/value.
        """
    def _dlpack_of_any_strides(self, *, stream: typing.Any = None, max_version: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex] | None = None, dl_device: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex] | None = None, copy: bool | None = None) -> typing.Any:
        """
        ``__dlpack__`` for a library that takes negative strides.
        """
    def _mastered(self, master: Variable, grad: Variable) -> Variable:
        """
        Make of its float32 copy, and its gradient's, what a rule in Python updates.
        """
    def _share(self, other: Variable) -> None:
        """
        Takes the memory of another variable for its data.
        """
    def addgrad(self, var: Variable) -> None:
        """
        Adds the gradient of another variable.
        """
    def astype(self: Variable | numpy.ndarray | numpy.generic | float | None, dtype: typing.Any) -> Variable:
        """
        The elements in another dtype.
        """
    def backward(self, retain_grad: bool = False, enable_double_backprop: bool = False, loss_scale: typing.SupportsFloat | typing.SupportsIndex | None = None) -> None:
        """
        Computes d(self)/dx for every variable that led here.
        
        Gradients are added to those that are there already. A variable of more than one
        element needs its own ``grad`` set first.
        
        Args:
            retain_grad: Keep the gradients of intermediate variables too.
            enable_double_backprop: Record the computation of the gradients, so that they
                can be differentiated.
            loss_scale: The gradient to start from instead of one.
        
        Raises:
            RuntimeError: If nothing was recorded, or the graph was freed.
            ValueError: If there are several elements and no gradient to start from.
        """
    def cleargrad(self) -> None:
        """
        Forgets the gradient.
        """
    def copydata(self, var: Variable) -> None:
        """
        Copies the data of another variable.
        """
    def debug_print(self) -> str:
        """
        Describe the Variable: device, shape, dtype, and statistics of data and gradient.
        
            Returns:
                A text of several lines.
            
        """
    def from_chx(self) -> None:
        """
        Do nothing: there are no ChainerX arrays.
        """
    def item(self) -> typing.Any:
        """
        The only element, as a Python number.
        """
    def max(self: Variable | numpy.ndarray | numpy.generic | float | None, axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False) -> Variable:
        """
        Greatest element over axes, all by default.
        """
    def mean(self: Variable | numpy.ndarray | numpy.generic | float | None, axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False) -> Variable:
        """
        Mean over axes, all by default.
        """
    def min(self: Variable | numpy.ndarray | numpy.generic | float | None, axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False) -> Variable:
        """
        Least element over axes, all by default.
        """
    def reshape(self: Variable | numpy.ndarray | numpy.generic | float | None, *args) -> Variable:
        """
        The same elements in another shape; one dimension may be -1.
        """
    def retain_data(self) -> None:
        """
        Do nothing: a Variable keeps its data as long as it lives.
        """
    def sum(self: Variable | numpy.ndarray | numpy.generic | float | None, axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False) -> Variable:
        """
        Sum over axes, all by default.
        """
    def summary(self) -> str:
        """
        Say in a line which Variable this is.
        
            Returns:
                Its name, or its address.
            
        """
    def to_chx(self) -> None:
        """
        Refuse: ChainerX's part is played by chainrule's own core.
        
            Raises:
                RuntimeError: Always.
            
        """
    def to_cpu(self) -> None:
        """
        Move data and gradient to the CPU.
        """
    def to_device(self, device: typing.Any) -> None:
        """
        Move data and gradient to a device: what :func:`chainrule.get_device` takes.
        """
    def to_gpu(self, device: typing.Any = None) -> None:
        """
        Move data and gradient to a GPU, named by its number; the first by default.
        """
    def to_intel64(self) -> None:
        """
        Do nothing: on a CPU oneDNN is used anyway.
        """
    def transpose(self: Variable | numpy.ndarray | numpy.generic | float | None, *args) -> Variable:
        """
        The axes in another order; reversed where none are named.
        """
    def unchain(self) -> None:
        """
        Cuts the variable off from what it came from.
        """
    def unchain_backward(self) -> None:
        """
        Cuts and frees the whole graph that led here.
        """
    def zerograd(self) -> None:
        """
        Sets the gradient to zeros.
        """
    @property
    def T(self) -> Variable:
        """
        The variable with its axes reversed.
        """
    @property
    def __cuda_array_interface__(self) -> dict:
        """
        The memory on a CUDA device as version 3 of the CUDA array interface tells of it: a dict
        with its address, shape, strides and dtype, and the stream that has to be waited for. Not
        there on the CPU, nor for bfloat16, which the protocol lacks.
        """
    @property
    def _has_array(self) -> bool:
        ...
    @property
    def _has_grad(self) -> bool:
        ...
    @property
    def _identity(self) -> int:
        """
        Address of the native object; equal for two Python objects of one variable.
        """
    @property
    def array(self) -> typing.Any:
        """
        The data, as a NumPy array; as a CuPy array on a CUDA device.
        """
    @array.setter
    def array(self, arg1: typing.Any) -> None:
        ...
    @property
    def creator(self) -> typing.Any:
        """
        The operation that made it, or None.
        """
    @property
    def creator_node(self) -> typing.Any:
        """
        The node of the function that made it; for an old-style Function not the same object.
        """
    @property
    def data(self) -> typing.Any:
        """
        The same as ``array``.
        """
    @data.setter
    def data(self, arg1: typing.Any) -> None:
        ...
    @property
    def device(self) -> typing.Any:
        """
        The device the data are on.
        """
    @property
    def dtype(self) -> typing.Any:
        """
        NumPy dtype of the data.
        """
    @property
    def frozen(self) -> bool:
        """
        Whether it is left out of graphs recorded from now on.
        """
    @frozen.setter
    def frozen(self, arg1: bool) -> None:
        ...
    @property
    def grad(self) -> typing.Any:
        """
        The gradient as a NumPy array of the data's shape and dtype, or None.
        """
    @grad.setter
    def grad(self, arg1: typing.Any) -> None:
        ...
    @property
    def grad_var(self) -> Variable:
        """
        The gradient as a Variable, or None.
        """
    @grad_var.setter
    def grad_var(self, arg1: Variable | numpy.ndarray | numpy.generic | float | None) -> None:
        ...
    @property
    def label(self) -> str:
        """
        Shape and dtype, as they stand in drawings of graphs.
        """
    @property
    def name(self) -> typing.Any:
        """
        The name, or None.
        """
    @name.setter
    def name(self, arg1: str | None) -> None:
        ...
    @property
    def ndim(self) -> int:
        """
        Number of dimensions.
        """
    @property
    def node(self) -> typing.Any:
        """
        Its place in the graph.
        """
    @property
    def rank(self) -> int:
        """
        Length of the longest chain of operations that led here.
        """
    @property
    def requires_grad(self) -> bool:
        """
        Whether backward computes its gradient.
        """
    @requires_grad.setter
    def requires_grad(self, arg1: bool) -> None:
        ...
    @property
    def shape(self) -> tuple[int, ...]:
        """
        Shape of the data.
        """
    @property
    def size(self) -> int:
        """
        Number of elements.
        """
    @property
    def xp(self) -> typing.Any:
        """
        The module that computes with the data: NumPy, or CuPy on a CUDA device.
        """
class NodeHandle:
    """
    The way from a function written in Python to its node in the graph.
    """
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def inputs(self) -> list:
        """
        Shape, dtype and variable of each input.
        """
    def output_variable(self, index: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        """
        The variable of an output, or None where nobody holds it.
        """
    def retained_inputs(self) -> tuple:
        """
        Inputs kept for backward, as they were.
        """
    def retained_outputs(self) -> tuple:
        """
        Outputs kept for backward, in the graph.
        """
    def unchain(self) -> None:
        """
        Frees the graph behind this node.
        """
    @property
    def alive(self) -> bool:
        """
        Whether the graph is still there.
        """
    @property
    def output_count(self) -> int:
        """
        Number of outputs.
        """
    @property
    def output_data(self) -> tuple:
        """
        Arrays of outputs that are retained or still held, or None.
        """
    @property
    def rank(self) -> int:
        """
        Length of the longest chain of operations that led here.
        """
class Clock:
    """
    The count of an optimizer's updates.
    """
    def __getstate__(self) -> int:
        ...
    def __init__(self) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def __setstate__(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def begin(self) -> None:
        """
        Counts an update that is on its way.
        """
    def end(self) -> None:
        """
        To be called when it is over.
        """
    @property
    def step(self) -> int:
        """
        Updates before the present or next one: what expressions see.
        """
    @property
    def t(self) -> int:
        """
        Updates so far.
        """
    @t.setter
    def t(self, arg1: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
class Expression:
    """
    A value that is computed at each step: see :mod:`chainrule.schedules`.
    
    Made by the functions there, by arithmetic and by comparisons, which give 1.0 or 0.0;
    ``&``, ``|`` and ``~`` combine what is zero or not. Calling it gives its number at a step.
    
    Example:
        >>> from chainrule.schedules import cosine, warmup
        >>> rate = warmup(10) * cosine(1.0, 0.0, 100)
        >>> rate, rate(50)
        (warmup(10) * cosine(1.0, 0.0, 100), 0.5)
    """
    __array_ufunc__ = None
    @staticmethod
    def _make(op: str, args: collections.abc.Sequence[Expression | float], numbers: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex]) -> Expression:
        ...
    @staticmethod
    def from_data(data: typing.Any) -> Expression:
        """
        The expression that `to_data` was called on, bit for bit.
        """
    def __add__(self, arg0: Expression | float) -> Expression:
        ...
    def __and__(self, arg0: Expression | float) -> Expression:
        ...
    def __bool__(self) -> bool:
        ...
    def __call__(self, step: typing.SupportsInt | typing.SupportsIndex, inherit: typing.SupportsFloat | typing.SupportsIndex | None = None) -> float:
        """
        The number at a step, where the parent has the number `inherit`.
        """
    def __copy__(self) -> Expression:
        ...
    def __deepcopy__(self, arg0: typing.Any) -> Expression:
        ...
    def __eq__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __ge__(self, arg0: Expression | float) -> Expression:
        ...
    def __getstate__(self) -> tuple[typing.Any]:
        ...
    def __gt__(self, arg0: Expression | float) -> Expression:
        ...
    def __hash__(self) -> int:
        ...
    def __invert__(self) -> Expression:
        ...
    def __le__(self, arg0: Expression | float) -> Expression:
        ...
    def __lt__(self, arg0: Expression | float) -> Expression:
        ...
    def __mul__(self, arg0: Expression | float) -> Expression:
        ...
    def __ne__(self, arg0: typing.Any) -> typing.Any:
        ...
    def __neg__(self) -> Expression:
        ...
    def __or__(self, arg0: Expression | float) -> Expression:
        ...
    def __pos__(self) -> Expression:
        ...
    def __pow__(self, arg0: Expression | float) -> Expression:
        ...
    def __radd__(self, arg0: Expression | float) -> Expression:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def __repr__(self) -> str:
        ...
    def __rmul__(self, arg0: Expression | float) -> Expression:
        ...
    def __rpow__(self, arg0: Expression | float) -> Expression:
        ...
    def __rsub__(self, arg0: Expression | float) -> Expression:
        ...
    def __rtruediv__(self, arg0: Expression | float) -> Expression:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def __sub__(self, arg0: Expression | float) -> Expression:
        ...
    def __truediv__(self, arg0: Expression | float) -> Expression:
        ...
    def _text(self, inherited: str = 'inherit') -> str:
        ...
    def to_data(self) -> typing.Any:
        """
        Plain data: numbers, and dicts of one op's name and its parts.
        """
    @property
    def uses_inherit(self) -> bool:
        """
        Whether the number depends on the parent's.
        """
    @property
    def uses_step(self) -> bool:
        """
        Whether the number depends on the step.
        """
class Algorithm:
    """
    An update rule made at run time.
    """
    def __init__(self, name: str, fields: collections.abc.Sequence[tuple[str, typing.SupportsFloat | typing.SupportsIndex, str]], states: collections.abc.Sequence[tuple[str, typing.SupportsFloat | typing.SupportsIndex]], variants: collections.abc.Sequence[tuple[collections.abc.Sequence[tuple[typing.SupportsInt | typing.SupportsIndex, bool]], collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], collections.abc.Sequence[tuple[str, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], typing.SupportsFloat | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex]], typing.SupportsInt | typing.SupportsIndex, collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]]) -> None:
        """
        fields: (name, default, 'real', 'integer' or 'boolean'); states: (name, first value);
        variants: (switches, states, nodes, new parameter, new states), a node being
        (operation, arguments, value, place).
        """
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    @property
    def listings(self) -> list[str]:
        """
        The instructions of each variant, one a line.
        """
    @property
    def name(self) -> str:
        ...
    @property
    def problems(self) -> list[str]:
        """
        Why the CPU interprets each variant; empty where it runs machine code.
        """
class Hyperparameter:
    """
    Named values of an optimizer or of one update rule.
    
    Entries are set and read as attributes. What is not set here is read from the parent,
    which is how a change of ``optimizer.lr`` reaches every parameter without a rate of its
    own; deleting an entry lets the parent's be seen again. Built-in rules take the names
    they know and refuse others.
    
    Args:
        parent: The Hyperparameter that provides the values not set here.
    
    Example:
        >>> parent = Hyperparameter()
        >>> parent.lr = 0.1
        >>> child = Hyperparameter(parent)
        >>> child.lr
        0.1
        >>> child.lr = 10.0
        >>> parent.lr, child
        (0.1, Hyperparameter(lr=10.0))
    """
    @staticmethod
    def _make(parent: Hyperparameter | None, algorithm: typing.Any) -> Hyperparameter:
        """
        With an algorithm's name, only its fields can be set.
        """
    def __delattr__(self, arg0: str) -> None:
        ...
    def __getattr__(self, arg0: str) -> typing.Any:
        ...
    def __getstate__(self) -> tuple:
        ...
    def __init__(self, parent: Hyperparameter = None) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def __repr__(self) -> str:
        ...
    def __setattr__(self, arg0: str, arg1: typing.Any) -> None:
        ...
    def __setstate__(self, arg0: tuple) -> None:
        ...
    def _own(self, name: str) -> typing.Any:
        ...
    def _set(self, name: str, value: typing.Any, origin: str | None) -> None:
        """
        Sets an entry and says who did.
        """
    def _set_clock(self, clock: Clock) -> None:
        """
        Says which count expressions follow, here and in what has this as a parent.
        """
    def get_dict(self) -> dict:
        """
        All entries that can be read here, inherited ones included, as a dict.
        """
    def get_expression(self, name: str) -> typing.Any:
        """
        What an entry was set to, here or in the nearest ancestor: the expression where
        reading the attribute gives today's number.
        """
    @property
    def parent(self) -> Hyperparameter:
        """
        Where values that are not set here come from, or None.
        """
class GradientHook:
    def __init__(self, kind: str, a: typing.SupportsFloat | typing.SupportsIndex = 0.0, b: typing.SupportsFloat | typing.SupportsIndex = 0.0) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    @property
    def _a(self) -> float:
        ...
    @_a.setter
    def _a(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    @property
    def _b(self) -> float:
        ...
    @_b.setter
    def _b(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
class UpdateRule:
    _cautious: bool
    _fp32_update: bool
    _observed: bool
    _stochastic: bool
    def __init__(self, algorithm: typing.Any, hyperparam: Hyperparameter) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def _admits(self, param: typing.Any) -> bool:
        """
        Does what the policies say of a gradient that is missing or not finite; whether a
        rule that Python runs is to update.
        """
    def _begin(self) -> None:
        """
        Takes down what the rule remembers of its first values.
        """
    def _begin_update(self) -> None:
        ...
    def _check_states(self, param: typing.Any) -> None:
        """
        Raises where the states that are there do not fit a parameter.
        """
    def _clear_states(self) -> None:
        ...
    def _decoded_state(self, arg0: str) -> typing.Any:
        ...
    def _drop_states(self) -> None:
        ...
    def _end_update(self) -> None:
        ...
    def _expected_state_bytes(self, shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], dtype: str) -> int:
        """
        Size of the states that a parameter of this shape and dtype needs.
        """
    def _follow(self, clock: Clock) -> None:
        """
        Counts with an optimizer from now on, as its table lets the rule do anyway.
        """
    def _get_scale(self, arg0: str) -> typing.Any:
        ...
    def _get_state(self, arg0: str) -> typing.Any:
        ...
    def _has_state(self, arg0: str) -> bool:
        ...
    def _init_states(self, arg0: typing.Any) -> None:
        ...
    def _master(self, param: typing.Any) -> typing.Any:
        """
        A Variable on the float32 copy of a half-precision parameter.
        """
    def _move_states(self, device: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex]) -> None:
        """
        Brings states and master copy to a device, which is named as DLPack does.
        """
    def _scale_variable(self, name: str) -> typing.Any:
        """
        The same for the scales of an 8-bit state.
        """
    def _set_coded_state(self, name: str, codes: typing.Any, scales: typing.Any) -> None:
        ...
    def _set_scalar(self, arg0: str, arg1: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    def _set_scale(self, arg0: str, arg1: typing.Any) -> None:
        ...
    def _set_state(self, arg0: str, arg1: typing.Any) -> None:
        ...
    def _state_names_of(self, shape: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> list[str]:
        """
        The states that a parameter of this shape needs.
        """
    def _state_variable(self, name: str) -> typing.Any:
        """
        A Variable on a state's memory, whatever device it is on.
        """
    def _step(self, arg0: typing.Any) -> None:
        """
        The update itself: no hooks, no count.
        """
    def _update(self, arg0: typing.Any) -> None:
        """
        Hooks, update and count of one parameter.
        """
    @property
    def _all_state_names(self) -> list[str]:
        ...
    @property
    def _enabled(self) -> bool:
        ...
    @_enabled.setter
    def _enabled(self, arg1: typing.Any) -> None:
        ...
    @property
    def _enabled_when(self) -> Expression | None:
        ...
    @property
    def _has_master(self) -> bool:
        ...
    @property
    def _has_states(self) -> bool:
        ...
    @property
    def _lent(self) -> bool:
        """
        Whether the parameter holds its average, and is not to be updated.
        """
    @_lent.setter
    def _lent(self, arg0: bool) -> None:
        ...
    @property
    def _master_copy(self) -> typing.Any:
        """
        A NumPy copy of the same as far as it was made, otherwise None.
        """
    @_master_copy.setter
    def _master_copy(self, arg1: typing.Any) -> None:
        ...
    @property
    def _missing_grad(self) -> str:
        ...
    @_missing_grad.setter
    def _missing_grad(self, arg1: typing.Any) -> None:
        ...
    @property
    def _native_hooks(self) -> list[GradientHook]:
        ...
    @_native_hooks.setter
    def _native_hooks(self, arg0: collections.abc.Sequence[GradientHook]) -> None:
        ...
    @property
    def _on_nonfinite(self) -> str:
        ...
    @_on_nonfinite.setter
    def _on_nonfinite(self, arg1: typing.Any) -> None:
        ...
    @property
    def _scalars(self) -> dict:
        ...
    @property
    def _seed(self) -> int:
        ...
    @_seed.setter
    def _seed(self, arg1: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    @property
    def _state_bytes(self) -> int:
        """
        Size of the states that are there.
        """
    @property
    def _state_dtype(self) -> str:
        ...
    @_state_dtype.setter
    def _state_dtype(self, arg1: typing.Any) -> None:
        ...
    @property
    def _state_names(self) -> list[str]:
        """
        The states that the present hyperparameters need.
        """
    @property
    def _statistics(self) -> dict | None:
        """
        Sums of the last observed update, by name; None before it.
        """
    @property
    def _updated(self) -> bool:
        """
        Whether the last update that the parameter had a part in updated it.
        """
    @property
    def hyperparam(self) -> Hyperparameter:
        """
        Values of this rule; what is not set here comes from the optimizer.
        """
    @hyperparam.setter
    def hyperparam(self, arg1: typing.Any) -> None:
        ...
    @property
    def skipped(self) -> int:
        """
        Updates left out so far because of gradients that were not finite.
        """
    @skipped.setter
    def skipped(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    @property
    def t(self) -> int:
        """
        Number of updates so far.
        """
    @t.setter
    def t(self, arg1: typing.Any) -> None:
        ...
class UpdateTable:
    def __init__(self, clock: Clock = None) -> None:
        ...
    def __len__(self) -> int:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def abandon(self) -> None:
        """
        Takes back what `check` and the first half prepared for a step that is not taken.
        """
    def add(self, param: typing.Any, rule: UpdateRule, path: str, by_host: bool) -> None:
        ...
    def check(self, loss_scale: typing.SupportsFloat | typing.SupportsIndex, chainer: bool) -> None:
        """
        Raises what `step` would raise, and asks the policies, before anybody changes gradients.
        """
    def clear(self) -> None:
        ...
    def fill_missing_gradients(self) -> None:
        """
        Gives zeros to initialised parameters without a gradient.
        """
    def nonfinite_gradients(self, disabled_too: bool) -> list[str]:
        """
        Paths of parameters whose gradient is not finite.
        """
    def settle(self) -> None:
        """
        Switches rules on and off as their expressions say for the next step.
        """
    def step(self, loss_scale: typing.SupportsFloat | typing.SupportsIndex, chainer: bool) -> None:
        """
        One update of all rows.
        """
    def step_and_count(self, loss_scale: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        An update of an optimizer with nothing but rows.
        """
    def step_half(self, loss_scale: typing.SupportsFloat | typing.SupportsIndex, chainer: bool, hosted: bool) -> None:
        """
        The half before Python's own rules, which checks everything and changes the gradients
        of their parameters; or the half after them, which updates all others.
        """
    def unscale(self, loss_scale: typing.SupportsFloat | typing.SupportsIndex, chainer: bool) -> None:
        """
        Divides all gradients in memory.
        """
    def zero_gradients(self) -> None:
        """
        Makes all gradients zeros, for a step that is not taken.
        """
    @property
    def clear_gradients(self) -> bool:
        """
        Whether a step leaves gradients of zeros behind.
        """
    @clear_gradients.setter
    def clear_gradients(self, arg1: bool) -> None:
        ...
    @property
    def held(self) -> list[str]:
        """
        Paths of parameters that the present step leaves alone, because of their gradients.
        """
    @property
    def hooks(self) -> list[GradientHook]:
        """
        Hooks on all parameters that run inside the sweep.
        """
    @hooks.setter
    def hooks(self, arg1: collections.abc.Sequence[GradientHook]) -> None:
        ...
    @property
    def norm_factors(self) -> list[float]:
        """
        What the last step multiplied gradients by to bound their norm, for each such hook.
        """
    @property
    def running(self) -> bool:
        """
        Whether another thread is in the middle of a step.
        """
class HookedWeights:
    """
    Parameters, their rules and the arrays that a hook keeps for them.
    """
    def __init__(self, op: str) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def add(self, param: typing.Any, rule: UpdateRule, own: typing.Any) -> None:
        ...
    def average(self, rate: typing.SupportsFloat | typing.SupportsIndex) -> None:
        """
        own += rate * (p - own), for parameters that were updated.
        """
    def check(self) -> None:
        """
        Raises where an array does not fit its parameter.
        """
    def look_ahead(self, alpha: typing.SupportsFloat | typing.SupportsIndex, k: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        own += alpha * (p - own), then p = own, at each k-th update of a rule.
        """
class Perturbation:
    def __init__(self, params: collections.abc.Sequence[typing.Any], rho: typing.SupportsFloat | typing.SupportsIndex) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def restore(self) -> None:
        """
        Puts the parameters back.
        """
class Undo:
    """
    Copies of what an update changes, to put back.
    """
    def __init__(self) -> None:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def keep(self, param: typing.Any, rule: UpdateRule, gradient_only: bool) -> None:
        """
        Remembers gradient, data, states, count and master copy; or the gradient alone.
        """
    def restore(self) -> None:
        """
        Puts everything back into the arrays that were there.
        """
class BorrowedTensors:
    """
    Parameters on the memory of another library's tensors.
    """
    def __init__(self, type: typing.Any, plain: tuple, describe: typing.Any, refuse: typing.Any, alias: typing.Any, grow_version: typing.Any, stream: typing.Any) -> None:
        """
        ``plain`` are classes whose objects are what their C++ tensors are, and ``stream(gpu)`` is the address of the stream that the library works on now.
        """
    def __len__(self) -> int:
        ...
    def __reduce_ex__(self, protocol: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
        ...
    def add(self, param: typing.Any, tensor: typing.Any, path: str, place: typing.Any, name: str) -> None:
        """
        Lets a parameter have a tensor's memory.
        """
    def begin(self, somebody: bool) -> None:
        """
        Lends the tensors' gradients for one step, in which somebody may see and keep them.
        """
    def done(self) -> None:
        """
        Has the library's work wait for ours.
        """
    def end(self) -> None:
        """
        Takes gradients away again and grows the versions of tensors that were updated.
        """
    def look(self) -> None:
        """
        Checks the tensors, follows moved memory, and has our work wait for the library's.
        """
    def ready(self) -> None:
        """
        Has our work wait for the library's.
        """
    def set_rules(self, rules: collections.abc.Sequence[UpdateRule | None]) -> None:
        """
        Says which rule updates which tensor.
        """
    def watch(self, part: typing.Any, path: str, place: typing.Any, name: str) -> None:
        """
        Refuses steps once a part of the model is another one.
        """
    @property
    def gpus(self) -> list[int]:
        """
        Numbers of the GPUs in use.
        """
    @property
    def has_torch_functions(self) -> bool:
        """
        Whether plain ones are seen through PyTorch's own C functions.
        """
    @property
    def is_direct(self) -> bool:
        """
        Whether tensors are seen through DLPack's C interface.
        """
def absolute(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def accuracy(y: Variable | numpy.ndarray | numpy.generic | float | None, t: typing.Any, ignore_label: typing.SupportsInt | typing.SupportsIndex | None) -> Variable:
    ...
def add(a: typing.Any, b: typing.Any) -> Variable:
    ...
def apply_hook(hook: GradientHook, params: collections.abc.Sequence[typing.Any]) -> None:
    """
    Changes gradients in memory as the hook says.
    """
def apply_node(function: typing.Any, inputs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], outputs: tuple, retain_inputs: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex], retain_outputs: collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]) -> tuple:
    """
    Makes variables of the arrays that a function written in Python has computed, and
    connects them to its inputs where gradients are wanted.
    """
def argmax(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex | None = None) -> Variable:
    ...
def argmin(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex | None = None) -> Variable:
    ...
def as_variable(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def average(x: Variable | numpy.ndarray | numpy.generic | float | None, weights: Variable | numpy.ndarray | numpy.generic | float | None, axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False) -> Variable:
    ...
def backprop_enabled() -> bool:
    """
    Whether this thread records operations.
    """
def backward(outputs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], retain_grad: bool, enable_double_backprop: bool, loss_scale: typing.SupportsFloat | typing.SupportsIndex) -> None:
    ...
def broadcast(xs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None]) -> tuple:
    ...
def broadcast_to(x: Variable | numpy.ndarray | numpy.generic | float | None, shape: int | collections.abc.Sequence[int] | None) -> Variable:
    ...
def cast(x: Variable | numpy.ndarray | numpy.generic | float | None, dtype: typing.Any) -> Variable:
    ...
def clear_backprop_enabled() -> None:
    ...
def clip(x: Variable | numpy.ndarray | numpy.generic | float | None, x_min: typing.SupportsFloat | typing.SupportsIndex, x_max: typing.SupportsFloat | typing.SupportsIndex) -> Variable:
    ...
def concat(xs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], axis: typing.SupportsInt | typing.SupportsIndex) -> Variable:
    ...
def cpu_memory() -> tuple[int, int]:
    """
    Bytes of CPU memory in use by arrays, and bytes kept for reuse.
    """
def cuda_device_count() -> int:
    """
    Number of CUDA devices; 0 where CUDA is not available.
    """
def cuda_device_name(device: typing.SupportsInt | typing.SupportsIndex) -> str:
    """
    A CUDA device's name.
    """
def cuda_memory_info(device: typing.SupportsInt | typing.SupportsIndex) -> dict[str, int]:
    """
    Bytes of a CUDA device: in_use by arrays, cached for reuse, free of the whole device, total.
    """
def cuda_products() -> tuple[str, str]:
    """
    What multiplies matrices on CUDA, and why nothing does; one of them is empty.
    """
def cuda_release_cached_memory(device: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Returns memory kept for reuse to the device.
    """
def cuda_rule_compiler() -> tuple[str, str]:
    """
    What compiles traced rules for CUDA, and why some are interpreted; each may be empty.
    """
def cuda_set_reclaimer(function: typing.Any) -> None:
    """
    ``function(device)`` gives back memory that another library keeps; it is called before an allocation on a CUDA device fails. None for nobody.
    """
def cuda_status() -> tuple[bool, str]:
    """
    Whether CUDA can be used, and if not, why: one sentence. Looks on the first call.
    """
def cuda_synchronize(device: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Waits until a CUDA device has done all its work.
    """
def default_hyperparameter(algorithm: typing.Any) -> Hyperparameter:
    """
    The defaults of an update rule.
    """
def divide(a: typing.Any, b: typing.Any) -> Variable:
    ...
def dropout(x: Variable | numpy.ndarray | numpy.generic | float | None, ratio: typing.SupportsFloat | typing.SupportsIndex, key: typing.SupportsInt | typing.SupportsIndex) -> Variable:
    ...
@typing.overload
def dropout_mask(x: Variable | numpy.ndarray | numpy.generic | float | None, ratio: typing.SupportsFloat | typing.SupportsIndex, key: typing.SupportsInt | typing.SupportsIndex) -> typing.Any:
    ...
@typing.overload
def dropout_mask(x: Variable | numpy.ndarray | numpy.generic | float | None, ratio: typing.SupportsFloat | typing.SupportsIndex, numbers: numpy.ndarray) -> typing.Any:
    ...
def elu(x: Variable | numpy.ndarray | numpy.generic | float | None, alpha: typing.SupportsFloat | typing.SupportsIndex) -> Variable:
    ...
def empty_bytes(size: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.uint8]:
    """
    Bytes of our own memory, as a NumPy array of uint8; what is in them is left.
    """
def equal(a: typing.Any, b: typing.Any) -> Variable:
    ...
def exp(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def expand_dims(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex) -> Variable:
    ...
def flatten(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def flip(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: int | collections.abc.Sequence[int] | None = None) -> Variable:
    ...
def floor_divide(a: typing.Any, b: typing.Any) -> Variable:
    ...
def get_item(x: Variable | numpy.ndarray | numpy.generic | float | None, slices: typing.Any) -> Variable:
    ...
def grad(outputs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], inputs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], grad_outputs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], grad_inputs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], enable_double_backprop: bool, loss_scale: typing.SupportsFloat | typing.SupportsIndex, retain_grad: bool = False) -> list[Variable]:
    ...
def greater(a: typing.Any, b: typing.Any) -> Variable:
    ...
def greater_equal(a: typing.Any, b: typing.Any) -> Variable:
    ...
def instruction_set() -> str:
    """
    The CPU instruction set of the kernels in use: baseline, avx2 or avx512.
    """
def leaky_relu(x: Variable | numpy.ndarray | numpy.generic | float | None, slope: typing.SupportsFloat | typing.SupportsIndex) -> Variable:
    ...
def less(a: typing.Any, b: typing.Any) -> Variable:
    ...
def less_equal(a: typing.Any, b: typing.Any) -> Variable:
    ...
def linear(x: Variable | numpy.ndarray | numpy.generic | float | None, W: Variable | numpy.ndarray | numpy.generic | float | None, b: Variable | numpy.ndarray | numpy.generic | float | None = None, n_batch_axes: typing.SupportsInt | typing.SupportsIndex = 1) -> Variable:
    ...
def live_node_count() -> int:
    """
    Graph nodes alive in this process.
    """
def live_variable_count() -> int:
    """
    Variables alive in this process.
    """
def log(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def log_softmax(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex = 1) -> Variable:
    ...
def logsumexp(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.Any = None, keepdims: bool = False) -> Variable:
    ...
def matmul(a: Variable | numpy.ndarray | numpy.generic | float | None, b: Variable | numpy.ndarray | numpy.generic | float | None, transa: bool = False, transb: bool = False) -> Variable:
    ...
def max(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.Any = None, keepdims: bool = False) -> Variable:
    ...
def maximum(a: typing.Any, b: typing.Any) -> Variable:
    ...
def mean(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.Any = None, keepdims: bool = False) -> Variable:
    ...
def mean_squared_error(x0: Variable | numpy.ndarray | numpy.generic | float | None, x1: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def min(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.Any = None, keepdims: bool = False) -> Variable:
    ...
def minimum(a: typing.Any, b: typing.Any) -> Variable:
    ...
def moveaxis(x: Variable | numpy.ndarray | numpy.generic | float | None, source: int | collections.abc.Sequence[int] | None, destination: int | collections.abc.Sequence[int] | None) -> Variable:
    ...
def multiply(a: typing.Any, b: typing.Any) -> Variable:
    ...
def nearest(text: str, known: collections.abc.Sequence[str]) -> str:
    """
    The one of `known` that is spelled most like `text`, or an empty string.
    """
def negative(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def not_equal(a: typing.Any, b: typing.Any) -> Variable:
    ...
def num_threads() -> int:
    """
    The number of threads that kernels use.
    """
def onednn_version() -> str:
    """
    The version of the oneDNN in use.
    """
def overlaps(shape: int | collections.abc.Sequence[int] | None, strides: int | collections.abc.Sequence[int] | None, item: typing.SupportsInt | typing.SupportsIndex) -> bool:
    """
    Whether elements of an array may share memory. ``item`` is the size of one, in what
    strides count in.
    """
def power(a: typing.Any, b: typing.Any) -> Variable:
    ...
def problem_with_traced_code() -> str:
    """
    Why the CPU interprets all traced rules; empty where it makes machine code of those it can.
    """
def put_item(g: Variable | numpy.ndarray | numpy.generic | float | None, shape: int | collections.abc.Sequence[int] | None, slices: typing.Any) -> Variable:
    ...
def release_cached_memory() -> None:
    """
    Returns the CPU memory kept for reuse to the system.
    """
def relu(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def repeat(x: Variable | numpy.ndarray | numpy.generic | float | None, repeats: typing.Any, axis: typing.SupportsInt | typing.SupportsIndex | None = None) -> Variable:
    ...
def reshape(x: Variable | numpy.ndarray | numpy.generic | float | None, shape: int | collections.abc.Sequence[int] | None) -> Variable:
    ...
def rollaxis(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex, start: typing.SupportsInt | typing.SupportsIndex = 0) -> Variable:
    ...
def select_item(x: Variable | numpy.ndarray | numpy.generic | float | None, t: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def separate(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    ...
def set_backprop_enabled(enabled: bool) -> None:
    ...
def set_backprop_enabled_globally(enabled: bool) -> None:
    ...
def set_num_threads(count: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sets the number of threads that kernels use.
    """
def sigmoid(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def sigmoid_cross_entropy(x: Variable | numpy.ndarray | numpy.generic | float | None, t: typing.Any, normalize: bool, reduce: str) -> Variable:
    ...
def softmax(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.SupportsInt | typing.SupportsIndex = 1) -> Variable:
    ...
def softmax_cross_entropy(x: Variable | numpy.ndarray | numpy.generic | float | None, t: typing.Any, normalize: bool, class_weight: typing.Any, ignore_label: typing.SupportsInt | typing.SupportsIndex, reduce: str, soft_target_loss: str) -> Variable:
    ...
def softplus(x: Variable | numpy.ndarray | numpy.generic | float | None, beta: typing.SupportsFloat | typing.SupportsIndex) -> Variable:
    ...
def split_axis(x: Variable | numpy.ndarray | numpy.generic | float | None, indices_or_sections: typing.Any, axis: typing.SupportsInt | typing.SupportsIndex, force_tuple: bool = True) -> typing.Any:
    ...
def sqrt(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def square(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def squeeze(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.Any = None) -> Variable:
    ...
def stack(xs: collections.abc.Sequence[Variable | numpy.ndarray | numpy.generic | float | None], axis: typing.SupportsInt | typing.SupportsIndex) -> Variable:
    ...
def structure_changed() -> None:
    """
    To be called when that happens.
    """
def structure_version() -> int:
    """
    Grows when a parameter gets another rule or a link other children.
    """
def subtract(a: typing.Any, b: typing.Any) -> Variable:
    ...
def sum(x: Variable | numpy.ndarray | numpy.generic | float | None, axis: typing.Any = None, keepdims: bool = False) -> Variable:
    ...
def sum_to(x: Variable | numpy.ndarray | numpy.generic | float | None, shape: int | collections.abc.Sequence[int] | None) -> Variable:
    ...
def swapaxes(x: Variable | numpy.ndarray | numpy.generic | float | None, axis1: typing.SupportsInt | typing.SupportsIndex, axis2: typing.SupportsInt | typing.SupportsIndex) -> Variable:
    ...
def tanh(x: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def transpose(x: Variable | numpy.ndarray | numpy.generic | float | None, axes: int | collections.abc.Sequence[int] | None = None) -> Variable:
    ...
def update_rules() -> dict:
    """
    The built-in update rules: name -> (hyperparameters with defaults, names of states).
    """
def values_version() -> int:
    """
    Grows when any hyperparameter is set or deleted.
    """
def where(condition: Variable | numpy.ndarray | numpy.generic | float | None, x: Variable | numpy.ndarray | numpy.generic | float | None, y: Variable | numpy.ndarray | numpy.generic | float | None) -> Variable:
    ...
def wide_copy(param: typing.Any, rule: UpdateRule = None) -> Variable:
    """
    A contiguous copy of a parameter, or of the rule's master copy, in at least float32.
    """
def xla_call_target(call: typing.Any) -> typing_extensions.CapsuleType:
    """
    What XLA is given to have ``call(number, given, wanted)`` called: the first argument of the call, a uint32, then the memory of the other arguments and of the results.
    """
def xla_close() -> None:
    """
    Waits for calls that have begun; later ones fail. For the end of Python.
    """
__version__: str = '0.1.0'
