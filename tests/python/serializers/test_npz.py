import io

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import Parameter, Variable
from chainrule.serializers import (
    DictionarySerializer,
    LoadReport,
    NpzDeserializer,
    load_npz,
    save_npz,
)
from golden import golden_cases

FOLDER = golden_cases.HERE / "snapshots"


class Mlp(chainrule.Chain):
    def __init__(self, in_size=3):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(in_size, 4)
            self.l2 = L.Linear(4, 2)
        self.add_persistent("mean", np.array([0.25, -1.5, 3.0], np.float32))
        self.add_persistent("seen", 7)


class Tower(chainrule.ChainList):
    def __init__(self):
        super().__init__(L.Linear(3, 2), Mlp(), L.Linear(2, 2, nobias=True))


LINKS = {
    "mlp": Mlp,
    "mlp_uncompressed": Mlp,
    "chain_list": Tower,
    "sequential": lambda: chainrule.Sequential(L.Linear(3, 4), F.relu, L.Linear(4, 2)),
}


def state(link):
    """Everything about a link that loading may change, copied."""
    found = {}
    for path, child in link.namedlinks():
        for name in child._params:
            array = getattr(child, name).array
            found[path, name] = None if array is None else array.tobytes()
        for name in child._persistent:
            found[path, name] = repr(getattr(child, name))
    return found


def saved(obj, **kwargs):
    file = io.BytesIO()
    save_npz(file, obj, **kwargs)
    file.seek(0)
    return file


def changed(drop=(), **replaced):
    """A snapshot of an Mlp with entries missing or replaced."""
    serializer = DictionarySerializer()
    serializer.save(Mlp())
    arrays = {key: array for key, array in serializer.target.items() if key not in drop}
    file = io.BytesIO()
    np.savez(file, **{**arrays, **replaced})
    file.seek(0)
    return file


@pytest.mark.parametrize("name", LINKS)
def test_chainers_files_load(name):
    link = LINKS[name]()
    report = load_npz(FOLDER / f"{name}.npz", link)
    with np.load(FOLDER / f"{name}.npz") as archive:
        assert sorted(report.loaded) == sorted(archive.files)
        for path, param in link.namedparams():
            np.testing.assert_array_equal(param.array, archive[path[1:]])
    assert (report.missing, report.unused, report.ignored) == ([], [], [])


@pytest.mark.parametrize("name", LINKS)
def test_keys_are_chainers(name):
    serializer = DictionarySerializer()
    serializer.save(LINKS[name]())
    with np.load(FOLDER / f"{name}.npz") as archive:
        assert {k: (v.dtype, v.shape) for k, v in serializer.target.items()} == {
            k: (archive[k].dtype, archive[k].shape) for k in archive.files
        }


def test_lazy_parameter_gets_its_shape():
    link = Mlp(None)
    load_npz(str(FOLDER / "mlp.npz"), link)
    assert link.l1.W.shape == (4, 3)
    assert (type(link.seen), link.seen) == (int, 7)
    assert link.l1(np.ones((1, 3), np.float32)).shape == (1, 4)


def test_none_leaves_parameters_alone():
    link = Mlp()
    before = link.l1.W.array.copy()
    report = load_npz(FOLDER / "mlp_uninitialized.npz", link)
    np.testing.assert_array_equal(link.l1.W.array, before)
    assert report.missing == ["l1/W"]
    fresh = Mlp(None)
    load_npz(FOLDER / "mlp_uninitialized.npz", fresh)
    assert fresh.l1.W.is_initialized is False


def test_part_of_a_file():
    for path in ("updater/model:main/predictor/", "updater/model:main/predictor"):
        link = Mlp()
        report = load_npz(FOLDER / "trainer.npz", link, path=path)
        assert len(report.loaded) == 6
        assert report.unused == []


@pytest.mark.parametrize("compression", [True, False])
def test_round_trip(compression, tmp_path):
    link = Mlp(None)
    link.seen = 9
    save_npz(tmp_path / "model.npz", link, compression=compression)
    other = Mlp()
    other.l1 = L.Linear(None, 4)
    load_npz(tmp_path / "model.npz", other)
    assert other.seen == 9
    np.testing.assert_array_equal(other.l2.W.array, link.l2.W.array)


def test_values_of_all_kinds():
    class Thing:
        def __init__(self, *values):
            self.values = values

        def serialize(self, serializer):
            child = serializer["/child/"]
            self.values = tuple(child(f"/{i}", v) for i, v in enumerate(self.values))

    values = (1, 2.5, True, "text", None, np.arange(3), np.float32(4), Variable(np.ones(2)))
    file = saved(Thing(*values))
    blank = Thing(0, 0.0, False, "", None, np.zeros(3, int), np.float32(0), np.zeros(2))
    report = load_npz(file, blank)
    assert blank.values[:5] == values[:5]
    assert [type(v) for v in blank.values[:5]] == [type(v) for v in values[:5]]
    assert blank.values[5].tolist() == [0, 1, 2]
    assert type(blank.values[6]) is np.float32
    assert report.loaded == [f"child/{i}" for i in (0, 1, 2, 3, 5, 6, 7)]
    for wrong in ({}, object(), [1, None]):
        with pytest.raises((TypeError, ValueError), match=r"child/0|inhomogeneous"):
            saved(Thing(wrong))


def test_not_strict():
    link = Mlp()
    before = link.l1.b.array.copy()
    report = load_npz(changed(drop=["l1/b"]), link, strict=False)
    np.testing.assert_array_equal(link.l1.b.array, before)
    assert report.missing == ["l1/b"]
    assert len(report.loaded) == 5


@pytest.mark.parametrize(
    "names",
    ["l1/W", ["l1/W"], lambda key: key.startswith("l1/W"), ("l1/W", lambda key: False)],
)
def test_ignored_names(names):
    link = Mlp()
    before = link.l1.W.array.copy()
    report = load_npz(FOLDER / "mlp.npz", link, ignore_names=names)
    np.testing.assert_array_equal(link.l1.W.array, before)
    assert report.ignored == ["l1/W"]
    assert len(report.loaded) == 5


def test_report_reads_well():
    report = LoadReport("model.npz", ["a", "b"], missing=["c"], unused=["d", "e"])
    assert str(report) == "model.npz: 2 loaded\n  missing c\n  unused  d, e"


FAILURES = {
    "missing": (lambda: changed(drop=["l2/b"]), KeyError, r"no entry 'l2/b' among 5; nearest: .*"),
    "shape": (
        lambda: changed(**{"l2/W": np.ones((2, 5), np.float32)}),
        ValueError,
        r"entry 'l2/W' .*another shape: got \(2, 5\), expected \(2, 4\)",
    ),
    "broadcast": (
        lambda: changed(**{"l2/W": np.float32(1)}),
        ValueError,
        r"entry 'l2/W' .*another shape: got \(\), expected \(2, 4\)",
    ),
    "dtype": (
        lambda: changed(**{"l2/W": np.ones((2, 4), complex)}),
        TypeError,
        "entry 'l2/W' has another dtype: got complex128, expected float32",
    ),
    "text": (
        lambda: changed(**{"l2/W": np.full((2, 4), "x")}),
        TypeError,
        "entry 'l2/W' has another dtype: got <U1, expected float32",
    ),
    "number": (
        lambda: changed(seen=np.arange(3)),
        TypeError,
        r"entry 'seen' cannot become int: got int64 of shape \(3,\)",
    ),
    "pickle": (
        lambda: changed(**{"l2/W": np.array([{}, 1], object)}),
        ValueError,
        "entry 'l2/W' cannot be read: it holds pickled Python objects",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("in_size", [3, None])
def test_failures_leave_the_model_as_it_was(name, in_size):
    make, error, message = FAILURES[name]
    link = Mlp(in_size)
    link.seen = 1
    before = state(link)
    mean = link.mean
    with pytest.raises(error, match=message) as caught:
        load_npz(make(), link)
    assert "npz file" in str(caught.value)
    assert state(link) == before
    assert link.mean is mean
    assert link.l1.W.is_initialized == (in_size is not None)


def test_damaged_data_leave_the_model_as_it_was():
    whole = Mlp()
    data = bytearray(saved(whole, compression=False).getvalue())
    data[data.index(whole.l2.W.array.tobytes())] ^= 1
    link = Mlp()
    before = state(link)
    with pytest.raises(ValueError, match="cannot be read: Bad CRC-32"):
        load_npz(io.BytesIO(bytes(data)), link)
    assert state(link) == before


def test_failure_in_a_users_serialize():
    class Mine(Mlp):
        def serialize(self, serializer):
            super().serialize(serializer)
            self.seen = 100
            raise RuntimeError("mine")

    link = Mine()
    before = state(link)
    with pytest.raises(RuntimeError, match="mine"):
        load_npz(FOLDER / "mlp.npz", link)
    assert state(link) == before


def test_read_only_parameter():
    link = chainrule.Link()
    array = np.zeros(2, np.float32)
    array.flags.writeable = False
    with link.init_scope():
        link.w = Parameter(array)
    with pytest.raises(ValueError, match="read-only"):
        load_npz(saved(link), link)


class TestOptimizers:
    def trained(self, steps=2):
        model = Mlp()
        optimizer = chainrule.optimizers.Adam().setup(model)
        for _ in range(steps):
            for param in model.params():
                param.grad = np.ones(param.shape, np.float32)
            optimizer.update()
        return optimizer

    def state(self, optimizer):
        rules = [param.update_rule for param in optimizer.target.params()]
        states = [rule.state and {k: repr(v) for k, v in rule.state.items()} for rule in rules]
        return optimizer.t, optimizer.epoch, [rule.t for rule in rules], states

    @pytest.mark.parametrize("entry", ["t", "epoch", "l2/b/t"])
    @pytest.mark.parametrize(
        ("count", "message"),
        [(-3, "got -3, expected an integer"), (2.5, "cannot become int"), (None, "got None")],
    )
    def test_numbers_of_updates_are_checked(self, entry, count, message):
        with np.load(FOLDER / "adam_optimizer.npz") as archive:
            arrays = {**archive, entry: np.asarray(count)}
        file = io.BytesIO()
        np.savez(file, **arrays)
        file.seek(0)
        optimizer = self.trained()
        before = self.state(optimizer)
        with pytest.raises(ValueError, match=f"entry '{entry}'.* {message}"):
            chainrule.serializers.load_npz(file, optimizer)
        assert self.state(optimizer) == before

    @pytest.mark.parametrize("steps", [0, 2])
    @pytest.mark.parametrize("dtype", ["complex128", "int64", "<U1"])
    def test_states_of_another_kind_are_named(self, dtype, steps):
        with np.load(FOLDER / "adam_optimizer.npz") as archive:
            arrays = {**archive, "l2/b/m": np.zeros(archive["l2/b/m"].shape).astype(dtype)}
        file = io.BytesIO()
        np.savez(file, **arrays)
        file.seek(0)
        optimizer = self.trained(steps)
        before = self.state(optimizer)
        with pytest.raises(ValueError, match=f"'l2/b/m' .*must be floating: got {dtype}"):
            chainrule.serializers.load_npz(file, optimizer)
        assert self.state(optimizer) == before

    @pytest.mark.parametrize("steps", [0, 2])
    def test_failures_leave_the_optimizer_as_it_was(self, steps):
        with np.load(FOLDER / "adam_optimizer.npz") as archive:
            arrays = {**archive, "l2/b/t": np.arange(7)}
        file = io.BytesIO()
        np.savez(file, **arrays)
        file.seek(0)
        optimizer = self.trained(steps)
        before = self.state(optimizer)
        with pytest.raises(TypeError, match="'l2/b/t' cannot become int"):
            load_npz(file, optimizer)
        assert self.state(optimizer) == before

    def test_state_that_is_not_there_starts_anew(self):
        optimizer = self.trained(0)
        report = load_npz(FOLDER / "adam_partly_disabled_optimizer.npz", optimizer)
        assert report.fresh == ["l1/W", "l1/b"]
        rules = {path: param.update_rule for path, param in optimizer.target.namedparams()}
        assert [rules[path].state is None for path in sorted(rules)] == [True, True, False, False]


class TestDeserializer:
    def test_of_a_dict(self):
        link = L.Linear(2, 1)
        arrays = {"W": np.ones((1, 2)), "b": np.full(1, 3.0), "x": np.zeros(1)}
        deserializer = NpzDeserializer(arrays)
        deserializer.load(link)
        assert link.W.array.tolist() == [[1, 1]]
        assert deserializer.report.unused == ["x"]

    def test_of_what_numpy_loads(self):
        link = Mlp()
        with np.load(FOLDER / "mlp_uninitialized.npz") as archive:
            deserializer = NpzDeserializer(archive, strict=False)
            deserializer.load(link)
            assert archive["l1/b"].shape == (4,)  # still open
        assert deserializer.report.missing == ["l1/W"]

    def test_of_objects_in_a_dict(self):
        with pytest.raises(ValueError, match="entry 'x' holds Python objects"):
            NpzDeserializer({"x": np.array({}, object)})("x", None)
        assert NpzDeserializer({"x": np.array(None)})("x", 3) is None

    def test_values_are_copies(self):
        array = np.ones(2)
        loaded = NpzDeserializer({"x": array})("x", None)
        assert loaded is not array

    def test_misuse(self):
        with pytest.raises(ValueError, match="ignore_names: got int"):
            NpzDeserializer({}, ignore_names=[3])


def test_bfloat16_comes_back():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    link = chainrule.Link()
    with link.init_scope():
        link.w = Parameter(np.arange(4).astype(ml_dtypes.bfloat16))
    file = saved(link)
    link.w.array[...] = 0
    load_npz(file, link)
    assert link.w.array.astype(np.float32).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_bfloat16_is_loaded_as_numbers_of_another_dtype(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    first, second = chainrule.Link(), chainrule.Link()
    for link, kind in ((first, ml_dtypes.bfloat16), (second, dtype)):
        with link.init_scope():
            link.w = Parameter(np.arange(4).astype(kind))
    second.w.array[...] = 0
    load_npz(saved(first), second)
    assert second.w.array.dtype == dtype
    assert second.w.array.tolist() == [0, 1, 2, 3]
