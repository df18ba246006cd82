import io
import os
import pickle
import threading
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.serializers.archive import NpzArchive, write_npz
from golden import golden_cases

SNAPSHOTS = sorted((golden_cases.HERE / "snapshots").glob("*.npz"))
ARRAYS = {
    "a/W": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.array("héllo"),
    "empty": np.zeros((0, 3)),
    "number": np.array(7),
    "none": np.array(None),
}


def written(compression=True, arrays=ARRAYS):
    file = io.BytesIO()
    write_npz(file, arrays, compression)
    return file.getvalue()


def entry(payload, name="x.npy", size=None, method=zipfile.ZIP_STORED):
    """An archive of one entry with any content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, payload)
    return file.getvalue()


def npy(shape=(2,), descr="'<f4'", data=b"\0" * 8, version=b"\1\0"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def read(data):
    with NpzArchive(io.BytesIO(data)) as archive:
        return dict(archive)


@pytest.mark.parametrize("compression", [True, False])
def test_what_is_written_is_read(compression):
    back = read(written(compression))
    assert list(back) == list(ARRAYS)
    assert back.pop("none") is None
    for key, array in back.items():
        assert array.dtype == ARRAYS[key].dtype
        np.testing.assert_array_equal(array, ARRAYS[key])
    assert back["fortran"].flags.f_contiguous


def test_numpy_reads_what_is_written():
    with np.load(io.BytesIO(written()), allow_pickle=True) as archive:
        assert archive["none"][()] is None
        np.testing.assert_array_equal(archive["a/W"], ARRAYS["a/W"])


def test_what_numpy_writes_is_read():
    file = io.BytesIO()
    np.savez(file, x=np.arange(3), none=np.array(None))
    back = read(file.getvalue())
    assert back["none"] is None
    assert back["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_chainers_snapshots_are_read(path):
    # NumPy unpickles here, to compare with: these are our own files.
    with NpzArchive(path) as ours, np.load(path, allow_pickle=True) as theirs:
        assert set(ours) == set(theirs.files)
        for key, array in ours.items():
            if array is None:
                assert theirs[key][()] is None
            else:
                assert array.dtype == theirs[key].dtype
                np.testing.assert_array_equal(array, theirs[key])


class Bomb:
    fired = False

    def __reduce__(self):
        return Bomb.fire, ()

    @staticmethod
    def fire():
        Bomb.fired = True
        return 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [np.array(Bomb()), Bomb(), np.array([None]), np.array(1, object), None],
    ids=["array of an object", "object", "array of None", "array of a number", "None"],
)
def test_no_pickle_is_executed(content, protocol):
    payload = npy((), "'|O'", pickle.dumps(content, protocol))
    with pytest.raises(ValueError, match="'x' cannot be read: it holds pickled Python objects"):
        read(entry(payload))
    assert Bomb.fired is False


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (npy((2,), "'|O'", pickle.dumps(np.array(None), 3)), "pickled Python objects"),
        (npy((2,), "[('a', '|O'), ('b', '<f4')]", b"\0" * 24), "pickled Python objects"),
        (npy((10**12,)), "got 8 bytes of data, expected 4000000000000 for shape"),
        (npy((10**30,)), "bytes of data, expected"),
        (npy((-2,)), "negative extent"),
        (npy((1,)), "got 8 bytes of data, expected 4"),
        (npy(("'a'",)), "cannot be read"),
        (npy(descr="'no dtype'"), "cannot be read"),
        (npy(version=b"\3\0"), "npy version"),
        (npy()[:-4], "got 4 bytes of data, expected 8"),
        (b"\x93NUMPY\1\0\xff\xff{", "cannot be read"),
        (b"__import__('os')", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_hostile_entries(payload, message):
    with pytest.raises(ValueError, match=rf"\[load_npz\] npz file: entry 'x' .*{message}"):
        read(entry(payload))


def test_impossible_sizes_are_noticed_before_memory_is_taken():
    data = bytearray(entry(npy((10**11,), data=b""), method=zipfile.ZIP_DEFLATED))
    # The central directory's idea of the uncompressed size.
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    with pytest.raises(ValueError, match="cannot come out of"):
        read(bytes(data))


def test_another_shape_is_noticed_before_the_data_are_read():
    with (
        NpzArchive(io.BytesIO(written())) as archive,
        pytest.raises(ValueError, match=r"it has another shape: got \(2, 3\), expected \(3, 2\)"),
    ):
        archive.read("a/W", (3, 2))


def test_no_archive(tmp_path):
    with pytest.raises(ValueError, match="not an npz file"):
        NpzArchive(io.BytesIO(b"nothing of that kind"))
    with pytest.raises(FileNotFoundError):
        NpzArchive(tmp_path / "missing.npz")
    path = tmp_path / "text.npz"
    path.write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz: not an npz file"):
        NpzArchive(path)


@pytest.mark.parametrize("compression", [True, False])
def test_truncated_files(compression):
    data = written(compression)
    for length in range(0, len(data), 13):
        with pytest.raises(ValueError, match="npz file"):
            read(data[:length])


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    ),
)
def test_corrupted_files_give_errors_or_the_same_arrays(compression, changes):
    data = bytearray(written(compression))
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        back = read(bytes(data))
    except (ValueError, MemoryError):
        return
    for key in ARRAYS.keys() & back.keys() - {"none"}:
        np.testing.assert_array_equal(back[key], ARRAYS[key])


class TestWriting:
    def test_replaces_a_file_when_complete(self, tmp_path):
        path = tmp_path / "model.npz"
        write_npz(path, {"x": np.arange(3)}, True)
        old = path.read_bytes()
        broken = {"x": np.arange(3), "y": np.array([object()], dtype="O"), "z": "no array"}
        with pytest.raises((AttributeError, ValueError)):
            write_npz(path, broken, True)
        assert path.read_bytes() == old
        assert os.listdir(tmp_path) == ["model.npz"]

    def test_keeps_links_and_modes(self, tmp_path):
        target, link = tmp_path / "target.npz", tmp_path / "link.npz"
        write_npz(str(target), {"x": np.arange(3)}, True)
        assert target.stat().st_mode & 0o777 == 0o666 & ~current_umask()
        target.chmod(0o600)
        link.symlink_to(target)
        write_npz(link, {"y": np.arange(3)}, False)
        assert link.is_symlink()
        assert target.stat().st_mode & 0o777 == 0o600
        with NpzArchive(target) as archive:
            assert list(archive) == ["y"]

    def test_no_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            write_npz(tmp_path / "missing" / "x.npz", {}, True)

    def test_pipes_stay_pipes(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        received = []
        reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
        reader.start()
        write_npz(pipe, {"x": np.arange(3)}, True)
        reader.join()
        assert pipe.is_fifo()
        assert read(received[0])["x"].tolist() == [0, 1, 2]


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
