import copy
import json
import pathlib

import numpy as np
import pytest

import chainrule
import chainrule.links as L
from chainrule import Chain, ChainList, Parameter, Variable

FACTS = json.loads((pathlib.Path(__file__).parent / "golden" / "behaviour.json").read_text())


class Inner(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.z = L.Linear(2, 2)
            self.a = L.Linear(2, 2, nobias=True)


class Embedding(chainrule.Link):
    """Stands for EmbedID in the facts: one parameter W."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.W = Parameter(0.0, (3, 2))


class Outer(Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.tail = L.Linear(2, 2)
            self.body = Inner()
            self.head = ChainList(L.Linear(2, 2), Embedding())
            self.w = Parameter(np.zeros(2, np.float32))
        self.add_persistent("count", 0)


class Mlp(Chain):
    def __init__(self, in_size=3):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(in_size, 4)
            self.l2 = L.Linear(4, 2)


def type_names(links):
    return [type(link).__name__.replace("Embedding", "EmbedID") for link in links]


def test_walks_go_in_chainers_order():
    net, facts = Outer(), FACTS["link_order"]
    assert type_names(net.children()) == facts["children"]
    assert type_names(net.links()) == facts["links"]
    assert type_names(net.links(skipself=True)) == facts["links_skipself"]
    assert [path for path, _ in net.namedlinks()] == facts["namedlinks"]
    assert [path for path, _ in net.namedlinks(True)] == facts["namedlinks"][1:]
    assert [path for path, _ in net.namedparams()] == facts["namedparams"]
    assert [param.name for param in net.params()] == facts["param_names"]
    assert [link.name for link in net.links()] == facts["link_names"]
    assert net.count_params() == facts["count_params"]


def test_eleven_children_are_ordered_by_number():
    tower = ChainList(*(L.Linear(1, 1, nobias=True) for _ in range(11)))
    assert [path for path, _ in tower.namedparams()] == FACTS["link_order"]["chain_list_of_11"]


def test_printed_as_in_chainer():
    assert str(Mlp()) == FACTS["reprs"]["links"]["mlp"]["str"]
    nested = Chain(a=ChainList(L.Linear(1, 1)), b=Chain())
    assert str(nested) == (
        "Chain(\n  (a): ChainList(\n    (0): Linear(in_size=1, out_size=1, nobias=False),\n  ),\n"
        "  (b): Chain(),\n)"
    )


class TestChain:
    def test_children(self):
        chain = Chain(l=L.Linear(1, 1))
        assert chain["l"] is chain.l
        assert chain.l.name == "l"
        with pytest.raises(AttributeError, match="'Chain' object has no attribute 'missing'"):
            _ = chain["missing"]
        with pytest.raises(AttributeError, match="cannot register a new link l: attribute exists"):
            chain.add_link("l", L.Linear(1, 1))
        with pytest.raises(TypeError, match="cannot register a non-link object as a child"):
            chain.add_link("m", 3)
        with chain.init_scope(), pytest.raises(AttributeError, match="attribute exists"):
            chain.l = L.Linear(2, 2)

    def test_child_can_be_replaced_and_deleted(self):
        chain = Mlp()
        chain.l1 = L.Linear(5, 4)
        assert [p.shape for p in chain.l1.params()] == [(4, 5), (4,)]
        assert next(chain.params()).shape == (4, 5)
        del chain.l1
        assert [path for path, _ in chain.namedparams()] == ["/l2/W", "/l2/b"]

    def test_copy_modes(self):
        net = Outer()
        shared, copied, fresh = (net.copy(mode) for mode in ("share", "copy", "init"))
        assert [p for p, _ in shared.namedparams()] == [p for p, _ in net.namedparams()]
        for (_, a), (_, b), (_, c) in zip(
            net.namedparams(), shared.namedparams(), copied.namedparams(), strict=True
        ):
            assert a is not b
            assert a.array is b.array
            assert a.array is not c.array
            np.testing.assert_array_equal(a.array, c.array)
        assert (fresh.tail.W.array != net.tail.W.array).any()
        assert shared.body.name == "body"
        with shared.init_scope():
            shared.new = L.Linear(1, 1)
        assert not hasattr(net, "new")
        assert "new" not in [child.name for child in net.children()]

    def test_copyparams_and_addgrads(self):
        first, second = Mlp(), Mlp()
        first.copyparams(second)
        np.testing.assert_array_equal(first.l2.W.array, second.l2.W.array)
        for param in second.params():
            param.grad = np.ones(param.shape, np.float32)
        first.addgrads(second)
        assert all((param.grad == 1).all() for param in first.params())
        other = Chain(l1=L.Linear(3, 4))
        with pytest.raises(ValueError, match=r"\[copyparams\] Chain has no child 'l2'"):
            first.copyparams(other)
        with pytest.raises(ValueError, match=r"\[addgrads\] Linear has no child 'l1'"):
            first.addgrads(L.Linear(1, 1))

    def test_cleargrads_sees_changes_of_the_tree(self):
        chain = Mlp()
        chain.cleargrads()
        chain.l1.add_param("late", (2,))
        with chain.init_scope():
            chain.l3 = L.Linear(1, 1)
        chain.l2 = L.Linear(4, 2)
        for param in chain.params():
            param.grad = np.ones(param.shape, np.float32)
        assert chain.l3.W.grad is not None
        chain.cleargrads()
        assert [param.grad for param in chain.params()] == [None] * 7

    def test_cleargrads_follows_a_users_own_params(self):
        class Mine(Chain):
            extra = ()

            def params(self, include_uninit=True):
                yield from super().params(include_uninit)
                yield from self.extra

        chain = Chain(mine=Mine())
        chain.cleargrads()
        chain.mine.extra = (Variable(np.ones(2, np.float32), grad=np.ones(2, np.float32)),)
        chain.cleargrads()
        assert chain.mine.extra[0].grad is None

    def test_cleargrads_of_copies(self):
        chain = Mlp()
        chain.cleargrads()
        for other in (chain.copy(), chain.copy("copy"), copy.deepcopy(chain)):
            with other.init_scope():
                other.new = L.Linear(1, 1)
            other.new.W.grad = np.ones((1, 1), np.float32)
            chain.cleargrads()
            other.cleargrads()
            assert other.new.W.grad is None

    def test_same_link_twice(self):
        link = L.Linear(2, 2)
        chain = Chain(a=link, b=link)
        assert [path for path, _ in chain.namedparams()] == ["/a/W", "/a/b", "/b/W", "/b/b"]


class TestChainList:
    def test_is_a_list(self):
        tower = ChainList(L.Linear(1, 1))
        tower.append(L.Linear(2, 2))
        tower.insert(0, L.Linear(3, 3))
        assert [link.in_size for link in tower] == [3, 1, 2]
        assert [link.name for link in tower] == ["0", "1", "2"]
        del tower[1]
        assert tower.pop().in_size == 2
        tower[0] = replaced = L.Linear(7, 7)
        assert (len(tower), tower[-1], replaced.name) == (1, replaced, "0")
        tower.extend([L.Linear(1, 1)])
        tower[1:] = [L.Linear(4, 4), L.Linear(5, 5)]
        assert [link.in_size for link in tower[0:2]] == [7, 4]
        assert [path for path, _ in tower.namedlinks(True)] == ["/0", "/1", "/2"]
        assert replaced in tower
        tower.reverse()
        assert [link.name for link in tower] == ["0", "1", "2"]

    def test_misuse(self):
        tower = ChainList()
        for wrong in (
            lambda: tower.append(3),
            lambda: tower.add_link(None),
            lambda: tower.extend([L.Linear(1, 1), "x"]),
            lambda: ChainList(3),
        ):
            with pytest.raises(TypeError, match="expected a Link"):
                wrong()
        with pytest.raises(TypeError, match="expected a Link"):
            tower[0] = 3
        with pytest.raises(IndexError):
            _ = tower[5]
        with (
            tower.init_scope(),
            pytest.raises(TypeError, match="cannot register a new link within"),
        ):
            tower.l = L.Linear(1, 1)

    def test_own_parameters_come_first(self):
        tower = ChainList(L.Linear(1, 1))
        with tower.init_scope():
            tower.z = Parameter(1.0, ())
        assert [path for path, _ in tower.namedparams()] == ["/z", "/0/W", "/0/b"]

    def test_copy(self):
        tower = ChainList(L.Linear(1, 1), L.Linear(1, 1))
        shared = tower.copy()
        shared.append(L.Linear(1, 1))
        assert (len(tower), len(shared)) == (2, 3)
        assert shared[0].W.array is tower[0].W.array
        assert [link.name for link in shared] == ["0", "1", "2"]
