"""A predictor with a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule._core import Variable
from chainrule.chain import Chain
from chainrule.functions import accuracy, softmax_cross_entropy
from chainrule.link import Link
from chainrule.reporter import report

__all__ = ["Classifier"]


class Classifier(Chain):
    """Computes the loss and the accuracy of a predictor and reports both.

    Args:
        predictor: The model.
        lossfun: Computes the loss from prediction and label.
        accfun: Computes the accuracy from prediction and label.
        label_key: Which argument of a call is the label: a position or a name.

    Attributes:
        predictor: The model.
        lossfun: The loss function.
        accfun: The accuracy function.
        y: Prediction of the last call.
        loss: Loss of the last call.
        accuracy: Accuracy of the last call.
        compute_accuracy: Whether to compute it.

    Raises:
        TypeError: If ``label_key`` is neither a position nor a name.

    Example:
        >>> import chainrule.links as L, numpy
        >>> model = L.Classifier(L.Linear(3, 2))
        >>> loss = model(numpy.ones((4, 3), numpy.float32), numpy.zeros(4, numpy.int32))
        >>> loss.shape
        ()
    """

    compute_accuracy = True

    def __init__(
        self,
        predictor: Link,
        lossfun: Callable[..., Any] = softmax_cross_entropy,
        accfun: Callable[..., Any] = accuracy,
        label_key: int | str = -1,
    ) -> None:
        if not isinstance(label_key, (int, str)):
            raise TypeError(f"label_key must be int or str, but is {type(label_key)}")
        super().__init__()
        self.lossfun = lossfun
        self.accfun = accfun
        self.label_key = label_key
        self.y: Any = None
        self.loss: Any = None
        self.accuracy: Any = None
        with self.init_scope():
            self.predictor = predictor

    def forward(self, *args: Any, **kwargs: Any) -> Variable:
        """Compute the loss of a batch.

        Args:
            *args: Arguments of the predictor, and the label.
            **kwargs: More of them.

        Returns:
            The loss.

        Raises:
            ValueError: If there is no label at the label's position or name.
        """
        key = self.label_key
        if isinstance(key, int):
            if not -len(args) <= key < len(args):
                raise ValueError(f"Label key {key} is out of bounds")
            label = args[key]
            at = key % len(args)
            args = args[:at] + args[at + 1 :]
        else:
            if key not in kwargs:
                raise ValueError(f'Label key "{key}" is not found')
            label = kwargs.pop(key)

        # Straight into the instance's dict: none of these is a parameter or a link.
        state = self.__dict__
        state["accuracy"] = None
        y = state["y"] = self.predictor(*args, **kwargs)
        loss = state["loss"] = self.lossfun(y, label)
        report({"loss": loss}, self)
        if self.compute_accuracy:
            state["accuracy"] = self.accfun(y, label)
            report({"accuracy": state["accuracy"]}, self)
        return loss
