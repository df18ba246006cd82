"""``optimizer.state``."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import make_net, train

attach = chainrule.torch.attach


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"v": torch.ones(3)}, ValueError, r"'v' of head\.weight: got shape \(3,\).*\(1, 4\)"),
        ({"v": "x"}, (TypeError, ValueError), None),
        ({"v": torch.ones(1, 4, device="meta")}, NotImplementedError, "meta"),
        ({"w": torch.ones(1, 4)}, KeyError, "no state 'w'"),
    ],
)
def test_a_state_is_set_all_or_not_at_all(wrong, error, message):
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    train(model, optimizer)
    p = model.head.weight
    before = {name: value.clone() for name, value in optimizer.state[p].items() if name != "step"}
    with pytest.raises(error, match=message):
        optimizer.state[p] = {"step": 50, "m": torch.zeros(1, 4), **wrong}
    now = optimizer.state[p]
    assert now["step"] == 3
    assert all(torch.equal(now[name], value) for name, value in before.items())
    # Another dtype, and views of the memory that is written to.
    optimizer.state[p] = {"m": now["v"].flip(1), "v": torch.ones(1, 4, dtype=torch.float64)}
    assert torch.equal(optimizer.state[p]["m"], before["v"].flip(1))
    assert optimizer.state[p]["v"].tolist() == [[1.0] * 4]
