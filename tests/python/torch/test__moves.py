"""Models that are moved while something else has their values."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import backward, make_net, train, values

attach = chainrule.torch.attach


def _new_memory(model):
    model.head.weight.data = model.head.weight.data.clone()


def _double(model):
    model.double()


@pytest.mark.parametrize("move", [_new_memory, _double])
def test_a_model_that_is_moved_among_averages_gets_its_values_back(move):
    model = make_net()
    optimizer = attach(model, optimizers.ScheduleFreeSGD(lr=0.5))
    train(model, optimizer)
    trained = values(model)
    with optimizer.averaged():
        with optimizer.averaged():
            move(model)
        assert not torch.equal(model.head.weight.float(), trained["head.weight"])
    assert all(torch.equal(p.float(), trained[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("move", [_new_memory, _double])
def test_a_model_that_is_moved_in_a_transaction_gets_its_values_back(move):
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=0.5))
    before = values(model)
    with optimizer.transaction() as transaction:
        backward(model, 0)
        optimizer.step()
        move(model)
        transaction.rollback()
        assert all(torch.equal(p.float(), before[name]) for name, p in model.named_parameters())
        model.float()
        optimizer.step()
    assert not torch.equal(model.head.weight, before["head.weight"])


def test_another_shape_among_averages():
    model = make_net()
    optimizer = attach(model, optimizers.ScheduleFreeSGD(lr=0.5))
    backward(model, 0)
    optimizer.step()
    backward(model, 1)
    optimizer.step()
    trained = values(model)

    def reshaped():
        with optimizer.averaged():
            model.double()
            model.head.weight.data = torch.zeros(1)

    with pytest.raises(ValueError, match=r"head.weight was given another shape.*got \(1,\)"):
        reshaped()
    rest = {name: p.float() for name, p in model.named_parameters() if name != "head.weight"}
    assert all(torch.equal(p, trained[name]) for name, p in rest.items())
    assert (model.head.weight.update_rule.t, optimizer.native._averaging) == (2, None)
