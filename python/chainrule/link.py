"""Links: parameters with the computation they belong to.

A :class:`Link` holds parameters; :class:`Chain` and :class:`ChainList` (in ``chain.py``) hold
links, which makes a tree. Whatever walks over the tree goes sorted by name, a link's own
parameters before those of its children.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np

from chainrule._core import structure_changed, structure_version
from chainrule.device_resident import DeviceResident, DeviceResidentsVisitor
from chainrule.initializers import _get_initializer
from chainrule.link_hook import HookedCalls
from chainrule.serializer import AbstractSerializer
from chainrule.variable import Parameter

__all__ = ["Link"]

_Self = TypeVar("_Self", bound="Link")
_MODES = ("init", "copy", "share")


def __getattr__(name: str) -> Any:
    if name in ("Chain", "ChainList"):
        from chainrule import chain

        return getattr(chain, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Link(HookedCalls, DeviceResident):
    """Parameters, persistent values, and the computation ``forward`` with them.

    Parameters that are assigned inside ``with self.init_scope():`` are registered; persistent
    values are saved with the link, but not trained.

    Args:
        **params: Shapes of parameters to add, or pairs of shape and dtype.

    Attributes:
        name: Name of the link in its parent, or None.

    Example:
        >>> import chainrule, numpy
        >>> class Scale(chainrule.Link):
        ...     def __init__(self):
        ...         super().__init__()
        ...         with self.init_scope():
        ...             self.factor = chainrule.Parameter(2.0, ())
        ...
        ...     def forward(self, x):
        ...         return self.factor * x
        >>> Scale()(numpy.ones(2, numpy.float32))
        variable([2., 2.])
    """

    name: str | None = None
    #: What stands between the levels of paths.
    _separator: ClassVar[str] = "/"
    #: The class of its parts: what ``rules.of`` takes subclasses of.
    _part_class: ClassVar[type] = DeviceResident  # Link, which does not exist yet
    _within_init_scope = False
    # The count of the optimizer that was set up for it; parameters that join later follow it.
    _update_clock: Any = None
    # Replaced by `__init__`; here for attributes that are set before it runs.
    _params: Any = frozenset()
    # All parameters, with the version of the structure and the link they were listed for.
    _listed: tuple[int, int, list[Parameter]] = (-1, 0, [])

    def __init__(self, **params: Any) -> None:
        self._params = set()
        self._persistent: set[str] = set()
        self.name = None
        for name, value in params.items():
            # A shape, or a pair of shape and dtype.
            pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], tuple)
            shape, dtype = value if pair else (value, None)
            self.add_param(name, shape, dtype=dtype)

    @classmethod
    def from_params(cls: type[_Self], *args: Any, **kwargs: Any) -> _Self:
        """Make a link with given parameters.

        Args:
            *args: Parameters, in an order that the class defines.
            **kwargs: More of them.

        Returns:
            The link.

        Raises:
            NotImplementedError: If the class does not offer it.
        """
        raise NotImplementedError(f"[{cls.__name__}] from_params is not offered by this link")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            if self._within_init_scope:
                value.name = name
                if value._clock is None:
                    value._clock = self._update_clock
                self._params.add(name)
                self._persistent.discard(name)
            structure_changed()
        elif name in self._params:
            structure_changed()
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._params:
            self._params.discard(name)
            structure_changed()
        self._persistent.discard(name)
        object.__delattr__(self, name)

    @property
    def within_init_scope(self) -> bool:
        """Whether assigned parameters and links are being registered."""
        return self._within_init_scope

    def _follow(self, clock: Any) -> None:
        """Let what belongs to no optimizer yet follow an optimizer's count."""
        for link in self.links():
            if link._update_clock is None:
                link.__dict__["_update_clock"] = clock
        for param in self.params():
            if param._clock is None:
                param._clock = clock

    @contextlib.contextmanager
    def init_scope(self) -> Iterator[None]:
        """Register the parameters and links that are assigned inside the block.

        Raises:
            RuntimeError: If ``Link.__init__`` has not run yet.
        """
        if "_params" not in self.__dict__:
            raise RuntimeError(
                f"[{type(self).__name__}] call super().__init__() before init_scope()"
            )
        before = self._within_init_scope
        self.__dict__["_within_init_scope"] = True
        try:
            yield
        finally:
            self.__dict__["_within_init_scope"] = before

    def add_param(
        self,
        name: str,
        shape: int | tuple[int, ...] | None = None,
        dtype: Any = None,
        initializer: Any = None,
    ) -> None:
        """Register a new parameter.

        Args:
            name: Its name.
            shape: Its shape; None leaves it open.
            dtype: Its dtype; ``config.dtype`` by default.
            initializer: What it is filled with; NaN by default.

        Raises:
            AttributeError: If the name is taken.
        """
        if name in self.__dict__:
            raise AttributeError(f"cannot register a new parameter {name}: attribute exists")
        initializer = _get_initializer(np.nan if initializer is None else initializer)
        if dtype is not None and getattr(initializer, "dtype", None) is None:
            with contextlib.suppress(AttributeError):
                initializer.dtype = np.dtype(dtype)
        with self.init_scope():
            setattr(self, name, Parameter(initializer, shape))

    def add_persistent(self, name: str, value: Any) -> None:
        """Register a value that is saved with the link.

        Args:
            name: Its name.
            value: An array, a number or a string.

        Raises:
            AttributeError: If the name is taken.
        """
        if name in self.__dict__:
            raise AttributeError(f"cannot register a new persistent value {name}: attribute exists")
        setattr(self, name, value)
        self.register_persistent(name)

    def register_persistent(self, name: str) -> None:
        """Have an attribute saved with the link.

        Args:
            name: Its name.

        Raises:
            AttributeError: If there is no such attribute.
        """
        if not hasattr(self, name):
            raise AttributeError(
                f"cannot register non-existent attribute {name} as a persistent value"
            )
        self._persistent.add(name)
        self._params.discard(name)
        structure_changed()

    def params(self, include_uninit: bool = True) -> Iterator[Parameter]:
        """Walk over the parameters of the link and of those below it.

        Args:
            include_uninit: Whether parameters without an array are among them.

        Yields:
            Parameters.
        """
        attributes = self.__dict__
        for name in sorted(self._params):
            param = attributes[name]
            if include_uninit or param.is_initialized:
                yield param

    def namedparams(self, include_uninit: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Walk over the parameters of the link and of those below it, with their paths.

        Args:
            include_uninit: Whether parameters without an array are among them.

        Yields:
            Pairs such as ``('/l1/W', parameter)``.
        """
        attributes = self.__dict__
        for name in sorted(self._params):
            param = attributes[name]
            if include_uninit or param.is_initialized:
                yield "/" + name, param

    def links(self, skipself: bool = False) -> Iterator[Link]:
        """Walk over the link and those below it.

        Args:
            skipself: Whether to leave out the link itself.

        Yields:
            Links.
        """
        if not skipself:
            yield self

    def namedlinks(self, skipself: bool = False) -> Iterator[tuple[str, Link]]:
        """Walk over the link and those below it, with their paths.

        Args:
            skipself: Whether to leave out the link itself, whose path is ``'/'``.

        Yields:
            Pairs such as ``('/l1', link)``.
        """
        if not skipself:
            yield "/", self

    def children(self) -> Iterator[Link]:
        """Walk over the links right below this one.

        Yields:
            Links.
        """
        return iter(())

    def _parts(self) -> Iterator[tuple[Any, Iterator[Parameter]]]:
        """Walk over the link and those below it, with the parameters below each."""
        for link in self.links():
            yield link, link.params()

    def _own(self, key: Any) -> Any:
        """Give what a key of a selection stands for: a link, a parameter, or the key itself."""
        return key

    @property
    def printable_specs(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and value that describe the link in ``str(link)``."""
        return iter(())

    def __str__(self) -> str:
        specs = ", ".join(f"{name}={value}" for name, value in self.printable_specs)
        return f"{type(self).__name__}({specs})"

    def copy(self: _Self, mode: str = "share") -> _Self:
        """Copy the link and those below it.

        Args:
            mode: ``'share'``: the copy's parameters share data with the original's, but have
                gradients of their own; ``'copy'``: data are copied; ``'init'``: parameters are
                initialised anew.

        Returns:
            The copy; it has no name.

        Raises:
            ValueError: If ``mode`` is another.
        """
        if mode not in _MODES:
            raise ValueError(
                "The 'mode' argument should be either 'init','copy', or 'share'. But "
                f"{mode} was given."
            )
        copied = copy.copy(self) if mode == "share" else copy.deepcopy(self)
        copied.name = None
        copied.__dict__.pop("_listed", None)
        if mode == "share":
            copied._params = set(self._params)
            copied._persistent = set(self._persistent)
            for name in self._params:
                copied.__dict__[name] = copy.copy(self.__dict__[name])
        elif mode == "init":
            for param in copied.params(include_uninit=False):
                param.initialize(param.shape)
        return copied

    def repeat(self, n_repeat: int, mode: str = "init") -> Any:
        """Put copies of the link one after the other.

        Args:
            n_repeat: How many.
            mode: What :meth:`copy` takes; by default each copy is initialised anew.

        Returns:
            A :class:`chainrule.Sequential` of them.

        Example:
            >>> import chainrule
            >>> len(chainrule.links.Linear(2, 2).repeat(3))
            3
        """
        from chainrule.sequential import Sequential

        return Sequential(*(self.copy(mode) for _ in range(n_repeat)))

    def copyparams(self, link: Link, copy_persistent: bool = True) -> None:
        """Copy all parameters of another link of the same structure.

        Args:
            link: Where to copy from.
            copy_persistent: Whether to copy persistent values too.

        Raises:
            ValueError: If structures or shapes differ.
        """
        source, target = link.__dict__, self.__dict__
        for name in sorted(self._params):
            other = source.get(name)
            if other is None and target[name] is None:
                continue
            if not isinstance(other, Parameter):
                raise ValueError(f"[copyparams] {type(link).__name__} has no parameter '{name}'")
            target[name].copydata(other)
        if not copy_persistent:
            return
        for name in sorted(self._persistent & link._persistent):
            value = source[name]
            if isinstance(value, np.ndarray) and isinstance(target[name], np.ndarray):
                np.copyto(target[name], value)
            else:
                target[name] = copy.deepcopy(value)

    def addgrads(self, link: Link) -> None:
        """Add the gradients of another link of the same structure.

        Args:
            link: Whose gradients to add.

        Raises:
            ValueError: If structures differ.
        """
        for name in sorted(self._params):
            other = link.__dict__.get(name)
            if not isinstance(other, Parameter):
                raise ValueError(f"[addgrads] {type(link).__name__} has no parameter '{name}'")
            self.__dict__[name].addgrad(other)

    def cleargrads(self) -> None:
        """Forget the gradients of all parameters; to be done before each backward pass."""
        version, owner, params = self._listed
        if version != structure_version() or owner != id(self):
            version = structure_version()
            params = list(self.params())
            # A user's own way of walking may change its mind without telling.
            if all(type(link).params in _OUR_WALKS for link in self.links()):
                self.__dict__["_listed"] = (version, id(self), params)
        for param in params:
            param.cleargrad()

    def zerograds(self) -> None:
        """Set the gradients of all parameters to zeros; :meth:`cleargrads` is faster."""
        warnings.warn(
            "Link.zerograds is deprecated: use Link.cleargrads", DeprecationWarning, stacklevel=2
        )
        for param in self.params():
            param.zerograd()

    def count_params(self) -> int:
        """Count the elements of all parameters.

        Parameters without an array are not counted, and a warning says so.

        Returns:
            Their number.
        """
        size = 0
        for name, param in self.namedparams():
            if param.is_initialized:
                size += param.size
            else:
                warnings.warn(
                    f"Parameter '{name}' has not been initialized, so the resulting count will "
                    "not include the number of parameters in it.",
                    stacklevel=2,
                )
        return size

    @property
    def update_enabled(self) -> bool:
        """Whether at least one parameter has an update rule that is enabled."""
        return any(param.update_rule and param.update_rule.enabled for param in self.params())

    def enable_update(self) -> None:
        """Let optimizers update all parameters.

        It may be said before the optimizer is set up.
        """
        for param in self.params():
            param.update_enabled = True

    def disable_update(self) -> None:
        """Keep optimizers from updating any parameter.

        It may be said before the optimizer is set up. From the next forward pass on, gradients
        of these parameters are not computed either.
        """
        for param in self.params():
            param.update_enabled = False

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Save or load parameters and persistent values.

        Args:
            serializer: Where to or from.
        """
        attributes = self.__dict__
        remember = getattr(serializer, "remember", None)
        if remember is not None:
            remember(self)
        for name in sorted(self._params):
            param = attributes[name]
            data = serializer(name, param.array)
            if data is None or param.is_initialized:
                continue
            # Loaded into a parameter that had no shape yet.
            on_failure = getattr(serializer, "on_failure", None)
            if on_failure is not None:
                on_failure(lambda param=param: setattr(param, "array", None))
            param.initialize(data.shape)
            serializer(name, param.array)
        for name in sorted(self._persistent):
            attributes[name] = serializer(name, attributes[name])

    def device_resident_accept(self, visitor: DeviceResidentsVisitor) -> None:
        """Show parameters and persistent arrays to a visitor.

        Args:
            visitor: The visitor.
        """
        super().device_resident_accept(visitor)
        attributes = self.__dict__
        for name in self._params:
            visitor.visit_variable(attributes[name])
        for name in self._persistent:
            if isinstance(attributes[name], np.ndarray):
                attributes[name] = visitor.visit_array(attributes[name])


Link._part_class = Link

#: Ways of walking over parameters that tell when the structure changes.
_OUR_WALKS: set[Any] = {Link.params}
