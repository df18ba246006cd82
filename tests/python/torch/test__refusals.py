"""Parameters whose memory rules cannot work on, refused by name when they are attached."""

from __future__ import annotations

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

import chainrule.torch
import torch
from chainrule import optimizers

attach = chainrule.torch.attach


def make_lazy():
    return torch.nn.LazyLinear(3).weight


def make_nested(layout):
    parts = [torch.ones(2), torch.ones(3)]
    return torch.nn.Parameter(torch.nested.nested_tensor(parts, layout=layout))


def make_fake():
    fake = pytest.importorskip("torch._subclasses.fake_tensor")
    with fake.FakeTensorMode():
        return torch.nn.Parameter(torch.ones(3))


def make_of_two():
    two = pytest.importorskip("torch.testing._internal.two_tensor")
    return torch.nn.Parameter(two.TwoTensor(torch.ones(3), torch.ones(3)))


def make_freed():
    p = torch.nn.Parameter(torch.ones(3))
    p.untyped_storage().resize_(0)
    return p


def make_negative():
    return torch.nn.Parameter(torch.zeros(3, dtype=torch.complex64).conj().imag)


def make_windows(step):
    return torch.nn.Parameter(torch.zeros(10).unfold(0, 4, step))


REFUSED = {
    "lazy": (make_lazy, ValueError, "has no shape yet: call the model with a first batch"),
    "nested": (lambda: make_nested(torch.strided), TypeError, "is nested"),
    "jagged": (lambda: make_nested(torch.jagged), TypeError, "got the layout torch.jagged"),
    "fake": (make_fake, TypeError, "got a FakeTensor without memory of its own"),
    "of two": (make_of_two, TypeError, "got a TwoTensor, which is made of other tensors"),
    "freed": (make_freed, TypeError, "got a Parameter without memory of its own"),
    "negative": (make_negative, ValueError, "its memory holds the negatives"),
    "windows": (lambda: make_windows(2), ValueError, "several elements share memory.* strides"),
}


@pytest.mark.filterwarnings("ignore:.*nested tensors is in prototype:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_parameters_without_memory_of_their_own_are_refused(name):
    make, error, message = REFUSED[name]
    p, q = torch.nn.Parameter(torch.ones(2)), make()
    with pytest.raises(error, match=rf"\[chainrule\.torch\] q:? .*{message}"):
        attach([("p", p), ("q", q)], optimizers.SGD())
    assert p.update_rule is None
    q.requires_grad = False
    assert attach([("p", p), ("q", q)], optimizers.SGD()).rules.paths == ("p",)


def test_windows_that_do_not_overlap_are_updated():
    p = make_windows(4)
    optimizer = attach([("p", p)], optimizers.SGD(lr=1.0))
    p.grad = torch.ones_like(p)
    optimizer.step()
    assert (p == -1).all()


def test_memory_that_begins_to_overlap_is_refused():
    p, q = torch.nn.Parameter(torch.zeros(2, 4)), torch.nn.Parameter(torch.zeros(2))
    optimizer = attach([("q", q), ("p", p)], optimizers.SGD(lr=1.0))
    q.grad, p.grad = torch.ones(2), torch.ones(2, 4)
    p.data = torch.zeros(6).unfold(0, 4, 2)
    with pytest.raises(ValueError, match=r"\] p: several elements share memory"):
        optimizer.step()
    assert q.tolist() == [0, 0]


def test_what_is_no_pair_is_refused():
    p = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(TypeError, match="got tuple for '0', expected pairs of a name and"):
        attach([("a", p, 3)], optimizers.SGD())
    with pytest.raises(TypeError, match="got Parameter for '', expected pairs of a name and"):
        attach({"": p}, optimizers.SGD())


def make_masked():
    masked = pytest.importorskip("torch.masked")
    return masked.masked_tensor(torch.ones(3), torch.tensor([True, False, True]))


@pytest.mark.filterwarnings("ignore:.*MaskedTensors is in prototype:UserWarning")
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_fake, "FakeTensor"),
        (make_of_two, "TwoTensor"),
        (make_masked, "MaskedTensor"),
        (make_freed, "Tensor"),
    ],
)
def test_gradients_without_memory_of_their_own_are_refused(make, kind):
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = attach([("p", p)], optimizers.SGD(lr=1.0))
    made = make()
    p.grad = made.detach() if kind != "MaskedTensor" else made
    with pytest.raises(TypeError, match=rf"p: the gradient has no memory .*: got a {kind}"):
        optimizer.step()
    p.grad = torch.ones(3)
    optimizer.step()
    assert p.tolist() == [-1, -1, -1]


def transforms():
    return {
        "vmap": lambda f: torch.vmap(f)(torch.ones(2, 3)),
        "grad": lambda f: torch.func.grad(lambda x: f(x).sum())(torch.ones(3)),
    }


@pytest.mark.parametrize("name", transforms())
def test_gradients_inside_of_transforms_are_refused(name):
    p = torch.nn.Parameter(torch.zeros(3))
    optimizer = attach([("p", p)], optimizers.SGD())

    def step(x):
        p.grad = x
        with pytest.raises(
            TypeError, match=r"p: the gradient has no memory.*inside of torch\.vmap"
        ):
            optimizer.step()
        p.grad = None
        return x

    transforms()[name](step)


def test_parameters_inside_of_transforms_are_refused():
    def attach_it(x):
        message = r"p: got a Tensor inside of torch\.vmap .* without memory"
        with pytest.raises(TypeError, match=message):
            attach([("p", x)], optimizers.SGD())
        return x

    transforms()["grad"](attach_it)
