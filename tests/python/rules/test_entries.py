"""What parameters and their algorithms are called."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest

import chainrule
from chainrule import optimizers, serializers
from chainrule.rules.entries import algorithm_name, native_name
from random_configurations import everything
from small_links import make_link

VARIANTS = ("AdamW", "AMSGrad", "AdaBound", "AMSBound")


def train(optimizer: chainrule.Optimizer) -> None:
    for param in optimizer.target.params():
        param.grad = np.ones_like(param.array)
    optimizer.update()


@pytest.mark.parametrize("name", optimizers.__all__)
def test_a_rule_is_called_as_the_optimizer_that_made_it(name):
    rule = getattr(optimizers, name)().create_update_rule()
    assert algorithm_name(rule) == name
    assert native_name(rule) == ("Adam" if name in VARIANTS else name)
    assert algorithm_name(copy.deepcopy(rule)) == algorithm_name(copy.copy(rule)) == name
    assert algorithm_name(pickle.loads(pickle.dumps(rule))) == name


def test_a_rule_of_its_own_is_called_as_its_algorithm():
    class Mine(optimizers.AdamW):
        pass

    assert algorithm_name(optimizers.adam.AdamRule()) == "Adam"
    assert algorithm_name(Mine().create_update_rule()) == "AdamW"


@pytest.mark.parametrize("name", VARIANTS)
def test_tables_and_plans_show_the_name(name):
    optimizer = getattr(optimizers, name)().setup(make_link(w=2))
    assert f"  {name}  " in str(optimizer.rules)
    assert f"<td>{name}</td>" in optimizer.rules._repr_html_()
    assert optimizer.rules.to_dict()["/w"]["algorithm"] == name
    assert optimizer.plan().to_dict()["rules"]["/w"]["algorithm"] == name
    with pytest.raises(AttributeError, match=f"/w: {name} has no hyperparameter 'alpa'; did you"):
        optimizer.explain("/w", "alpa")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_name_goes_with_plans_and_files(name):
    optimizer = optimizers.SGD().setup(make_link(v=2, w=2))
    optimizer.rules["/w"].use(getattr(optimizers, name)())
    train(optimizer)
    file = io.BytesIO()
    serializers.save_npz(file, optimizer)
    file.seek(0)
    loaded, planned = (optimizers.SGD().setup(make_link(v=2, w=2)) for _ in range(2))
    serializers.load_npz(file, loaded)
    report = planned.apply_plan(optimizer.plan().to_dict())
    assert report.replaced == [f"/w: SGD -> {name}"]
    values = optimizer.target.w.update_rule.hyperparam.get_dict()
    for other in (loaded, planned):
        rule = other.target.w.update_rule
        assert algorithm_name(rule) == name
        assert type(rule) is optimizers.adam.AdamRule
        assert rule.hyperparam.get_dict() == values
    assert loaded.plan().to_dict() == optimizer.plan().to_dict()


def test_another_name_for_the_same_algorithm_keeps_the_state():
    optimizer = optimizers.Adam().setup(make_link(w=2))
    train(optimizer)
    before, plan = everything(optimizer), optimizer.plan().to_dict()
    plan["rules"]["/w"]["algorithm"] = "AdamW"
    rule = optimizer.target.w.update_rule
    report = optimizer.apply_plan(plan)
    assert (report.replaced, report.changed) == ([], ["/w: algorithm"])
    assert optimizer.target.w.update_rule is rule
    assert everything(optimizer) == before
    assert algorithm_name(rule) == "AdamW"
    plan["rules"]["/v"] = {"algorithm": "SGD"}
    plan["rules"]["/w"]["algorithm"] = "Adam"
    with pytest.raises(KeyError, match="no parameter '/v'"):
        optimizer.apply_plan(plan)
    assert algorithm_name(rule) == "AdamW"
