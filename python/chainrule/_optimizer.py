"""What all optimizers have: a target, counts, hooks, loss scaling."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from chainrule import _core
from chainrule._hookable import Hookable
from chainrule._names import refuse_misspelt, refuse_unknown
from chainrule._numbers import number
from chainrule._rule_control import RuleControl
from chainrule._rule_files import serialize_count
from chainrule._undo import add_note
from chainrule._walk import each_param
from chainrule.configuration import config
from chainrule.link import Link
from chainrule.optimizer_hooks._weights import serialize_hooks
from chainrule.rules import snapshot
from chainrule.rules.attributes import ATTRIBUTES
from chainrule.serializer import AbstractSerializer
from chainrule.update_rule import UpdateRule

__all__ = ["Optimizer"]

_Self = TypeVar("_Self", bound="Optimizer")


class Optimizer(RuleControl):
    """Base of all optimizers.

    Attributes:
        target: The link whose parameters are updated; set by :meth:`setup`.
        epoch: Number of epochs so far; see :meth:`new_epoch`.
        use_auto_new_epoch: Whether an updater calls :meth:`new_epoch`.
    """

    target: Link | None = None
    epoch = 0
    use_auto_new_epoch = False
    _hookable: Hookable | None = None
    _loss_scale: float | None = None
    _loss_scale_max = 65504.0  # the greatest float16
    _loss_scaling_is_dynamic = False
    _loss_scaling_isnan = False
    _loss_scaling_isnan_ever = False
    _loss_scaling_multiplier = 1.0
    _averaging: Any = None  # what is kept while parameters hold their averages
    #: Paths of the parameters that the update on its way leaves alone, because of their gradients.
    _held: frozenset[str] = frozenset()
    _own_clock: _core.Clock | None = None

    @property
    def _clock(self) -> _core.Clock:
        """The count of updates; its rules have the same one."""
        if self._own_clock is None:
            self._own_clock = _core.Clock()
        return self._own_clock

    @property
    def t(self) -> int:
        """Number of updates so far: the step that expressions are evaluated at."""
        return self._clock.t

    @t.setter
    def t(self, t: int) -> None:
        if not hasattr(t, "__index__"):
            raise TypeError(f"[t] got {t!r}, expected a whole number")
        self._clock.t = t
        if self.target is not None:
            for param in self.target.params():
                refresh = getattr(param.update_rule, "_refresh_enabled", None)
                if refresh is not None:
                    refresh()

    def __copy__(self: _Self) -> _Self:
        other = type(self).__new__(type(self))
        other.__dict__.update(cast("dict[str, Any]", self.__reduce_ex__(2)[2]) or {})
        # As a number is copied, though it is held by an object.
        other._own_clock = copy.copy(self._clock)
        return other

    def setup(self: _Self, link: Link) -> _Self:
        """Choose the link to update, and start counting anew.

        Args:
            link: The link.

        Returns:
            The optimizer itself.

        Raises:
            TypeError: If ``link`` is none.
        """
        if not isinstance(link, Link):
            raise TypeError("optimization target must be a link")
        self.target = link
        self.t = 0
        self.epoch = 0
        if self._hookable is None or config.chainer_semantics:
            self._hookable = Hookable(fall_back=True)
        self._changed()
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(type(self), "_strict", False):
            refuse_misspelt(self, name)
            if name in ATTRIBUTES and not config.chainer_semantics:
                raise AttributeError(
                    f"[{type(self).__name__}] '{name}' is set on update rules: "
                    f"optimizer.rules.{name} = ... sets it on all"
                )
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name: str) -> Any:
            refuse_unknown(self, name)

    def _loss(self, lossfun: Callable[..., Any], args: Any, kwds: Any) -> Any:
        loss = lossfun(*args, **kwds)
        if not hasattr(loss, "backward"):
            raise TypeError(
                f"[update] lossfun gave {type(loss).__name__}, expected the loss, a Variable"
            )
        return loss

    def update(self, lossfun: Callable[..., Any] | None = None, *args: Any, **kwds: Any) -> None:
        """Update the parameters; to be overridden.

        Args:
            lossfun: Computes the loss; without it the gradients are there already.
            *args: What ``lossfun`` is called with.
            **kwds: What ``lossfun`` is called with.
        """
        raise NotImplementedError

    def _new_rule(self) -> UpdateRule:
        raise NotImplementedError(f"[{type(self).__name__}] makes no update rules")

    def new_epoch(self, auto: bool = False) -> None:
        """Count an epoch.

        Args:
            auto: Whether an updater calls it.

        Raises:
            RuntimeError: If both the updater and somebody else count.
        """
        if auto and not self.use_auto_new_epoch:
            raise RuntimeError(
                "invalid new_epoch call with auto=True.\n"
                "Fix the updater to set optimizer.use_auto_new_epoch = True."
            )
        if not auto and self.use_auto_new_epoch:
            raise RuntimeError(
                "duplicated new_epoch with the updater.\n"
                "Pass auto_new_epoch=False to the updater or stop calling new_epoch outside the "
                "updater."
            )
        self.epoch += 1

    def _hooks(self) -> Hookable:
        if self._hookable is None:
            raise RuntimeError("Optimizer is not set up. Call `setup` method.")
        return self._hookable

    def _link(self) -> Link:
        if self.target is None:
            raise RuntimeError("Optimizer is not set up. Call `setup` method.")
        return self.target

    def _begin_averaging(self, averages: object) -> None:
        """Keep updates out while parameters hold their averages."""
        self._averaging = averages

    def _changed(self) -> None:
        """Note that hooks or target are others."""

    def add_hook(
        self, hook: Callable[..., Any], name: str | None = None, timing: str = "auto"
    ) -> None:
        """Run a hook around each update.

        Args:
            hook: Called as ``hook(optimizer)``; or, if ``hook.call_for_each_param`` is true, as
                ``hook(rule, param)`` for each parameter.
            name: Its name; ``hook.name`` by default.
            timing: ``'pre'``, ``'post'``, or ``'auto'``: what ``hook.timing`` says.

        Raises:
            KeyError: If the name is taken.
            RuntimeError: If :meth:`setup` was not called yet.
            TypeError: If ``hook`` cannot be called.
            ValueError: If there is no name, or no such timing.
        """
        self._hooks().add(hook, name, timing)
        self._changed()

    def remove_hook(self, name: str) -> None:
        """Take a hook off again.

        Args:
            name: Its name.

        Raises:
            KeyError: If there is none of this name.
        """
        self._hooks().remove(name)
        self._changed()

    def call_hooks(self, timing: str = "pre") -> None:
        """Call the hooks of one timing.

        Args:
            timing: ``'pre'`` or ``'post'``.
        """
        for name, hook in self._hooks().items(timing):
            try:
                self.call_hook(hook)
            except BaseException as error:
                add_note(error, f"[update] stopped in the hook {name!r} of the optimizer")
                raise

    def call_hook(self, hook: Callable[..., Any]) -> None:
        """Call one hook, for all parameters or once.

        Args:
            hook: The hook.
        """
        if not getattr(hook, "call_for_each_param", False):
            hook(self)
            return
        every = config.chainer_semantics
        # Chainer calls it for a tied parameter as often as it is tied.
        walk = self._link().namedparams() if every else each_param(self._link())
        for path, param in walk:
            rule = param.update_rule
            if path in self._held:
                continue
            # What is not updated is left alone.
            if every or (param._has_grad and rule is not None and rule.enabled):
                try:
                    hook(rule, param)
                except BaseException as error:
                    add_note(error, f"[update] stopped at {path}")
                    raise

    def serialize(self, serializer: AbstractSerializer) -> None:
        """Save or load counts, configuration and the states of all rules, not the parameters.

        The configuration is what :meth:`plan` describes, the state of loss scaling added: one
        entry, ``rules.json``. Where there is none, as in files from Chainer, the present one is
        kept; under ``config.chainer_semantics`` none is written. A rule of another algorithm than
        the saved one is replaced, and the report of ``load_npz`` says so. Functions and
        classes of your own cannot be stored: their hooks and rules are taken from those that
        stand in the same places when the file is loaded, and the load refuses where there are
        none.

        Args:
            serializer: Where to or from.
        """
        before = self.t
        on_failure = getattr(serializer, "on_failure", None)
        if on_failure is not None:
            on_failure(lambda: setattr(self, "t", before))
        self.t = serialize_count(serializer, "t", self.t)
        self.epoch = serialize_count(serializer, "epoch", self.epoch)
        link = self._link()
        snapshot.serialize(self, serializer)
        for path, param in link.namedparams():
            rule = getattr(param, "update_rule", None)
            if rule is not None:
                rule.serialize(serializer[path])
                if isinstance(rule, UpdateRule):
                    serialize_hooks(rule, self._hooks().items("post"), serializer[path])

    def loss_scaling(self, interval: float = 1000, scale: float | None = None) -> None:
        """Multiply the loss, and divide the gradients again, so that float16 does not underflow.

        Args:
            interval: Updates until the scale has doubled, where it is found by itself.
            scale: The scale; without it, it is found by itself: raised step by step, halved when
                a gradient is not finite.

        Raises:
            TypeError: If one of them is no number.
            ValueError: If one of them is not positive, or not finite.
        """
        if scale is None:
            interval = number(
                "[loss_scaling] interval must be greater than or equal to 1",
                interval,
                "a finite number from 1 on",
                lambda updates: 1 <= updates < math.inf,
            )
            self._loss_scaling_is_dynamic = True
            self._loss_scale = 1.0
            self._loss_scaling_multiplier = math.pow(2.0, 1.0 / interval)
            self._loss_scaling_isnan_ever = False
        else:
            self._loss_scale = number(
                "[loss_scaling] loss_scale must be a positive number",
                scale,
                "a finite number above 0",
                lambda factor: 0 < factor < math.inf,
            )
            self._loss_scaling_is_dynamic = False
        self._changed()

    def set_loss_scale(self, loss_scale: float) -> None:
        """Set a fixed loss scale.

        Args:
            loss_scale: The scale.
        """
        self.loss_scaling(scale=loss_scale)

    def check_nan_in_grads(self) -> None:
        """Look for gradients that are not finite, where the loss scale is found by itself.

        Raises:
            RuntimeError: If :meth:`setup` was not called.
        """
        self._loss_scaling_isnan = False
        if not self._loss_scaling_is_dynamic:
            return
        for path in self._nonfinite_gradients():
            self._loss_scaling_isnan = self._loss_scaling_isnan_ever = True
            warnings.warn(
                f"Non finite number found in param.grad of {path}"
                f" (iteration: {self.t}, loss_scale: {self._loss_scale})",
                stacklevel=3,
            )

    def _nonfinite_gradients(self) -> list[str]:
        table = _core.UpdateTable()
        for path, param in self._link().namedparams(False):
            if param.update_rule is not None:
                table.add(param, param.update_rule, path, True)
        return table.nonfinite_gradients(config.chainer_semantics)

    def is_safe_to_update(self) -> bool:
        """Whether :meth:`check_nan_in_grads` found all gradients finite."""
        return not self._loss_scaling_isnan

    def update_loss_scale(self) -> None:
        """Raise or halve the loss scale, where it is found by itself."""
        if not self._loss_scaling_is_dynamic:
            return
        if self._loss_scaling_isnan:
            multiplier = 0.5
        elif self._loss_scaling_isnan_ever:
            multiplier = self._loss_scaling_multiplier
        else:
            multiplier = 2.0
        assert self._loss_scale is not None
        self._loss_scale = max(1.0, min(self._loss_scale_max, self._loss_scale * multiplier))
