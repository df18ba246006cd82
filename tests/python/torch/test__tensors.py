"""Which tensors are taken, followed, and refused by name before anything is changed."""

from __future__ import annotations

import types

import pytest

pytest.importorskip("torch.nn", reason="PyTorch is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule.torch
import torch
from chainrule import optimizers
from chainrule.torch._refusals import check
from torch_models import Net, backward, make_net, step_once, values

attach = chainrule.torch.attach


def assert_untouched(model, before, optimizer=None, t=0):
    for name, p in model.named_parameters():
        if name in before:
            assert torch.equal(p, before[name]), name
    if optimizer is not None:
        assert optimizer.t == t


def test_tied_parameters_are_updated_once():
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.Linear(3, 3)})
    model["b"].weight = model["a"].weight
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    assert len(optimizer.rules) == 3
    assert optimizer.rules["b.weight"].paths == ("a.weight",)
    assert optimizer.plan().tied == (("a.weight", "b.weight"),)
    model["a"].weight.grad = torch.ones(3, 3)
    before = model["a"].weight.detach().clone()
    optimizer.step()
    assert torch.equal(model["b"].weight, before - 1)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    stepped=st.booleans(),
)
def test_any_layout_in_memory(shape, seed, dtype, stepped):
    generator = torch.Generator().manual_seed(seed)
    axes = torch.randperm(len(shape), generator=generator).tolist()
    stretched = [n * 2 for n in shape] if stepped else shape
    base = torch.randn([stretched[a] for a in axes], generator=generator, dtype=dtype)
    view = base.permute([axes.index(i) for i in range(len(shape))])
    view = view[tuple(slice(None, None, 2) for _ in shape)] if stepped else view
    p = torch.nn.Parameter(view)
    p.grad = torch.randn(p.shape, generator=generator, dtype=dtype)
    expected = p.detach() - 0.5 * p.grad
    optimizer = attach({"p": p}, optimizers.SGD(lr=0.5))
    optimizer.step()
    assert torch.allclose(p, expected, rtol=1e-6, atol=1e-7)
    assert p.data_ptr() == view.data_ptr()


def test_convolutions_with_channels_last():
    def make():
        torch.manual_seed(0)
        return torch.nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)

    a, b = make(), make()
    optimizer = attach(a, optimizers.AdamW(1e-2, weight_decay=0.01, eps_hat=False))
    reference = torch.optim.AdamW(b.parameters(), lr=1e-2)
    for step in range(5):
        torch.manual_seed(step)
        x = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
        for model, each in ((a, optimizer), (b, reference)):
            each.zero_grad()
            (model(x) ** 2).sum().backward()
            each.step()
    assert torch.allclose(a.weight, b.weight, rtol=1e-5, atol=1e-6)
    assert a.weight.stride() == b.weight.stride()


@pytest.mark.parametrize("device", ["mps", "xpu:0", "hpu"])
def test_other_devices_are_refused_by_name(device):
    what = types.SimpleNamespace(
        device=torch.device(device), layout=torch.strided, dtype=torch.float32
    )
    with pytest.raises(
        TypeError, match=rf"\] w is on a device .*got {device}, expected cpu or cuda"
    ):
        check("w", what)


def make_complex():
    return torch.nn.ParameterDict(
        {"a": torch.ones(2), "z": torch.nn.Parameter(torch.ones(2, dtype=torch.complex64))}
    )


def make_meta():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    return model.append(torch.nn.Linear(2, 2, device="meta"))


def make_expanded():
    return torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.ones(1, 3).expand(4, 3))})


def make_sparse():
    return torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.eye(3).to_sparse())})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (make_complex, TypeError, r"\] z is complex.*view_as_complex"),
        (make_meta, TypeError, r"\] 2\.weight is on the device 'meta'.*to_empty"),
        (make_expanded, ValueError, r"\] w: several elements share memory"),
        (make_sparse, TypeError, r"\] w: got the layout torch\.sparse_coo"),
    ],
)
def test_parameters_that_cannot_be_updated_are_refused(make, error, message):
    model = make()
    with pytest.raises(error, match=message):
        attach(model, optimizers.SGD())
    assert all(p.update_rule is None for p in model.parameters())


def test_what_takes_no_gradient_and_cannot_be_updated_is_left_out():
    model = make_complex()
    model["z"].requires_grad_(False)
    optimizer = attach(model, optimizers.SGD())
    assert optimizer.rules.paths == ("a",)


def test_sparse_gradients_are_refused_by_name():
    model = torch.nn.Sequential(torch.nn.Embedding(5, 3, sparse=True), torch.nn.Linear(3, 1))
    optimizer = attach(model, optimizers.Adam())
    model(torch.tensor([1, 2])).sum().backward()
    before = values(model)
    with pytest.raises(TypeError, match=r"0\.weight: the gradient is sparse.*sparse=False"):
        optimizer.step()
    assert_untouched(model, before, optimizer)
    assert model[1].weight.update_rule.state is None
    model[0].weight.grad = model[0].weight.grad.to_dense()
    optimizer.step()
    assert optimizer.t == 1


def test_a_replaced_parameter_is_noticed():
    model = make_net()
    optimizer = attach(model, optimizers.Adam())
    step_once(model, optimizer)
    rule = model.head.weight.update_rule
    model.head.weight = torch.nn.Parameter(torch.zeros(1, 4))
    backward(model, 1)
    before = values(model)
    with pytest.raises(RuntimeError, match=r"head\.weight was replaced.*reattach\(\)"):
        optimizer.step()
    assert_untouched(model, before, optimizer, 1)
    optimizer.reattach()
    assert model.head.weight.update_rule is rule
    assert rule.t == 1
    optimizer.step()
    assert not torch.equal(model.head.weight, before["head.weight"])
    assert rule.t == 2


@pytest.mark.parametrize("place", ["a", "b"])
def test_a_tied_parameter_that_is_replaced_at_any_place_is_noticed(place):
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.Linear(3, 3)})
    model["b"].weight = weight = model["a"].weight
    optimizer = attach(model, optimizers.SGD())
    model[place].weight = torch.nn.Parameter(torch.zeros(3, 3))
    with pytest.raises(RuntimeError, match=rf"\] {place}\.weight was replaced"):
        optimizer.step()
    model[place].weight = weight
    optimizer.step()


@pytest.mark.parametrize("place", ["a", "b"])
def test_a_shared_module_that_is_replaced_under_any_name_is_noticed(place):
    shared = torch.nn.Sequential(torch.nn.Linear(3, 3))
    model = torch.nn.ModuleDict({"a": shared, "b": shared})
    optimizer = attach(model, optimizers.SGD())
    model[place] = torch.nn.Sequential(torch.nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match=rf"\] {place}: the module was replaced"):
        optimizer.step()


def test_memory_that_moved_is_followed():
    model = make_net()
    optimizer = attach(model, optimizers.SGD(lr=1.0))
    model.head.weight.data = torch.full((1, 4), 5.0)
    model.head.weight.grad = torch.ones(1, 4)
    optimizer.step()
    assert model.head.weight.tolist() == [[4.0] * 4]
    # A square matrix that is now seen the other way round.
    weight = model.encoder[0].linear.weight
    weight.data = weight.data.t()
    weight.grad = torch.arange(16.0).reshape(4, 4)
    before = weight.detach().clone()
    optimizer.step()
    assert torch.equal(weight, before - weight.grad)


def swap_with_another(p):
    torch.utils.swap_tensors(p, torch.nn.Parameter(torch.full((3,), 5.0)))


def swap_on_the_same_memory(p):
    torch.utils.swap_tensors(p, torch.nn.Parameter(p.detach()))


def move(p):
    p.data = torch.full((3,), 5.0)


@pytest.mark.parametrize("change", [swap_with_another, swap_on_the_same_memory, move])
def test_versions_are_those_of_the_tensor_that_is_there_now(change):
    p = torch.nn.Parameter(torch.full((3,), 5.0))
    other = torch.nn.Parameter(torch.zeros(2))
    optimizer = attach({"p": p, "other": other}, optimizers.SGD(lr=1.0))
    for _ in range(2):
        p.grad = torch.ones(3)
        optimizer.step()
    change(p)
    for _ in range(2):
        p.grad = torch.ones(3)
        before, version = p.detach().clone(), p._version
        optimizer.step()
        assert torch.equal(p, before - 1)
        assert p._version == version + 1
    assert other._version == 0
    loss = (p * p).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def new_gradient(p):
    p.grad = torch.full((2, 3), 4.0)


def gradient_moved(p):
    p.grad.data = torch.full((2, 3), 4.0)


def gradient_the_other_way_round(p):
    p.grad = torch.full((3, 2), 4.0).t()


def gradient_written_to(p):
    p.grad.fill_(4.0)


@pytest.mark.parametrize(
    "change", [new_gradient, gradient_moved, gradient_the_other_way_round, gradient_written_to]
)
def test_the_gradient_of_this_step_is_used(change):
    p = torch.nn.Parameter(torch.zeros(2, 3))
    optimizer = attach({"p": p}, optimizers.SGD(lr=1.0))
    p.grad = torch.ones(2, 3)
    optimizer.step()
    optimizer.step()
    change(p)
    optimizer.step()
    assert torch.equal(p, torch.full((2, 3), -6.0))
    p.grad = None
    optimizer.step()
    assert torch.equal(p, torch.full((2, 3), -6.0))
    new_gradient(p)
    optimizer.step()
    assert torch.equal(p, torch.full((2, 3), -10.0))


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_what_a_class_says_about_its_gradient_counts():
    class Halved(torch.nn.Parameter):
        @property
        def grad(self):
            return torch.Tensor.grad.__get__(self) / 2

    class Asked(torch.nn.Parameter):
        def __getattribute__(self, name):
            found = super().__getattribute__(name)
            return found / 4 if name == "grad" else found

    params = [torch.nn.Parameter(torch.zeros(2)) for _ in range(4)]
    for p in params:
        p.grad = torch.ones(2)
    optimizer = attach(params, optimizers.SGD(lr=1.0))
    params[1].__class__, params[2].__class__ = Halved, Asked
    optimizer.step()
    assert [p[0].item() for p in params] == [-1.0, -0.5, -0.25, -1.0]
    Halved.grad = torch.Tensor.grad
    optimizer.step()
    assert [p[0].item() for p in params] == [-2.0, -1.5, -0.5, -2.0]


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (lambda model: model.double(), r"moved to another dtype.*float64.*float32"),
        (lambda model: model.to("meta"), r"was (moved to another device|replaced)"),
    ],
)
def test_a_model_that_was_moved_is_noticed(move, message):
    model = make_net()
    optimizer = attach(model, optimizers.SGD())
    move(model)
    with pytest.raises((TypeError, RuntimeError), match=r"encoder\.0\.norm\.weight.*" + message):
        optimizer.step()
    assert optimizer.t == 0


def test_a_parameter_has_one_optimizer():
    model = make_net()
    first = attach(model, optimizers.SGD())
    with pytest.raises(RuntimeError, match=r"encoder\.0\.norm\.weight is attached to another"):
        attach(model, optimizers.Adam())
    with pytest.raises(RuntimeError, match=r"weight is attached"):
        attach(model.head, optimizers.Adam())
    assert len(first.rules) == len(list(model.parameters()))
    first.detach()
    attach(model, optimizers.Adam())


def test_bad_arguments():
    model = make_net()
    with pytest.raises(TypeError, match="got Linear, expected an optimizer"):
        attach(model, torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match="got AdamW, expected an optimizer"):
        attach(model, optimizers.AdamW)
    with pytest.raises(TypeError, match="got int, expected a torch"):
        attach(3, optimizers.SGD())
    with pytest.raises(ValueError, match="no parameters"):
        attach(torch.nn.ReLU(), optimizers.SGD())
    with pytest.raises(ValueError, match="no leaf"):
        attach({"y": model.head.weight * 2}, optimizers.SGD())
    with pytest.raises(ValueError, match="'a' stands there twice"):
        attach([("a", model.head.weight), ("a", model.head.bias)], optimizers.SGD())
    with pytest.raises(ValueError, match="'keep' or 'drop'"):
        attach(model, optimizers.SGD(), disabled_state="forget")
    native = optimizers.SGD()
    attach(model, native)
    with pytest.raises(ValueError, match="set up for another model"):
        attach(make_net(), native)
    assert all(p.update_rule is None for p in make_net().parameters())
    with pytest.raises(RuntimeError, match="no optimizer of chainrule"):
        make_net().head.weight.update_rule = optimizers.SGD().create_update_rule()


def test_parameters_without_a_model():
    ps = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))]
    optimizer = attach(ps, optimizers.SGD(lr=1.0))
    assert optimizer.rules.paths == ("0", "1")
    ps[0].grad = torch.ones(2)
    optimizer.step()
    assert ps[0].tolist() == [0.0, 0.0]


def test_wrapped_models_have_the_names_of_their_own():
    model = Net()
    compiled = torch.compile(model, backend="eager")
    optimizer = attach(compiled, optimizers.SGD(lr=0.1))
    assert optimizer.rules.paths == tuple(name for name, _ in model.named_parameters())
    before = values(model)
    backward(compiled, 0)
    optimizer.step()
    assert not torch.equal(model.head.weight, before["head.weight"])


@pytest.mark.parametrize("plain", [(), (torch.Tensor, torch.nn.Parameter)])
def test_tensors_are_seen_alike_by_dlpack_and_by_pytorchs_functions(plain, monkeypatch):
    """Types, orders, places within a storage; a step of ones lowers each by one."""
    from chainrule import _core

    borrowed = _core.BorrowedTensors
    monkeypatch.setattr(
        _core, "BorrowedTensors", lambda kind, _, *others: borrowed(kind, plain, *others)
    )
    whole = torch.arange(60.0)
    arrays = {
        "scalar": torch.tensor(2.0),
        "empty": torch.zeros(0, 3),
        "columns": torch.ones(3, 2).t(),
        "part": whole[7:19].reshape(3, 4)[:, 1:3],
        "double": torch.ones(5, dtype=torch.float64),
        "bfloat": torch.ones(5, dtype=torch.bfloat16),
        "half": torch.ones(2, 2, dtype=torch.float16),
    }
    before = whole.clone()
    expected = {name: array.double().clone() - 1 for name, array in arrays.items()}
    params = {name: torch.nn.Parameter(array) for name, array in arrays.items()}
    optimizer = attach(params, optimizers.SGD(lr=1.0))
    assert optimizer._tensors.is_direct
    assert optimizer._tensors.has_torch_functions == bool(plain)
    for param in params.values():
        param.grad = torch.ones_like(param)
    optimizer.step()
    for name, param in params.items():
        assert torch.equal(param.detach().double(), expected[name]), name
    assert (whole != before).sum() == 6


def test_pytorch_without_the_c_interface():
    """What an older PyTorch offers gives the same numbers."""
    from chainrule import _core
    from chainrule.torch._refusals import describe
    from chainrule.torch._streams import current_stream

    p = torch.nn.Parameter(torch.ones(2, 3).t())
    p.grad = torch.arange(6.0).reshape(3, 2)
    optimizer = attach({"p": p}, optimizers.SGD(lr=1.0))

    class Plain:
        """A tensor class without `__dlpack_c_exchange_api__`."""

    optimizer._tensors = _core.BorrowedTensors(
        Plain,
        (Plain,),
        describe,
        lambda *a: None,
        lambda p: (p, None),
        torch._C._increment_version,
        current_stream,
    )
    optimizer._tensors.add(optimizer._params[0], p, "p", None, "")
    optimizer._version = -1
    assert not optimizer._tensors.is_direct
    assert not optimizer._tensors.has_torch_functions
    optimizer.step()
    assert p.tolist() == [[1.0, 0.0], [-1.0, -2.0], [-3.0, -4.0]]


def test_a_gradient_of_negated_memory():
    """Of one element, autograd leaves what it got; of more, only a user gives such a view."""
    q = torch.nn.Parameter(torch.tensor([2.0]))
    p = torch.nn.Parameter(torch.ones(3))
    (torch.complex(torch.ones(1), q).conj() * torch.tensor([1 + 3j])).real.sum().backward()
    p.grad = torch.conj(torch.tensor([1 + 1j, 2 + 2j, 3 + 3j])).imag
    assert q.grad.is_neg()
    assert p.grad.is_neg()
    assert p.grad.tolist() == [-1, -2, -3]
    expected = [2 - q.grad.item() / 2, *(1 - p.grad / 2).tolist()]
    attach({"q": q, "p": p}, optimizers.SGD(lr=0.5)).step()
    assert [*q.tolist(), *p.tolist()] == expected


def test_a_parameter_of_negated_memory_is_refused():
    p = torch.nn.Parameter(torch.conj(torch.tensor([1 + 1j])).imag)
    with pytest.raises(ValueError, match=r"weight: its memory holds the negatives .*resolve_neg"):
        attach({"weight": p}, optimizers.SGD())


def test_memory_that_is_gone_is_refused():
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = attach({"weight": p}, optimizers.Adam())
    p.grad = torch.ones(3)
    p.grad.untyped_storage().resize_(0)
    with pytest.raises((TypeError, RuntimeError), match="weight"):
        optimizer.step()
    p.grad = torch.ones(3)
    p.data.untyped_storage().resize_(0)
    with pytest.raises((TypeError, RuntimeError), match="weight"):
        optimizer.step()
    p.data = torch.ones(3)
    optimizer.step()
    assert p.update_rule.t == 1


def test_what_has_no_rule_is_somebody_elses():
    model = torch.nn.ModuleDict({"a": torch.nn.Embedding(5, 2, sparse=True)})
    model["b"] = torch.nn.Linear(2, 2)
    optimizer = chainrule.torch.attach(model, torch.optim.SGD(model["b"].parameters(), lr=0.1))
    before = model["b"].bias.detach().clone()
    model["b"](model["a"](torch.arange(3))).sum().backward()
    optimizer.step()
    assert not torch.equal(model["b"].bias, before)
    optimizer.zero_grad(set_to_none=False)
    assert model["a"].weight.grad.is_sparse
    optimizer.zero_grad()
    assert model["a"].weight.grad is not None
    assert model["b"].weight.grad is None
    model["a"].to(torch.bfloat16)
    model["b"].weight.grad = torch.ones(2, 2)
    optimizer.step()
