"""Reading and writing of ``.npz`` files without pickles.

NumPy stores None as a pickled object array, and Chainer's snapshots hold such entries for
parameters without a shape. They are recognised here by their bytes; nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, TypeVar

import numpy as np

__all__ = ["NpzArchive", "write_npz"]

_T = TypeVar("_T")

# What numpy.save makes of numpy.array(None). Versions before 2 write the first, which every later
# one reads too; the others are those of NumPy 2.0 and of later versions.
_PICKLED_NONE = (
    b"\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02"
    b"C\x01bq\x03\x87q\x04Rq\x05(K\x01)cnumpy\ndtype\nq\x06X\x02\x00\x00\x00O8q\x07\x89\x88\x87"
    b"q\x08Rq\t(K\x03X\x01\x00\x00\x00|q\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0bb\x89]"
    b"q\x0cNatq\rb."
)
_KNOWN_NONES = {
    _PICKLED_NONE,
    _PICKLED_NONE.replace(b"numpy.core", b"numpy._core"),
    b"\x80\x04\x95\x87\x00\x00\x00\x00\x00\x00\x00\x8c\x16numpy._core.multiarray\x94\x8c\x0c"
    b"_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94"
    b"\x87\x94R\x94(K\x01)h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03"
    b"\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94Nat\x94b.",
}
_NO_ARCHIVE = (
    zipfile.BadZipFile,
    struct.error,
    ValueError,
    NotImplementedError,
    io.UnsupportedOperation,
)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    OverflowError,
    OSError,
)


class NpzArchive(Mapping[str, Any]):
    """The arrays of an ``.npz`` file, each read when asked for.

    An entry that holds None is None here.

    Args:
        file: A path, a binary file open for reading, or what ``numpy.load`` gave for one.

    Raises:
        ValueError: If the file is no ``.npz`` file, or (when an entry is read) damaged or not
            plain data.
    """

    def __init__(self, file: Any) -> None:
        if isinstance(file, np.lib.npyio.NpzFile):
            self.name = str(getattr(file.fid, "name", None) or "npz file")
            self._zip: Any = file.zip
            self._owned = False
        else:
            named = isinstance(file, (str, os.PathLike))
            self.name = os.fspath(file) if named else str(getattr(file, "name", "npz file"))
            self._owned = True
            try:
                self._zip = zipfile.ZipFile(file)
            except _NO_ARCHIVE as error:
                raise ValueError(f"[load_npz] {self.name}: not an npz file: {error}") from None
        self._entries = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}

    def __enter__(self) -> NpzArchive:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owned:
            self._zip.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __getitem__(self, key: str) -> np.ndarray | None:
        return self.read(key)

    def read(self, key: str, shape: tuple[int, ...] | None = None) -> np.ndarray | None:
        """Read one entry.

        Args:
            key: Its name.
            shape: The shape it has to have, if that is known: looked at before the data are.

        Returns:
            The array, or None where None was stored.

        Raises:
            KeyError: If there is no such entry.
            ValueError: If it is damaged, holds pickled objects or has another shape.
        """
        return self._opened(key, lambda member, size: self._read(member, size, shape))

    def dtype_of(self, key: str) -> np.dtype:
        """Tell the dtype of one entry, without reading its data.

        Args:
            key: Its name.

        Returns:
            The dtype.

        Raises:
            KeyError: If there is no such entry.
            ValueError: If it is damaged.
        """
        return self._opened(key, lambda member, _: _header(member)[2])

    def _opened(self, key: str, read: Callable[[IO[bytes], int], _T]) -> _T:
        info = self._entries[key]
        try:
            # No compression of this format gets further: a size that is not true.
            if info.file_size > 1100 * info.compress_size + 1100:
                raise ValueError(f"{info.file_size} bytes cannot come out of {info.compress_size}")
            with self._zip.open(info) as member:
                return read(member, info.file_size)
        except MemoryError:
            raise
        except _DAMAGE as error:
            raise ValueError(
                f"[load_npz] {self.name}: entry '{key}' cannot be read: {error}"
            ) from None

    @staticmethod
    def _read(member: IO[bytes], size: int, expected: tuple[int, ...] | None) -> np.ndarray | None:
        shape, fortran, dtype = _header(member)
        rest = size - member.tell()
        if dtype.hasobject:
            if shape == () and rest < 256 and member.read() in _KNOWN_NONES:
                return None
            raise ValueError("it holds pickled Python objects, which are never loaded")
        if expected is not None and shape != expected:
            raise ValueError(f"it has another shape: got {shape}, expected {expected}")
        count = 1
        for extent in shape:
            if extent < 0:
                raise ValueError(f"negative extent in shape {shape}")
            count *= extent
        # Before any memory is taken for it.
        if count * dtype.itemsize != rest:
            raise ValueError(
                f"got {rest} bytes of data, expected {count * dtype.itemsize} for shape {shape} "
                f"and dtype {dtype}"
            )
        flat = np.empty(count, dtype)
        if rest:
            into = memoryview(flat.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
            while into.nbytes:
                got = member.readinto(into)  # type: ignore[attr-defined]
                if not got:
                    raise ValueError("it ends too early")
                into = into[got:]
        member.read(1)  # reaching the end is what checks the sum
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(member)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(member)
    raise ValueError(f"npy version: got {version}, expected (1, 0) or (2, 0)")


def write_npz(file: Any, arrays: Mapping[str, np.ndarray], compression: bool) -> None:
    """Write arrays into an ``.npz`` file; a path is replaced only when all is written.

    Args:
        file: A path or a binary file open for writing.
        arrays: Entries by name; a 0-dimensional object array of None stands for None.
        compression: Whether to compress.
    """
    method = zipfile.ZIP_DEFLATED if compression else zipfile.ZIP_STORED
    with _replacing(file) as stream, zipfile.ZipFile(stream, "w", method) as archive:
        for key, array in arrays.items():
            with archive.open(key + ".npy", "w", force_zip64=True) as member:
                if array.dtype.hasobject:
                    header = np.lib.format.header_data_from_array_1_0(array)
                    np.lib.format.write_array_header_1_0(member, header)
                    member.write(_PICKLED_NONE)
                else:
                    np.lib.format.write_array(member, array, allow_pickle=False)


@contextlib.contextmanager
def _replacing(file: Any) -> Iterator[Any]:
    """Open a path so that its old content stays until the new one is complete."""
    if not isinstance(file, (str, os.PathLike)):
        yield file
        return
    path = os.path.realpath(os.fspath(file))
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as stream:  # a device or a pipe
            yield stream
        return
    handle, scratch = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666 & ~_umask()
        os.chmod(scratch, mode)
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
