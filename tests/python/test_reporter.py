import threading

import numpy as np
import pytest

import chainrule
from chainrule import DictSummary, Reporter, Summary, Variable, report, report_scope
from chainrule.serializers import DictionarySerializer, NpzDeserializer


def test_observers_have_names():
    reporter, observer = Reporter(), object()
    reporter.add_observer("o", observer)
    observation = {}
    with reporter.scope(observation):
        report({"a": 1}, observer)
        report({"b": 2})
        reporter.report({"c": 3})
    assert observation == {"o/a": 1, "b": 2, "c": 3}
    assert reporter.observation == {}


def test_links_report_under_their_paths():
    model = chainrule.Chain(a=chainrule.Chain(b=chainrule.Link()))
    reporter = Reporter()
    reporter.add_observer("main", model)
    reporter.add_observers("main", model.namedlinks(skipself=True))
    observation = {}
    with reporter.scope(observation):
        report({"x": 1}, model)
        report({"x": 2}, model.a.b)
    assert observation == {"main/x": 1, "main/a/b/x": 2}


def test_scopes_nest():
    outer, inner = {}, {}
    with Reporter().scope(outer):
        report({"a": 1})
        with report_scope(inner):
            report({"b": 2})
        with Reporter() as other:
            report({"c": 3})
        report({"d": 4})
    assert (outer, inner, other.observation) == ({"a": 1, "d": 4}, {"b": 2}, {"c": 3})


def test_nobody_listens():
    report({"a": 1})
    with pytest.raises(IndexError, match="no current reporter"):
        chainrule.get_current_reporter()
    with Reporter():
        seen = []
        thread = threading.Thread(target=lambda: seen.append(report({"a": 1})))
        thread.start()
        thread.join()
        assert chainrule.get_current_reporter().observation == {}
        with pytest.raises(KeyError, match="observer is not registered to the reporter: object"):
            report({"a": 1}, object())


@pytest.mark.parametrize("keep", [True, False])
def test_graphs_are_not_kept(keep):
    x = Variable(np.ones((), np.float32))
    observation = {}
    with chainrule.using_config("keep_graph_on_report", keep), Reporter().scope(observation):
        report({"y": x * 2})
    assert observation["y"].array == 2
    assert (observation["y"].creator is not None) is keep


class TestSummary:
    def test_statistics(self):
        summary = Summary()
        for value in (1.0, 2.0, 4.0):
            summary.add(value)
        mean, deviation = summary.make_statistics()
        assert summary.compute_mean() == mean == pytest.approx(7 / 3)
        assert deviation == pytest.approx(1.2472191289246466)

    def test_weights(self):
        summary = Summary()
        summary.add(np.float32(1), weight=2)
        summary.add(np.float32(4), 1)
        assert summary.make_statistics() == pytest.approx((2.0, 1.4142135623730951))

    def test_equal_numbers_have_no_deviation(self):
        summary = Summary()
        for _ in range(10):
            summary.add(0.1)
        assert summary.make_statistics()[1] == pytest.approx(0, abs=1e-8)

    def test_nan_is_shown(self):
        summary = Summary()
        summary.add(float("nan"))
        assert np.isnan(summary.make_statistics()).all()

    def test_empty(self):
        with pytest.raises(ZeroDivisionError):
            Summary().compute_mean()


def filled():
    summary = DictSummary()
    summary.add(
        {
            "a": 1.0,
            "b": (3.0, 2),
            "text": "no number",
            "array": np.ones(2),
            "e": Variable(np.array(2.0, np.float32)),
            "f": np.float32(3),
            "g": np.array(4.0),
        }
    )
    summary.add({"a": 3.0})
    return summary


class TestDictSummary:
    def test_statistics(self):
        assert filled().compute_mean() == {"a": 2.0, "b": 3.0, "e": 2.0, "f": 3.0, "g": 4.0}
        statistics = filled().make_statistics()
        assert (statistics["a"], statistics["a.std"], statistics["b.std"]) == (2.0, 1.0, 0.0)
        assert len(statistics) == 10

    def test_keys_are_chainers(self):
        serializer = DictionarySerializer()
        filled().serialize(serializer)
        target = serializer.target
        assert target["_names"] == '["a", "b", "e", "f", "g"]'
        assert target["_summaries/1/_x"] == 6.0
        assert set(target) == {"_names"} | {
            f"_summaries/{i}/{name}" for i in range(5) for name in ("_x", "_x2", "_n")
        }

    def test_round_trip(self):
        serializer = DictionarySerializer()
        filled().serialize(serializer)
        loaded = DictSummary()
        loaded.add({"old": 1.0})
        NpzDeserializer(serializer.target).load(loaded)
        assert loaded.make_statistics() == filled().make_statistics()
