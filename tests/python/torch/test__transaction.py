"""Steps that are taken back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import backward, make_net, values

attach = chainrule.torch.attach


def test_transactions_take_steps_back():
    model = make_net()
    optimizer = attach(model, optimizers.Adam(0.1))
    backward(model, 0)
    optimizer.step()
    before, version = values(model), model.head.weight._version
    m = model.head.weight.update_rule.state["m"].copy()

    def fails():
        with optimizer.transaction():
            optimizer.step()
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fails()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert np.array_equal(model.head.weight.update_rule.state["m"], m)
    assert optimizer.t == 1
    assert model.head.weight._version > version


def test_a_transaction_is_not_taken_back_among_averages():
    model = make_net()
    optimizer = attach(model, optimizers.ScheduleFreeSGD(lr=0.5))
    backward(model, 0)
    optimizer.step()
    before = values(model)
    with optimizer.transaction() as transaction:
        optimizer.step()
        with optimizer.averaged():
            held = values(model)
            with pytest.raises(RuntimeError, match=r"leave the block of averaged\(\) first"):
                transaction.rollback()
            assert all(torch.equal(p, held[name]) for name, p in model.named_parameters())
        transaction.rollback()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert optimizer.t == model.head.weight.update_rule.t == 1
