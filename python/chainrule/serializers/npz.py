"""Snapshots in NumPy's ``.npz`` format, as Chainer writes them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule._core import Variable
from chainrule._device_array import as_numpy
from chainrule._report import Report
from chainrule.serializer import Deserializer, Serializer
from chainrule.serializers.archive import NpzArchive, write_npz

__all__ = ["DictionarySerializer", "LoadReport", "NpzDeserializer", "load_npz", "save_npz"]

_NAMELESS = np.dtype("V2")  # bfloat16, for which NumPy's files have no name

#: What ``ignore_names`` takes: a key, a function of a key, or several of them.
IgnoreNames = str | Callable[[str], bool] | Iterable[str | Callable[[str], bool]] | None


class DictionarySerializer(Serializer):
    """Stores values as arrays in a dict, under paths such as ``l1/W``.

    Args:
        target: The dict; a new one by default.
        path: Put before all names.

    Attributes:
        target: The dict with what was stored.
    """

    def __init__(self, target: dict[str, Any] | None = None, path: str = "") -> None:
        self.target: dict[str, Any] = {} if target is None else target
        self.path = path

    def __getitem__(self, key: str) -> DictionarySerializer:
        return DictionarySerializer(self.target, self.path + key.strip("/") + "/")

    def __call__(self, key: str, value: Any) -> Any:
        """Store one value.

        Args:
            key: Its name.
            value: An array, a number, a string or None.

        Returns:
            ``value``.

        Raises:
            TypeError: If it is something else.
        """
        path = self.path + key.lstrip("/")
        array = as_numpy(value)
        if array.dtype.hasobject and value is not None:
            raise TypeError(
                f"[serialize] '{path}': got {type(value).__name__}, expected an array, a number, "
                "a string or None"
            )
        self.target[path] = array
        return value


@dataclasses.dataclass
class LoadReport(Report):
    """What a file and an object had in common.

    Attributes:
        file: Name of the file.
        loaded: Keys that were loaded.
        missing: Keys that were asked for and not in the file (with ``strict=False``), or held
            no value there.
        ignored: Keys that were left out because of ``ignore_names``.
        fresh: Paths of update rules whose state was not in the file and starts anew.
        replaced: Update rules that were replaced by such of the saved algorithm.
        unfit: What was left out of an optimizer's configuration (with ``strict=False``).
        unused: Keys in the file, below the path, that nothing asked for.
    """

    file: str = ""
    loaded: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)
    fresh: list[str] = dataclasses.field(default_factory=list)
    replaced: list[str] = dataclasses.field(default_factory=list)
    unfit: list[str] = dataclasses.field(default_factory=list)
    unused: list[str] = dataclasses.field(default_factory=list)

    def _headline(self) -> str:
        return f"{self.file}: {len(self.loaded)} loaded"


class NpzDeserializer(Deserializer):
    """Loads values from arrays named by paths.

    If loading fails, everything it has changed is put back.

    Args:
        npz: The arrays by name: a dict, or what ``numpy.load`` gives for an ``.npz`` file.
        path: Put before all names.
        strict: Whether a missing name is an error; otherwise the old value stays.
        ignore_names: Keys (or functions that tell whether a key is meant) to leave out.

    Attributes:
        report: A :class:`LoadReport`.
    """

    def __init__(
        self,
        npz: Mapping[str, Any],
        path: str = "",
        strict: bool = True,
        ignore_names: IgnoreNames = None,
    ) -> None:
        if isinstance(npz, np.lib.npyio.NpzFile):
            npz = NpzArchive(npz)
        self.npz = npz
        self.path = path
        self.strict = strict
        self.ignore_names = ignore_names
        self._ignored = _ignore_list(ignore_names)
        self.report = LoadReport(getattr(npz, "name", "npz file"))
        self._undo: list[Callable[[], None]] = []

    def __getitem__(self, key: str) -> NpzDeserializer:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        child.path = self.path + key.strip("/") + "/"
        return child

    def __call__(self, key: str, value: Any) -> Any:
        """Load one value.

        Args:
            key: Its name.
            value: What it was: an array is overwritten in place, a number or string is replaced
                by one of its type, None by a new array.

        Returns:
            The loaded value.

        Raises:
            KeyError: If there is none of this name.
            ValueError: If shapes differ, or the file's entry is damaged.
            TypeError: If the stored dtype cannot become that of ``value``.
        """
        key = self.path + key.lstrip("/")
        if isinstance(value, Variable):
            value = value.array
        if self._is_ignored(key):
            self.report.ignored.append(key)
            return value
        if key not in self.npz:
            if not self.strict:
                self.report.missing.append(key)
                return value
            near = difflib.get_close_matches(key, list(self.npz), 3, 0.5)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise KeyError(
                f"[load_npz] {self.report.file}: no entry '{key}' among {len(self.npz)}{hint}"
            )
        if isinstance(self.npz, NpzArchive) and isinstance(value, np.ndarray):
            stored = self.npz.read(key, value.shape)
        else:
            stored = self.npz[key]
        if stored is None or (isinstance(stored, np.ndarray) and stored.dtype.hasobject):
            if stored is not None and (stored.ndim != 0 or stored[()] is not None):
                raise ValueError(
                    f"[load_npz] {self.report.file}: entry '{key}' holds Python objects"
                )
            self.report.missing.append(key)
            return None
        loaded = self._convert(key, np.asarray(stored), value)
        if self.report.loaded[-1:] != [key]:  # a lazy parameter asks twice
            self.report.loaded.append(key)
        return loaded

    def _is_ignored(self, key: str) -> bool:
        return any(name == key if isinstance(name, str) else name(key) for name in self._ignored)

    def _convert(self, key: str, stored: np.ndarray, value: Any) -> Any:
        if value is None:
            return np.array(_with_name(stored))
        where = f"[load_npz] {self.report.file}: entry '{key}'"
        if not isinstance(value, np.ndarray):
            try:
                loaded = type(value)(stored)
            except (TypeError, ValueError) as error:
                raise type(error)(
                    f"{where} cannot become {type(value).__name__}: got {stored.dtype} of shape "
                    f"{stored.shape}"
                ) from None
            if type(value) is int and loaded != stored:
                raise ValueError(f"{where} cannot become int: got {stored}")
            return loaded
        if stored.shape != value.shape:
            raise ValueError(
                f"{where} has another shape: got {stored.shape}, expected {value.shape}"
            )
        if stored.dtype == _NAMELESS != value.dtype:
            known = value.dtype.name == "bfloat16"
            stored = stored.view(value.dtype) if known else _widened(stored)
        if not np.can_cast(stored.dtype, value.dtype, "same_kind"):
            raise TypeError(
                f"{where} has another dtype: got {stored.dtype}, expected {value.dtype}"
            )
        if not value.flags.writeable:
            raise ValueError(f"{where} is to be loaded into a read-only array")
        before = value.copy()
        self._undo.append(lambda: np.copyto(value, before))
        np.copyto(value, stored, casting="same_kind")
        return value

    def has(self, key: str) -> bool:
        """Tell whether there is an entry of a name.

        Args:
            key: The name.

        Returns:
            Whether there is.
        """
        return self.path + key.lstrip("/") in self.npz

    def will_load(self, key: str) -> bool:
        """Tell whether there is an entry of a name that is not to be ignored.

        Args:
            key: The name.

        Returns:
            Whether there is.
        """
        return self.has(key) and not self._is_ignored(self.path + key.lstrip("/"))

    def dtype_of(self, key: str) -> np.dtype | None:
        """Tell the dtype of an entry that would be loaded.

        Args:
            key: Its name.

        Returns:
            The dtype; None where there is no such entry, it holds None or it is to be ignored.
        """
        key = self.path + key.lstrip("/")
        if key not in self.npz or self._is_ignored(key):
            return None
        if isinstance(self.npz, NpzArchive):
            dtype = self.npz.dtype_of(key)
        else:
            dtype = np.asarray(self.npz[key]).dtype
        return None if dtype.hasobject else _with_name(np.empty(0, dtype)).dtype

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Say how to put something back that a ``serialize`` method is about to change.

        Arrays that are loaded in place are put back anyway.

        Args:
            undo: Called if loading fails later; the last one first.
        """
        self._undo.append(undo)

    def note_fresh(self) -> None:
        """Say that what lies here was not in the file and starts anew; the report tells it."""
        self.report.fresh.append(self.path.rstrip("/"))

    def remember(self, obj: Any) -> None:
        """Have the attributes of an object put back if loading fails later.

        Args:
            obj: Any object with a ``__dict__``.
        """
        attributes = getattr(obj, "__dict__", None)
        if attributes is None:
            return
        before = dict(attributes)

        def undo() -> None:
            attributes.clear()
            attributes.update(before)

        self._undo.append(undo)

    def load(self, obj: Any) -> None:
        """Load an object, or leave it as it was.

        Args:
            obj: Anything with a method ``serialize``.
        """
        self._undo.clear()
        self.remember(obj)
        try:
            obj.serialize(self)
        except BaseException:
            while self._undo:
                self._undo.pop()()
            raise
        self._undo.clear()
        asked = {*self.report.loaded, *self.report.missing, *self.report.ignored}
        self.report.unused[:] = [
            key for key in self.npz if key.startswith(self.path) and key not in asked
        ]


def _widened(stored: np.ndarray) -> np.ndarray:
    """Give numbers of bfloat16 as float32, of which they are the upper half."""
    return (stored.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _with_name(stored: np.ndarray) -> np.ndarray:
    """Give an array of bfloat16, for which NumPy's files have no name, its dtype again."""
    if stored.dtype == _NAMELESS:
        try:
            import ml_dtypes
        except ImportError:
            return stored
        return stored.view(ml_dtypes.bfloat16)
    return stored


def _ignore_list(names: IgnoreNames) -> tuple[str | Callable[[str], bool], ...]:
    if names is None:
        return ()
    listed: Iterable[Any] = (names,) if isinstance(names, str) or callable(names) else names
    listed = tuple(listed)
    for name in listed:
        if not isinstance(name, str) and not callable(name):
            raise ValueError(
                f"[load_npz] ignore_names: got {type(name).__name__}, expected keys or functions "
                "of a key"
            )
    return listed


def save_npz(file: Any, obj: Any, compression: bool = True) -> None:
    """Save an object in ``.npz`` format.

    A file at the path is replaced only when the new one is complete.

    Args:
        file: A path, or a binary file open for writing.
        obj: A link, an optimizer, or anything with a method ``serialize``.
        compression: Whether to compress.

    Raises:
        TypeError: If the object holds something that is no array, number, string or None.
        OSError: If the file cannot be written.

    Example:
        >>> import chainrule, io, numpy
        >>> file = io.BytesIO()
        >>> link = chainrule.links.Linear(2, 1)
        >>> chainrule.serializers.save_npz(file, link)
        >>> _ = file.seek(0)
        >>> sorted(numpy.load(file).files)
        ['W', 'b']
    """
    serializer = DictionarySerializer()
    serializer.save(obj)
    write_npz(file, serializer.target, compression)


def load_npz(
    file: Any,
    obj: Any,
    path: str = "",
    strict: bool = True,
    ignore_names: IgnoreNames = None,
) -> LoadReport:
    """Load an object from an ``.npz`` file written by chainrule or by Chainer.

    No pickles are executed. If anything is wrong, the object stays as it was.

    Args:
        file: A path, or a binary file open for reading.
        obj: The object to load into.
        path: Where in the file the object lies, such as ``updater/model:main/predictor/``.
        strict: Whether an entry that is missing in the file is an error; otherwise the old
            value stays.
        ignore_names: Keys (or functions that tell whether a key is meant) to leave out.

    Returns:
        A :class:`LoadReport` that tells what was loaded, missing and unused.

    Raises:
        FileNotFoundError: If there is no such file.
        KeyError: If an entry is missing.
        ValueError: If the file is no ``.npz`` file or damaged, holds pickled objects, or an
            entry has another shape than the object.
        TypeError: If an entry's dtype cannot become the object's.

    Example:
        >>> import chainrule, io
        >>> file = io.BytesIO()
        >>> chainrule.serializers.save_npz(file, chainrule.links.Linear(2, 1))
        >>> link = chainrule.links.Linear(None, 1)
        >>> print(chainrule.serializers.load_npz(file, link))
        npz file: 2 loaded
        >>> link.W.shape
        (1, 2)
    """
    prefix = path if not path or path.endswith("/") else path + "/"
    with NpzArchive(file) as archive:
        deserializer = NpzDeserializer(archive, prefix, strict, ignore_names)
        deserializer.load(obj)
    return deserializer.report
