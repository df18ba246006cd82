import json
import pathlib
import pickle
import re

import numpy as np
import pytest

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import Sequential

FACTS = json.loads((pathlib.Path(__file__).parent / "golden" / "behaviour.json").read_text())


def small():
    return Sequential(L.Linear(2, 2), F.relu, L.Linear(2, 1))


def test_forward():
    assert small()(np.ones((3, 2), np.float32)).shape == (3, 1)
    assert Sequential(lambda x: (x, x), lambda a, b: a + b)(2) == 4
    with pytest.raises(RuntimeError, match="Sequential does not have any layer"):
        Sequential()(1)


def test_only_links_are_named():
    nested = Sequential(L.Linear(2, 2), F.relu, Sequential(L.Linear(2, 2)))
    paths = [path for path, _ in nested.namedparams()]
    assert paths == FACTS["link_order"]["sequential_namedparams"]
    assert [link.name for link in nested.children()] == ["0", "1"]
    assert len(nested) == 3


def test_printed_as_in_chainer():
    text = str(Sequential(L.Linear(2, 3), F.relu))
    anonymous = re.sub("0x[0-9a-f]+", "0xADDRESS", text)
    assert anonymous == FACTS["reprs"]["links"]["sequential"]["str"]


def test_is_a_list_of_layers():
    model = small()
    first, relu, last = model
    assert (model[0], model[-1], model[0:2]) == (first, last, [first, relu])
    assert (relu in model, model.index(relu), model.count(first)) == (True, 1, 1)
    assert model.index(last, 1, 3) == 2
    assert list(reversed(model)) == [last, relu, first]
    assert model.count_by_layer_type("Linear") == 2
    model.insert(1, F.tanh)
    assert model.pop() is last
    model.remove(F.tanh)
    model[0] = F.tanh
    assert [path for path, _ in model.namedparams()] == []
    model[0:1] = [first, last]
    assert list(model) == [first, last, relu]
    assert [path for path, _ in model.namedlinks(True)] == ["/0", "/1"]
    del model[0]
    assert last.name == "0"
    model.remove_by_layer_type("Linear")
    assert list(model) == [relu]
    model.extend(Sequential(first))
    model.extend([last])
    model.append(F.tanh)
    model.add_link(F.relu)
    assert list(model) == [relu, first, last, F.tanh, F.relu]
    model.clear()
    assert len(model) == 0


def test_sums():
    one, two = small(), small()
    both = one + two
    assert list(both) == [*one, *two]
    one += two
    assert list(one) == list(both)
    with pytest.raises(ValueError, match="supports only objects of Sequential class"):
        _ = one.__add__([F.relu])
    with pytest.raises(ValueError, match="supports only objects of Sequential class"):
        one += [F.relu]


def test_flatten():
    inner = small()
    outer = Sequential(F.tanh, Sequential(inner))
    assert list(outer.flatten()) == [F.tanh, *inner]


class Named(Sequential):
    def __init__(self, *layers):
        super().__init__(*layers)
        with self.init_scope():
            self.scale = chainrule.Parameter(1.0, ())


@pytest.mark.parametrize("mode", ["share", "copy", "init"])
def test_copy(mode):
    model = Named(L.Linear(2, 2), F.relu)
    copied = model.copy(mode)
    assert type(copied) is Named
    assert copied[1] is F.relu
    assert copied[0] is not model[0]
    assert (copied[0].W.array is model[0].W.array) == (mode == "share")
    assert (copied[0].W.array == model[0].W.array).all() == (mode != "init")
    assert [p for p, _ in copied.namedparams()] == ["/scale", "/0/W", "/0/b"]
    copied.append(F.tanh)
    assert len(model) == 2


def test_repeat():
    repeated = Sequential(L.Linear(2, 2), F.relu).repeat(2)
    assert [path for path, _ in repeated.namedlinks(True)] == ["/0", "/0/0", "/1", "/1/0"]


def test_pickle():
    model = pickle.loads(pickle.dumps(small()))
    assert len(model) == 3
    assert [path for path, _ in model.namedparams()] == ["/0/W", "/0/b", "/1/W", "/1/b"]


def test_misuse():
    message = "All elements of the argument should be callable. But given 3 is not callable."
    with pytest.raises(ValueError, match=message):
        Sequential(L.Linear(1, 1), 3)
    model = small()
    for wrong in (
        lambda: model.append(3),
        lambda: model.__setitem__(0, 3),
        lambda: model.__setitem__(slice(0, 1), [3]),
    ):
        with pytest.raises(ValueError, match="should be callable"):
            wrong()
    with pytest.raises(ValueError, match="There is no layer object that is same as"):
        model.remove(F.tanh)
    with pytest.raises(ValueError, match="not in list"):
        model.index(F.tanh)
    assert len(model) == 3
