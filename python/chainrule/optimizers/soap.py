"""Adam in the eigenbasis of Shampoo: SOAP."""

from __future__ import annotations

from chainrule._core import Hyperparameter
from chainrule.optimizer import GradientMethod, HyperparameterProxy
from chainrule.schedules import Scalar
from chainrule.update_rule import UpdateRule

__all__ = ["SOAP", "SOAPRule"]


class SOAPRule(UpdateRule, algorithm="SOAP"):
    """Update rule of :class:`SOAP`.

    Args:
        parent_hyperparam: Where values that are not given come from; the defaults without it.
        lr: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squares, in the eigenbasis.
        shampoo_beta: Decay of the running means ``left`` and ``right``.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself, times ``lr``.
        precondition_frequency: Steps from one turn of the basis to the next.
        max_precondition_dim: A longer side than this has no basis of its own.
        precondition_1d: Let vectors have a basis too.
    """

    def __init__(
        self,
        parent_hyperparam: Hyperparameter | None = None,
        lr: Scalar | None = None,
        beta1: Scalar | None = None,
        beta2: Scalar | None = None,
        shampoo_beta: Scalar | None = None,
        eps: Scalar | None = None,
        weight_decay: Scalar | None = None,
        precondition_frequency: int | None = None,
        max_precondition_dim: int | None = None,
        precondition_1d: bool | None = None,
    ) -> None:
        super().__init__(parent_hyperparam)
        self._override(
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            shampoo_beta=shampoo_beta,
            eps=eps,
            weight_decay=weight_decay,
            precondition_frequency=precondition_frequency,
            max_precondition_dim=max_precondition_dim,
            precondition_1d=precondition_1d,
        )


class SOAP(GradientMethod, rule=SOAPRule):
    r"""Adam in the eigenbasis of Shampoo's preconditioner.

    A matrix keeps running means ``left`` of ``g @ g.T`` and ``right`` of ``g.T @ g``, and their
    eigenvectors ``L`` and ``R``. With ``x' = L.T @ x @ R``,

    ``m += (1 - beta1) * (g - m)``, ``v += (1 - beta2) * (g' ** 2 - v)``,
    ``u = L @ (m' / (sqrt(v) + eps)) @ R.T``,
    ``p = (1 - lr * weight_decay) * (p - rate * u)``

    with Adam's ``rate = lr * sqrt(1 - beta2 ** t) / (1 - beta1 ** t)``, then ``left`` and
    ``right`` take the gradient in. The first update only makes the bases, so that ``t`` counts from
    the second on; every ``precondition_frequency`` steps they follow the eigenvectors by one step
    of power iteration, ``L = qr(left @ L)``, sorted by eigenvalue. Vectors and sides longer than
    ``max_precondition_dim`` keep their own basis, as in Adam; an array of more dimensions than two
    is taken as a matrix ``(out, -1)``.

    Decompositions are NumPy's. The statistics of a parameter on a GPU, and products with them, stay
    there (cuBLAS multiplies); every ``precondition_frequency`` steps they are copied to the CPU,
    decomposed there, and the bases copied back, for which the host waits.

    Args:
        lr: Learning rate.
        beta1: Decay of the running mean of gradients.
        beta2: Decay of the running mean of squares, in the eigenbasis.
        shampoo_beta: Decay of the running means ``left`` and ``right``.
        eps: Keeps the denominator from zero.
        weight_decay: Rate of the decay of the parameter itself, times ``lr``.
        precondition_frequency: Steps from one turn of the basis to the next.
        max_precondition_dim: A longer side than this has no basis of its own.
        precondition_1d: Let vectors have a basis too.

    Raises:
        ValueError: By :meth:`update`, if a value is out of range. Nothing is changed then.
        RuntimeError: By :meth:`update`, if a parameter lies on a GPU and cuBLAS (``nvidia-cublas``)
            is not found. Nothing is changed then.

    Source:
        Vyas et al., `SOAP: Improving and Stabilizing Shampoo using Adam
        <https://arxiv.org/abs/2409.11321>`_, 2024.

    Example:
        >>> import chainrule, numpy
        >>> from chainrule.optimizers import SOAP
        >>> net = chainrule.links.Linear(3, 2, nobias=True)
        >>> net.W.array[...] = 1
        >>> optimizer = SOAP(lr=0.1, weight_decay=0).setup(net)
        >>> for _ in range(2):
        ...     net.W.grad = numpy.array([[3, 0, 0], [0, 4, 0]], numpy.float32)
        ...     optimizer.update()
        >>> net.W.array.round(2)
        array([[0.9, 1. , 1. ],
               [1. , 0.9, 1. ]], dtype=float32)
    """

    def __init__(
        self,
        lr: Scalar = 3e-3,
        beta1: Scalar = 0.95,
        beta2: Scalar = 0.95,
        shampoo_beta: Scalar = 0.95,
        eps: Scalar = 1e-8,
        weight_decay: Scalar = 0.01,
        precondition_frequency: int = 10,
        max_precondition_dim: int = 10000,
        precondition_1d: bool = False,
    ) -> None:
        super().__init__()
        self.hyperparam.lr = lr
        self.hyperparam.beta1 = beta1
        self.hyperparam.beta2 = beta2
        self.hyperparam.shampoo_beta = shampoo_beta
        self.hyperparam.eps = eps
        self.hyperparam.weight_decay = weight_decay
        self.hyperparam.precondition_frequency = precondition_frequency
        self.hyperparam.max_precondition_dim = max_precondition_dim
        self.hyperparam.precondition_1d = precondition_1d

    lr = HyperparameterProxy("lr")
    beta1 = HyperparameterProxy("beta1")
    beta2 = HyperparameterProxy("beta2")
    shampoo_beta = HyperparameterProxy("shampoo_beta")
    eps = HyperparameterProxy("eps")
    weight_decay = HyperparameterProxy("weight_decay")
    precondition_frequency = HyperparameterProxy("precondition_frequency")
    max_precondition_dim = HyperparameterProxy("max_precondition_dim")
    precondition_1d = HyperparameterProxy("precondition_1d")
