"""Selections keep their questions through copies and pickles; what they answer: test_selection."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

import chainrule
from chainrule import links, optimizers


def is_matrix(path, param):
    return param.ndim == 2


SELECTIONS = {
    "all": lambda rules, net: rules,
    "pattern": lambda rules, net: rules["/a/*"],
    "expression": lambda rules, net: rules[re.compile("/a/.")],
    "link": lambda rules, net: rules[net.a],
    "parameter": lambda rules, net: rules[net.b.W],
    "list": lambda rules, net: rules["/a/W", net.b],
    "class": lambda rules, net: rules.of(links.Linear),
    "condition": lambda rules, net: rules.where(is_matrix),
    "narrowed": lambda rules, net: rules[net.a].where(is_matrix)["/*/W"],
    "or": lambda rules, net: rules[net.a] | rules[net.b.b],
    "and": lambda rules, net: rules.of(links.Linear) & rules[net.b],
    "without": lambda rules, net: rules - rules[net.a.W],
    "not": lambda rules, net: ~rules[net.b],
}
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda pair: pickle.loads(pickle.dumps(pair)),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", SELECTIONS)
def test_copies_select_the_same(kind, way):
    net = chainrule.Chain(a=links.Linear(2, 3), b=links.Linear(3, 1))
    optimizer = optimizers.SGD(lr=0.5).setup(net)
    selection = SELECTIONS[kind](optimizer.rules, net)
    paths = selection.paths
    its_optimizer, other = COPIES[way]((optimizer, selection))
    assert type(other) is type(selection)
    assert (other.paths, repr(other)) == (paths, repr(selection))
    other.hyperparam.lr = 0.25
    changed = its_optimizer.rules.hyperparam.get("lr")
    assert {path for path, rate in changed.items() if rate == 0.25} == set(paths)
    assert (selection.hyperparam.lr == 0.5) == (way != "copy")
    # By itself it brings its optimizer along.
    alone = COPIES[way](selection)
    assert alone.paths == paths
    assert COPIES[way](selection.hyperparam).lr == selection.hyperparam.lr
