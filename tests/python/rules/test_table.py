"""Tables of rules: text, HTML, plain data."""

from __future__ import annotations

import html.parser
import json

import numpy as np
import pytest

import chainrule
from chainrule import links as L
from chainrule import optimizer_hooks, optimizers, schedules
from chainrule.rules.table import format_bytes, state_bytes
from small_links import make_link


@pytest.fixture
def optimizer():
    net = chainrule.Chain(l1=L.Linear(None, 3), l2=L.Linear(3, 1))
    optimizer = optimizers.Adam().setup(net)
    rules = optimizer.rules
    rules["/l1/*"].use(optimizers.MomentumSGD(lr=0.2))
    rules["/l2/W"].hyperparam.alpha = 0.00025
    rules["/l2/*"].add_hook(optimizer_hooks.WeightDecay(0.1))
    rules["/l2/b"].enabled = False
    rules["/l2/b"].fp32_update = True
    return optimizer


def test_text(optimizer):
    assert (
        str(optimizer.rules)
        == """\
path   shape   dtype    algorithm    values          hooks        policies          enabled  state
/l1/W  ?       float32  MomentumSGD  lr=0.2                                         yes      ?
/l1/b  (3,)    float32  MomentumSGD  lr=0.2                                         yes      12 B
/l2/W  (1, 3)  float32  Adam         alpha=0.00025*  WeightDecay                    yes      24 B
/l2/b  (1,)    float32  Adam         alpha=0.001     WeightDecay  fp32_update=True  no       8 B
4 parameters, 7 elements, at least 44 B of state, 1 without an array yet
* set on the rule itself"""
    )
    assert (
        str(optimizer.rules["/l1/b"])
        == """\
path   shape  dtype    algorithm    values  enabled  state
/l1/b  (3,)   float32  MomentumSGD  lr=0.2  yes      12 B
1 parameter, 3 elements, 12 B of state"""
    )


def test_expressions():
    optimizer = optimizers.SGD(schedules.linear(1.0, 0.0, 10)).setup(make_link(a=1, b=1))
    optimizer.rules["/a"].hyperparam.lr = chainrule.inherit * 0.5
    optimizer.rules["/b"].enabled = schedules.after(100)
    optimizer.t = 5
    assert optimizer.rules.table().split("\n")[:3] == [
        "path  shape  dtype    algorithm  values                    enabled          state",
        "/a    (1,)   float32  SGD        lr=0.25* (inherit * 0.5)  yes              0 B",
        "/b    (1,)   float32  SGD        lr=0.5                    no (after(100))  0 B",
    ]
    data = optimizer.rules.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["/a"]["values"] == {"lr": 0.25}
    assert data["/a"]["own"] == {"lr": {"expression": {"multiply": [{"inherit": []}, 0.5]}}}
    assert (data["/b"]["enabled"], data["/b"]["enabled_when"]) == (
        False,
        {"expression": {"after": {"n": 100}}},
    )


def test_long_tables_are_cut():
    net = chainrule.ChainList(*(make_link(w=2) for _ in range(100)))
    rules = optimizers.SGD().setup(net).rules
    lines = str(rules).split("\n")
    assert lines[31] == "..."
    assert len(lines) == 1 + 60 + 1 + 1
    assert lines[-1] == (
        "100 parameters, 200 elements, 0 B of state; 40 rows left out, .table(None) gives all"
    )
    assert len(rules.table().split("\n")) == 102
    short = rules.table(3).split("\n")
    assert [line.split()[0] for line in short[1:-1]] == ["/0/w", "/1/w", "...", "/99/w"]
    assert rules._repr_html_().count("<tr>") == 1 + 60 + 1
    assert rules._repr_html_().count("<td>...</td>") == 1


class Cells(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts, self.tags, self.inside = [], set(), False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.inside = tag in ("td", "th")
        if self.inside:
            self.texts.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.texts[-1] += data


def test_html_is_escaped():
    link = chainrule.Link()
    link.add_param("<script>&", (2,))
    optimizer = optimizers.SGD().setup(link)
    optimizer.rules.add_hook(lambda rule, param: None, name="<b>bold</b>")
    cells = Cells()
    cells.feed(optimizer.rules._repr_html_())
    assert cells.tags == {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert cells.texts == [
        *("path", "shape", "dtype", "algorithm", "values", "hooks", "enabled", "state"),
        *("/<script>&", "(2,)", "float32", "SGD", "lr=0.01", "<b>bold</b>", "yes", "0 B"),
    ]


def test_plain_data(optimizer):
    data = optimizer.rules.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert list(data) == ["/l1/W", "/l1/b", "/l2/W", "/l2/b"]
    assert data["/l1/W"]["shape"] is None
    assert data["/l1/W"]["state_bytes"] is None
    row = data["/l2/W"]
    assert (row["shape"], row["dtype"], row["algorithm"]) == ([1, 3], "float32", "Adam")
    assert row["values"]["beta1"] == 0.9
    assert row["own"] == {"alpha": 0.00025}
    assert (row["hooks"], row["enabled"], row["state_bytes"]) == (["WeightDecay"], True, 24)
    assert data["/l2/b"]["policies"] == {"fp32_update": True}


@pytest.mark.parametrize("name", sorted(set(optimizers.__all__)))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("fp32", [False, True])
def test_expected_size_of_states_is_their_size(name, dtype, fp32):
    link = chainrule.Link(w=((3, 4), np.dtype(dtype)))
    link.w.array[...] = 0.5
    optimizer = getattr(optimizers, name)().setup(link)
    optimizer.use_fp32_update(fp32)
    rule = link.w.update_rule
    expected = state_bytes(rule, link.w)
    assert rule.state is None
    link.w.grad = np.full_like(link.w.array, 0.25)
    optimizer.update()
    master = 4 * 12 if fp32 and dtype == "float16" else 0
    state = rule.state or {}
    assert expected == master + sum(array.nbytes for array in state.values())
    assert expected == state_bytes(rule, link.w)


def test_the_state_of_a_rule_in_python_is_not_known_before():
    class Rule(chainrule.UpdateRule):
        def init_state(self, param):
            self.state["s"] = np.zeros(5)

        def update_core(self, param):
            pass

    link = make_link(w=2)
    link.w.update_rule = Rule()
    assert state_bytes(link.w.update_rule, link.w) is None
    link.w.update_rule.update(link.w)
    assert state_bytes(link.w.update_rule, link.w) == 40


@pytest.mark.parametrize(
    ("size", "text"),
    [(None, "?"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 20, "3.0 MiB"),
     (5 << 30, "5.0 GiB"), (7 << 40, "7.0 TiB")],
)  # fmt: skip
def test_sizes_for_people(size, text):
    assert format_bytes(size) == text


class Own(chainrule.UpdateRule):
    pass


def test_classes_of_users_are_shown_without_their_module():
    optimizer = optimizers.SGD().setup(make_link(w=1))
    optimizer.rules.use(Own)
    row = optimizer.rules.table().split("\n")[1].split()
    assert row[:4] == ["/w", "(1,)", "float32", "Own"]
    assert optimizer.rules.to_dict()["/w"]["algorithm"] == f"{__name__}.Own"
