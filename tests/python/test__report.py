"""Reports of loading print alike."""

from __future__ import annotations

import pytest

from chainrule.serializers.npz import LoadReport


def test_a_report_is_a_headline_and_the_lists_that_are_not_empty():
    report = LoadReport("a.npz", loaded=["x", "y"], missing=["c"], replaced=["d: A -> B", "e"])
    assert str(report) == "a.npz: 2 loaded\n  missing  c\n  replaced d: A -> B, e"
    assert str(LoadReport("a.npz")) == "a.npz: 0 loaded"


def test_reports_of_state_dicts_are_of_the_same_form():
    pytest.importorskip("torch")
    from chainrule.torch import StateReport

    report = StateReport("Adam", "order", loaded=["w"], fresh=["b"], notes=["n"])
    assert str(report) == "state of Adam: 1 loaded by order\n  fresh b\n  notes n"
