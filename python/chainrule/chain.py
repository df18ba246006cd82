"""Links made of links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSequence
from typing import Any

from chainrule._core import structure_changed
from chainrule.device_resident import DeviceResidentsVisitor
from chainrule.link import _OUR_WALKS, Link
from chainrule.serializer import AbstractSerializer
from chainrule.variable import Parameter

__all__ = ["Chain", "ChainList"]


class _Tree(Link):
    """What Chain and ChainList have in common: walking over named children."""

    def _named_children(self) -> Iterable[tuple[str, Link]]:
        """Children with their names, in the order in which they are walked over."""
        raise NotImplementedError

    def params(self, include_uninit: bool = True) -> Iterator[Parameter]:
        yield from super().params(include_uninit)
        for _, child in self._named_children():
            yield from child.params(include_uninit)

    def namedparams(self, include_uninit: bool = True) -> Iterator[tuple[str, Parameter]]:
        yield from super().namedparams(include_uninit)
        for name, child in self._named_children():
            prefix = "/" + name
            for path, param in child.namedparams(include_uninit):
                yield prefix + path, param

    def links(self, skipself: bool = False) -> Iterator[Link]:
        if not skipself:
            yield self
        for _, child in self._named_children():
            yield from child.links()

    def namedlinks(self, skipself: bool = False) -> Iterator[tuple[str, Link]]:
        if not skipself:
            yield "/", self
        for name, child in self._named_children():
            prefix = "/" + name
            yield prefix, child
            for path, link in child.namedlinks(True):
                yield prefix + path, link

    def children(self) -> Iterator[Link]:
        for _, child in self._named_children():
            yield child

    def __str__(self) -> str:
        lines = [f"  ({name}): {_indented(child)},\n" for name, child in self._printed()]
        inside = "\n" + "".join(lines) if lines else ""
        return f"{type(self).__name__}({inside})"

    def _printed(self) -> Iterable[tuple[str, Any]]:
        return self._named_children()

    def copyparams(self, link: Link, copy_persistent: bool = True) -> None:
        super().copyparams(link, copy_persistent)
        for mine, other in self._paired(link, "copyparams"):
            mine.copyparams(other, copy_persistent)

    def addgrads(self, link: Link) -> None:
        super().addgrads(link)
        for mine, other in self._paired(link, "addgrads"):
            mine.addgrads(other)

    def _paired(self, link: Link, op: str) -> Iterator[tuple[Link, Link]]:
        others = dict(link._named_children()) if isinstance(link, _Tree) else {}
        for name, child in self._named_children():
            if name not in others:
                raise ValueError(f"[{op}] {type(link).__name__} has no child '{name}'")
            yield child, others[name]

    def serialize(self, serializer: AbstractSerializer) -> None:
        super().serialize(serializer)
        for name, child in self._named_children():
            child.serialize(serializer[name])

    def device_resident_accept(self, visitor: DeviceResidentsVisitor) -> None:
        super().device_resident_accept(visitor)
        for child in self.children():
            child.device_resident_accept(visitor)


_OUR_WALKS.add(_Tree.params)


def _indented(child: Any) -> str:
    return str(child).replace("\n", "\n  ")


class Chain(_Tree):
    """A link whose children are attributes.

    Links that are assigned inside ``with self.init_scope():`` become children.

    Args:
        **links: Children by name.

    Example:
        >>> import chainrule
        >>> import chainrule.links as L
        >>> class MLP(chainrule.Chain):
        ...     def __init__(self):
        ...         super().__init__()
        ...         with self.init_scope():
        ...             self.l1 = L.Linear(2, 3)
        ...             self.l2 = L.Linear(3, 1)
        >>> [path for path, _ in MLP().namedparams()]
        ['/l1/W', '/l1/b', '/l2/W', '/l2/b']
    """

    _children: Any = frozenset()

    def __init__(self, **links: Link) -> None:
        super().__init__()
        self._children = set()
        for name, link in links.items():
            self.add_link(name, link)

    def _named_children(self) -> Iterable[tuple[str, Link]]:
        attributes = self.__dict__
        return [(name, attributes[name]) for name in sorted(self._children)]

    def __getitem__(self, name: str) -> Link:
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Link):
            if self._within_init_scope:
                if hasattr(self, name):
                    raise AttributeError(f"cannot register a new link {name}: attribute exists")
                value.name = name
                self._children.add(name)
                if self._update_clock is not None:
                    value._follow(self._update_clock)
            structure_changed()
        elif name in self._children:
            structure_changed()
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._children:
            self._children.discard(name)
            structure_changed()
        super().__delattr__(name)

    def add_link(self, name: str, link: Link) -> None:
        """Register a child.

        Args:
            name: Its name.
            link: The child.

        Raises:
            AttributeError: If the name is taken.
            TypeError: If it is no link.
        """
        if name in self.__dict__:
            raise AttributeError(f"cannot register a new link {name}: attribute exists")
        if not isinstance(link, Link):
            raise TypeError("cannot register a non-link object as a child")
        with self.init_scope():
            setattr(self, name, link)

    def copy(self, mode: str = "share") -> Any:
        """Copy the link and those below it.

        Args:
            mode: What :meth:`Link.copy` takes.

        Returns:
            The copy.
        """
        copied: Any = super().copy(mode)
        if mode == "share":
            copied._children = set(self._children)
            for name in self._children:
                child = self.__dict__[name].copy(mode)
                child.name = name
                copied.__dict__[name] = child
        return copied


class ChainList(_Tree, MutableSequence[Link]):
    """A link whose children are numbered, like a list.

    Args:
        *links: The children.

    Example:
        >>> import chainrule
        >>> import chainrule.links as L
        >>> layers = chainrule.ChainList(L.Linear(2, 3), L.Linear(3, 1))
        >>> [path for path, _ in layers.namedparams()]
        ['/0/W', '/0/b', '/1/W', '/1/b']
    """

    def __init__(self, *links: Link) -> None:
        super().__init__()
        self._children: list[Link] = []
        for link in links:
            self.add_link(link)

    def _named_children(self) -> Iterable[tuple[str, Link]]:
        return [(str(index), child) for index, child in enumerate(self._children)]

    def __setattr__(self, name: str, value: Any) -> None:
        if self._within_init_scope and isinstance(value, Link):
            raise TypeError(
                'cannot register a new link within a "with chainlist.init_scope():" block.'
            )
        super().__setattr__(name, value)

    def __getitem__(self, index: Any) -> Any:
        return self._children[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            links = list(value)
            for link in links:
                _check_link(link)
            self._children[index] = links
        else:
            _check_link(value)
            self._children[index] = value
        self._number()

    def __delitem__(self, index: Any) -> None:
        del self._children[index]
        self._number()

    def __len__(self) -> int:
        return len(self._children)

    def __iter__(self) -> Iterator[Link]:
        return iter(self._children)

    def _number(self) -> None:
        structure_changed()
        for index, link in enumerate(self._children):
            link.name = str(index)
            if self._update_clock is not None and link._update_clock is None:
                link._follow(self._update_clock)

    def insert(self, index: int, link: Link) -> None:
        """Put a child before another.

        Args:
            index: Where.
            link: The child.

        Raises:
            TypeError: If it is no link.
        """
        _check_link(link)
        self._children.insert(index, link)
        self._number()

    def add_link(self, link: Link) -> None:
        """Append a child.

        Args:
            link: The child.

        Raises:
            TypeError: If it is no link.
        """
        self.insert(len(self._children), link)

    def copy(self, mode: str = "share") -> Any:
        """Copy the link and those below it.

        Args:
            mode: What :meth:`Link.copy` takes.

        Returns:
            The copy.
        """
        copied: Any = super().copy(mode)
        if mode == "share":
            copied._children = [child.copy(mode) for child in self._children]
            copied._number()
        return copied


def _check_link(link: object) -> None:
    if not isinstance(link, Link):
        raise TypeError(f"[ChainList] got {type(link).__name__}, expected a Link")
