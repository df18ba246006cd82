"""What objects that can be saved and loaded talk to.

An object's ``serialize(serializer)`` names its values: ``self.n = serializer('n', self.n)``, and
hands children on: ``self.child.serialize(serializer['child'])``. A :class:`Serializer` stores the
values and returns them, a :class:`Deserializer` returns the stored ones.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AbstractSerializer", "Deserializer", "Serializer"]


class AbstractSerializer:
    """Base of everything that is passed to ``serialize``."""

    def __getitem__(self, key: str) -> AbstractSerializer:
        """Give the serializer of a child object.

        Args:
            key: Name of the child.

        Returns:
            A serializer whose names lie below ``key``.
        """
        raise NotImplementedError

    def __call__(self, key: str, value: Any) -> Any:
        """Store or load one value.

        Args:
            key: Its name.
            value: An array, a number, a string or None.

        Returns:
            The value to go on with. Arrays are loaded in place and returned; where ``value``
            is None, a new array is returned.
        """
        raise NotImplementedError


class Serializer(AbstractSerializer):
    """Base of serializers that store."""

    def save(self, obj: Any) -> None:
        """Store an object.

        Args:
            obj: Anything with a method ``serialize``.
        """
        obj.serialize(self)


class Deserializer(AbstractSerializer):
    """Base of serializers that load."""

    def load(self, obj: Any) -> None:
        """Load an object.

        Args:
            obj: Anything with a method ``serialize``.
        """
        obj.serialize(self)
