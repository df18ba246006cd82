"""What else works on optimizers of PyTorch: scalers, clipping, wrappers, trainers."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers
from torch_models import assert_same, backward, make_net, values

attach = chainrule.torch.attach


def pair():
    """A model with ours, and the same one with that of torch.optim."""
    a, b = make_net(), make_net()
    ours = attach(a, optimizers.AdamW(alpha=0.01, weight_decay=0.01, eps_hat=False))
    return (a, ours), (b, torch.optim.AdamW(b.parameters(), lr=0.01))


def test_it_is_an_optimizer_of_pytorch():
    (_, ours), _ = pair()
    assert isinstance(ours, torch.optim.Optimizer)
    assert "AdamW" in repr(ours)


def test_gradient_clipping():
    pairs = pair()
    for step in range(5):
        for model, optimizer in pairs:
            optimizer.zero_grad()
            backward(model, step)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
    assert_same(pairs[0][0], pairs[1][0], 1e-5)


def test_gradient_scaling():
    pairs = pair()
    scalers = [torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2) for _ in pairs]
    for step in range(6):
        for (model, optimizer), scaler in zip(pairs, scalers, strict=True):
            optimizer.zero_grad()
            x = torch.full((2, 4), float("inf") if step == 3 else 1.0 + step)
            scaler.scale((model(x) ** 2).mean()).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    assert pairs[0][1].t == 5  # one was left out
    assert scalers[0].get_scale() == scalers[1].get_scale()
    assert_same(pairs[0][0], pairs[1][0], 1e-5)


def test_hooks_for_all_optimizers():
    from torch.optim.optimizer import register_optimizer_step_post_hook

    (model, optimizer), _ = pair()
    seen = []
    handle = register_optimizer_step_post_hook(lambda o, *_: seen.append(o is optimizer))
    try:
        backward(model, 0)
        optimizer.step()
    finally:
        handle.remove()
    assert seen == [True]


def test_compiled_models():
    pairs = pair()
    compiled = [torch.compile(model, backend="eager") for model, _ in pairs]
    for step in range(3):
        for model, (_, optimizer) in zip(compiled, pairs, strict=True):
            optimizer.zero_grad()
            backward(model, step)
            optimizer.step()
    assert_same(pairs[0][0], pairs[1][0], 1e-5)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without distributed")
def test_data_parallel_models(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        a, b = make_net(), make_net()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = [torch.nn.parallel.DistributedDataParallel(m) for m in (a, b)]
        ours = attach(wrapped[0], optimizers.AdamW(0.01, weight_decay=0.01, eps_hat=False))
        assert ours.rules.paths == tuple(name for name, _ in a.named_parameters())
        theirs = torch.optim.AdamW(wrapped[1].parameters(), lr=0.01)
        for step in range(3):
            for model, optimizer in zip(wrapped, (ours, theirs), strict=True):
                optimizer.zero_grad()
                backward(model, step)
                optimizer.step()
        assert_same(a, b, 1e-5)
    finally:
        torch.distributed.destroy_process_group()


def test_averaged_models():
    (model, optimizer), _ = pair()
    average = torch.optim.swa_utils.AveragedModel(model)
    for step in range(3):
        optimizer.zero_grad()
        backward(model, step)
        optimizer.step()
        average.update_parameters(model)
    assert not torch.equal(average.module.head.weight, model.head.weight)
    assert average.module.head.weight.update_rule is None


@pytest.mark.filterwarnings("ignore")
def test_accelerate():
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    pairs = pair()
    for model, optimizer in pairs:
        accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        wrapped, prepared, schedule = accelerator.prepare(model, optimizer, scheduler)
        for step in range(8):
            with accelerator.accumulate(wrapped):
                generator = torch.Generator().manual_seed(step)
                loss = (wrapped(torch.randn(4, 4, generator=generator)) ** 2).mean()
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(wrapped.parameters(), 1.0)
                prepared.step()
                schedule.step()
                prepared.zero_grad()
    assert pairs[0][1].t == 4
    assert pairs[0][1].lr == pairs[1][1].param_groups[0]["lr"] < 0.01
    assert_same(pairs[0][0], pairs[1][0], 1e-5)


@pytest.mark.filterwarnings("ignore")
def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning.LightningModule):
        def __init__(self, ours):
            super().__init__()
            self.net, self.ours = make_net(), ours

        def training_step(self, batch, index):
            return (self.net(batch[0]) ** 2).mean()

        def configure_optimizers(self):
            if self.ours:
                native = optimizers.AdamW(0.01, weight_decay=0.01, eps_hat=False)
                optimizer = attach(self.net, native)
            else:
                optimizer = torch.optim.AdamW(self.net.parameters(), lr=0.01)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]

    def fit(module, epochs, path=None):
        torch.manual_seed(0)
        data = torch.utils.data.TensorDataset(torch.randn(16, 4))
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=tmp_path,
            gradient_clip_val=1.0,
        )
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=4), ckpt_path=path)
        return trainer

    ours, theirs = Module(True), Module(False)
    trainer = fit(ours, 2)
    fit(theirs, 2)
    assert_same(ours.net, theirs.net, 1e-5)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    again = Module(True)
    fit(again, 3, tmp_path / "half.ckpt")
    fit(theirs, 3)
    assert again.net.head.weight.update_rule.t == 12
    assert not torch.equal(values(again.net)["head.weight"], values(ours.net)["head.weight"])
