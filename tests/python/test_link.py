import copy
import json
import pathlib
import pickle

import numpy as np
import pytest

import chainrule
import chainrule.links as L
from chainrule import Parameter

FACTS = json.loads((pathlib.Path(__file__).parent / "golden" / "behaviour.json").read_text())


class Scale(chainrule.Link):
    def __init__(self, value=2.0):
        super().__init__()
        with self.init_scope():
            self.factor = Parameter(value, (2,))
        self.add_persistent("seen", 7)
        self.add_persistent("mean", np.zeros(2, np.float32))

    def forward(self, x):
        return self.factor * x


class Rule:
    enabled = True


def names(link):
    return [path for path, _ in link.namedparams()]


def test_parameters_are_registered_in_the_scope_only():
    link = Scale()
    link.loose = Parameter(1.0, ())
    assert names(link) == ["/factor"]
    assert link.factor.name == "factor"
    assert link.loose.name is None
    assert link.within_init_scope is False
    with link.init_scope():
        assert link.within_init_scope is True
        link.other = Parameter(1.0, ())
        link.array = np.ones(3)
    assert names(link) == ["/factor", "/other"]


def test_init_has_to_run_first():
    class Early(chainrule.Chain):
        def __init__(self):
            self.number = 3
            with self.init_scope():
                pass

    with pytest.raises(RuntimeError, match=r"\[Early\] call super\(\).__init__\(\) before"):
        Early()


def test_scope_ends_with_an_error():
    link = Scale()
    with pytest.raises(KeyError), link.init_scope():
        raise KeyError
    assert link.within_init_scope is False


def test_registered_parameter_can_be_replaced_and_deleted():
    link = L.Linear(2, 2)
    link.W = Parameter(np.ones((3, 3), np.float32))
    assert [p.shape for p in link.params()] == [(3, 3), (2,)]
    del link.b
    assert names(link) == ["/W"]
    with pytest.raises(AttributeError, match="missing"):
        del link.missing


def test_add_param():
    link = chainrule.Link(V=(2, 3), H=((2,), np.float16))
    link.add_param("z", (2,), initializer=0.5)
    link.add_param("open", dtype=np.float64)
    assert names(link) == ["/H", "/V", "/open", "/z"]
    assert (link.V.shape, link.V.dtype, link.H.dtype) == ((2, 3), np.float32, np.float16)
    assert (link.open.is_initialized, link.open.dtype) == (False, np.float64)
    np.testing.assert_array_equal(link.z.array, np.full(2, 0.5))
    with pytest.raises(AttributeError, match="cannot register a new parameter z: attribute exists"):
        link.add_param("z", (2,))


def test_persistent_values():
    link = Scale()
    with pytest.raises(AttributeError, match=FACTS["errors"]["add_persistent_same_name"][2][:34]):
        link.add_persistent("seen", 1)
    with pytest.raises(AttributeError, match="non-existent attribute nothing"):
        link.register_persistent("nothing")
    link.register_persistent("factor")
    assert names(link) == []


def test_call_runs_forward():
    assert Scale()(np.ones(2, np.float32)).array.tolist() == [2, 2]
    with pytest.raises(AttributeError, match="'Chain' object has no attribute 'forward'"):
        chainrule.Chain()(1)


def test_include_uninit():
    link = L.Linear(None, 2)
    facts = [path for path, _ in link.namedparams(include_uninit=False)]
    assert facts == FACTS["link_order"]["uninitialized_namedparams"]
    assert len(list(link.params())) == 2
    assert len(list(link.params(False))) == 1


def test_count_params():
    assert L.Linear(3, 2).count_params() == 8
    with pytest.warns(UserWarning, match="'/W' has not been initialized"):
        assert L.Linear(None, 2).count_params() == 2


def test_walks_of_a_single_link():
    link = Scale()
    assert list(link.links()) == [link]
    assert list(link.links(skipself=True)) == []
    assert list(link.namedlinks()) == [("/", link)]
    assert list(link.namedlinks(True)) == []
    assert list(link.children()) == []


def test_printed_as_in_chainer():
    facts = FACTS["reprs"]["links"]
    assert str(L.Linear(2, 3)) == facts["linear"]["str"]
    assert str(L.Linear(None, 3)) == facts["linear_lazy"]["str"]
    assert str(Scale()) == "Scale()"


class TestCopy:
    def test_share(self):
        link = L.Linear(3, 2)
        link.name = "l"
        copied = link.copy()
        assert copied.name is None
        assert copied.W is not link.W
        assert copied.W.array is link.W.array
        copied.W.grad = np.ones((2, 3), np.float32)
        assert link.W.grad is None
        with copied.init_scope():
            copied.extra = Parameter(1.0, ())
        assert names(link) == ["/W", "/b"]

    def test_copy(self):
        link = L.Linear(3, 2)
        copied = link.copy("copy")
        np.testing.assert_array_equal(copied.W.array, link.W.array)
        copied.W.array[...] = 0
        assert link.W.array.all()

    def test_init(self):
        link = L.Linear(3, 2)
        copied = link.copy("init")
        assert copied.W.shape == (2, 3)
        assert (copied.W.array != link.W.array).all()
        assert L.Linear(None, 2).copy("init").W.is_initialized is False

    def test_lazy_copy_finds_its_own_size(self):
        link = L.Linear(None, 2)
        copied = link.copy("init")
        link(np.ones((1, 3), np.float32))
        copied(np.ones((1, 5), np.float32))
        assert (link.W.shape, copied.W.shape) == ((2, 3), (2, 5))

    def test_other_modes(self):
        with pytest.raises(ValueError, match=r"either 'init','copy', or 'share'. But x was given"):
            Scale().copy("x")

    def test_repeat(self):
        link = L.Linear(3, 3)
        repeated = link.repeat(3)
        assert isinstance(repeated, chainrule.Sequential)
        assert len({layer.W.array[0, 0] for layer in repeated}) == 3
        assert len({layer.W.array[0, 0] for layer in link.repeat(3, "copy")}) == 1
        assert all(layer.W.array is link.W.array for layer in link.repeat(2, "share"))
        assert len(link.repeat(0)) == 0

    @pytest.mark.parametrize("make", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
    def test_deep_copies_are_whole(self, make):
        link = Scale(3.0)
        copied = make(link)
        assert names(copied) == names(link)
        assert (copied.seen, copied._persistent) == (7, {"seen", "mean"})
        assert copied(np.ones(2, np.float32)).array.tolist() == [3, 3]


class TestCopyparams:
    def test_copies_data_and_persistent_values(self):
        source, target = Scale(3.0), Scale(2.0)
        source.seen, source.mean[...] = 9, 1
        mean = target.mean
        target.copyparams(source)
        assert target.factor.array.tolist() == [3, 3]
        assert target.seen == 9
        assert target.mean is mean
        assert mean.tolist() == [1, 1]
        target.seen = 0
        target.copyparams(source, copy_persistent=False)
        assert target.seen == 0

    def test_lazy_parameters(self):
        source, target = L.Linear(3, 2), L.Linear(None, 2)
        target.copyparams(source)
        np.testing.assert_array_equal(target.W.array, source.W.array)

    def test_other_structure(self):
        L.Linear(2, 2, nobias=True).copyparams(L.Linear(2, 2))
        with pytest.raises(ValueError, match=r"\[copyparams\] Linear has no parameter 'b'"):
            L.Linear(2, 2).copyparams(L.Linear(2, 2, nobias=True))


def test_addgrads():
    first, second = Scale(), Scale()
    second.factor.grad = np.ones(2, np.float32)
    first.addgrads(second)
    first.addgrads(second)
    assert first.factor.grad.tolist() == [2, 2]
    with pytest.raises(ValueError, match=r"\[addgrads\] Linear has no parameter 'factor'"):
        first.addgrads(L.Linear(2, 2))


def test_cleargrads_and_zerograds():
    link = L.Linear(None, 2)
    link.b.grad = np.ones(2, np.float32)
    link.cleargrads()
    assert link.b.grad is None
    with pytest.warns(DeprecationWarning, match="use Link.cleargrads"):
        link.zerograds()
    assert link.b.grad.tolist() == [0, 0]


def test_update_enabled():
    link = L.Linear(2, 2)
    assert link.update_enabled is False
    for param in link.params():
        param.update_rule = Rule()
    assert link.update_enabled is True
    link.disable_update()
    assert link.update_enabled is False
    assert link.W.update_rule.enabled is False
    link.enable_update()
    assert link.W.update_rule.enabled is True


def test_disable_before_setup_is_remembered():
    link = L.Linear(2, 2)
    link.disable_update()
    link.b.update_rule = rule = Rule()
    assert rule.enabled is False
    y = link(np.ones((1, 2), np.float32)) * Parameter(1.0, ())
    y.grad = np.ones((1, 2), np.float32)
    y.backward()
    assert link.W.grad is None


def test_device():
    link = Scale()
    assert link.xp is np
    assert link.device == chainrule.get_device("@numpy")
    for move in (link.to_cpu, link.from_chx, link.to_intel64, lambda: link.to_device("@numpy")):
        assert move() is link
    with pytest.raises(RuntimeError, match="ChainerX is not available"):
        link.to_chx()


def test_from_params_has_to_be_offered():
    with pytest.raises(NotImplementedError, match=r"\[Scale\]"):
        Scale.from_params(1)


def test_classes_are_where_chainer_has_them():
    assert chainrule.link.Chain is chainrule.Chain
    assert chainrule.link.ChainList is chainrule.ChainList
    with pytest.raises(AttributeError, match="nothing"):
        _ = chainrule.link.nothing
