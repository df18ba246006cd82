"""Momentum, orthogonalised: Muon."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["Muon", "MuonRule"]


class MuonRule(UpdateRule, algorithm="Muon"):
    """Update rule of :class:`Muon`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        momentum: Share of the running mean of gradients that is kept at each step.
        weight_decay: Rate of the decay of the parameter itself, times ``lr``.
        nesterov: Look ahead: orthogonalise a mixture of the mean and the gradient.
        match_rms_adamw: Scale updates to the size that AdamW's have.
        flatten: Take an array of more than two dimensions as a matrix ``(out, -1)``.
        ns_steps: Steps of the Newton-Schulz iteration.
        eps: Least norm that a matrix is divided by.
        ns_bfloat16: Iterate in bfloat16.
    """

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        momentum: Scalar | None = None,
        weight_decay: Scalar | None = None,
        nesterov: bool | None = None,
        match_rms_adamw: bool | None = None,
        flatten: bool | None = None,
        ns_steps: int | None = None,
        eps: Scalar | None = None,
        ns_bfloat16: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=nesterov,
            match_rms_adamw=match_rms_adamw,
            flatten=flatten,
            ns_steps=ns_steps,
            eps=eps,
            ns_bfloat16=ns_bfloat16,
        )


class Muon(GradientMethod, rule=MuonRule):
    r"""Momentum, orthogonalised; for matrices.

    ``m += (1 - momentum) * (g - m)``, then ``u = g + momentum * (m - g)`` with ``nesterov`` and
    ``u = m`` without, and

    ``p = (1 - lr * weight_decay) * p - lr * scale * O(u)``.

    ``O`` replaces the singular values of a matrix by numbers close to one and leaves its singular
    vectors: ``ns_steps`` times ``x = 3.4445 x - 4.7750 (x x^T) x + 2.0315 (x x^T)^2 x``, starting
    from ``u / |u|`` with the Frobenius norm. ``scale`` is ``max(1, rows / columns) ** 0.5``, or
    ``0.2 * max(rows, columns) ** 0.5`` with ``match_rms_adamw``, under which AdamW's ``lr`` and
    ``weight_decay`` may be used. Matrices of the same shape go through the products together.
    Everything is computed in float32, and in float64 for a float64 parameter.

    With ``ns_bfloat16`` the iteration on float32 numbers is in bfloat16 on GPUs and on processors
    with AVX-512 BF16 or AMX, which takes half the time or less, on a GPU a small part of it, with
    sums in float32; elsewhere it stays in float32. It adds about 1 % of noise to an update
    whose singular values lie between 0.7 and 1.2 anyway, but its numbers depend on the processor,
    which is why it is not the default.

    On a GPU the products are cuBLAS's, and nobody waits for the device. Bits are the same from run
    to run there, but the last of them may depend on how many matrices of a shape are updated
    together; on the CPU they depend on the matrix alone.

    A parameter that is no matrix is refused. Biases, embeddings and the last layer are usually
    given another rule; the kernels of convolutions are taken as matrices ``(out, -1)`` with
    ``flatten``.

    Args:
        lr: Learning rate.
        momentum: Share of the running mean of gradients that is kept at each step.
        weight_decay: Rate of the decay of the parameter itself, times ``lr``.
        nesterov: Look ahead: orthogonalise a mixture of the mean and the gradient.
        match_rms_adamw: Scale updates to the size that AdamW's have.
        flatten: Take an array of more than two dimensions as a matrix ``(out, -1)``.
        ns_steps: Steps of the Newton-Schulz iteration.
        eps: Least norm that a matrix is divided by.
        ns_bfloat16: Iterate in bfloat16 where there are instructions for its products, as the
            authors' and PyTorch's implementations do everywhere.

    Raises:
        ValueError: By :meth:`update`, if a parameter is no matrix, or a value is out of range.
            Nothing is changed then.
        RuntimeError: By :meth:`update`, if a parameter lies on a GPU and cuBLAS (``nvidia-cublas``)
            is not found. Nothing is changed then.

    Source:
        Jordan et al., `Muon: An optimizer for hidden layers in neural networks
        <https://kellerjordan.github.io/posts/muon/>`_, 2024; the scale of ``match_rms_adamw``:
        Liu et al., `Muon is Scalable for LLM Training <https://arxiv.org/abs/2502.16982>`_.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import Adam, Muon
        >>> net = chainrule.links.Linear(3, 2)
        >>> net.W.array[...] = 0
        >>> optimizer = Muon(lr=0.1).setup(net)
        >>> net.b.update_rule = Adam().create_update_rule()
        >>> net.W.grad = numpy.array([[3, 0, 0], [0, 0, 4]], numpy.float32)
        >>> net.b.grad = numpy.ones(2, numpy.float32)
        >>> optimizer.update()
        >>> bool(abs(numpy.linalg.svd(net.W.array)[1] - 0.1).max() < 0.05)
        True
    """

    def __init__(
        self,
        lr: Scalar = 0.02,
        momentum: Scalar = 0.95,
        weight_decay: Scalar = 0.0,
        nesterov: bool = True,
        match_rms_adamw: bool = False,
        flatten: bool = False,
        ns_steps: int = 5,
        eps: Scalar = 1e-7,
        ns_bfloat16: bool = False,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.momentum = momentum
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.nesterov = nesterov
        self.hyperparam.match_rms_adamw = match_rms_adamw
        self.hyperparam.flatten = flatten
        self.hyperparam.ns_steps = ns_steps
        self.hyperparam.eps = eps
        self.hyperparam.ns_bfloat16 = ns_bfloat16

    lr = HyperparameterProxy("lr")
    momentum = HyperparameterProxy("momentum")
    weight_decay = HyperparameterProxy("weight_decay")
    nesterov = HyperparameterProxy("nesterov")
    match_rms_adamw = HyperparameterProxy("match_rms_adamw")
    flatten = HyperparameterProxy("flatten")
    ns_steps = HyperparameterProxy("ns_steps")
    eps = HyperparameterProxy("eps")
    ns_bfloat16 = HyperparameterProxy("ns_bfloat16")
