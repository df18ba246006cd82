"""Optimizers: what updates the parameters of a link.

The optimizer gives every parameter an :class:`UpdateRule` of its own and then keeps a table of them
in C++: one native call updates all parameters of all built-in rules, whatever their values.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from chainrule import _core, optimizer_hooks
from chainrule._core import Hyperparameter
from chainrule._given import Gradients, given
from chainrule._hyperparameter_proxy import HyperparameterProxy
from chainrule._loss import take_gradients
from chainrule._moved_hooks import (  # noqa: F401  (their old place)
    GradientClipping,
    GradientHardClipping,
    GradientNoise,
    Lasso,
    WeightDecay,
    make_deprecation_message,
)
from chainrule._names import refuse_no_rule
from chainrule._optimizer import Optimizer
from chainrule._undo import add_note, before_update, not_kept
from chainrule._walk import each_param, warn_of_new
from chainrule.configuration import config
from chainrule.link import Link
from chainrule.optimizer_hooks import SAM
from chainrule.optimizer_hooks._native import is_native
from chainrule.optimizer_hooks._places import HookPlaces, Placed
from chainrule.rules.replace import keep
from chainrule.update_rule import UpdateRule

if TYPE_CHECKING:
    from chainrule.variable import Parameter

__all__ = [
    "GradientMethod",
    "Hyperparameter",
    "HyperparameterProxy",
    "Optimizer",
    "UpdateRule",
    "make_deprecation_message",
]

_Self = TypeVar("_Self", bound="GradientMethod")

_LENT = "[update] parameters hold their averages: leave the block of averaged() first"
_claim = threading.Lock()  # held while an optimizer is looked at and marked

# Hooks that change gradients and nothing else.
_GRADIENT_HOOKS = (
    optimizer_hooks.GradientClipping,
    optimizer_hooks.GradientHardClipping,
    optimizer_hooks.GradientLARS,
    optimizer_hooks.GradientNoise,
    optimizer_hooks.Lasso,
    optimizer_hooks.WeightDecay,
)

# Whoever overrides one of these takes part in every update.
_STEPS = (
    "call_hook",
    "call_hooks",
    "check_nan_in_grads",
    "is_safe_to_update",
    "reallocate_cleared_grads",
    "update_loss_scale",
)


class GradientMethod(Optimizer):
    """Base of the optimizers that need one gradient per update.

    A subclass overrides :meth:`create_update_rule`, or names an algorithm of the core.

    Attributes:
        hyperparam: The values that all update rules start from and fall back to.
    """

    hyperparam: Hyperparameter
    _algorithm: ClassVar[str | None] = None
    _strict: ClassVar[bool] = False
    _rule_class: ClassVar[type[UpdateRule] | None] = None
    # How tables call its rules, if not by their algorithm.
    _rule_name: ClassVar[str | None] = None
    _use_fp32_update = False
    _use_cleargrads = True
    _clear_gradients = False
    # The table, and what it was built from.
    _table: Any = None
    _version = -1
    _built_for: Link | None = None
    _plain = False  # one native call does everything
    _fused = True  # hooks run inside the sweep
    _in_python: list[tuple[str, Parameter, UpdateRule]]
    _changes: str | None = None  # what user code may change before the native sweep
    _updating = 0  # the thread that is in an update in which Python has a part
    # Hooks on weights, before and after the sweep, and hooks that need a second gradient, with
    # what they stand on.
    _first: list[Placed] = []
    _last: list[Placed] = []
    _sharp: list[tuple[SAM, list[Parameter]]] = []
    _backward = take_gradients

    def __init_subclass__(cls, rule: type[UpdateRule] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if rule is not None:
            cls._rule_class = rule
            built_in = (cls.__module__ or "").startswith("chainrule.optimizers.")  # exec gives None
            cls._rule_name = cls.__name__ if built_in and rule._algorithm != cls.__name__ else None
        cls._strict = rule is not None

    def __init__(self) -> None:
        super().__init__()
        strict = self._rule_class._algorithm if self._strict and self._rule_class else None
        self.hyperparam = Hyperparameter._make(None, strict)
        self.hyperparam._set_clock(self._clock)
        self._use_fp32_update = False

    def setup(self: _Self, link: Link) -> _Self:
        """Give every parameter of a link a rule of this optimizer.

        A parameter that has a rule already keeps its hooks and policies, and stays off if it was
        off. Where a rule cannot be made, nothing is changed.

        Args:
            link: The link.

        Returns:
            The optimizer itself.

        Raises:
            TypeError: If ``link`` is none, or :meth:`create_update_rule` gives no rule.
        """
        before = self.target, self.epoch, self._hookable, self.t
        super().setup(link)
        try:
            parts = list(link.links())
            rules = [(param, self._rule_for(path, param)) for path, param in each_param(link)]
        except BaseException:
            self.target, self.epoch, self._hookable, self.t = before
            raise
        for part in parts:
            part.__dict__["_update_clock"] = self._clock
        for param, rule in rules:
            param._clock = self._clock
            param.update_rule = rule
        return self

    def _rule_for(self, path: str, param: Parameter) -> UpdateRule:
        """Make the rule that a parameter gets, and leave the parameter as it is."""
        before = param.update_rule
        try:
            rule = self._new_rule()
            refuse_no_rule(rule)
            if isinstance(before, UpdateRule) and not config.chainer_semantics:
                keep(before, rule)
        except BaseException as error:
            add_note(error, f"[setup] stopped at {path}; rules and counts are as they were before")
            raise
        return rule

    def _new_rule(self) -> UpdateRule:
        rule = self.create_update_rule()
        if self._use_fp32_update:
            rule.use_fp32_update()
        return rule

    def create_update_rule(self) -> UpdateRule:
        """Make the rule of one parameter.

        Returns:
            A new rule whose hyperparameters fall back to the optimizer's.
        """
        if self._rule_class is None:
            raise NotImplementedError(f"[{type(self).__name__}] override create_update_rule")
        rule = self._rule_class(self.hyperparam)
        if self._rule_name is not None:
            rule._named = self._rule_name
        return rule

    def _changed(self) -> None:
        self._version = -1

    def _begin_averaging(self, averages: object) -> None:
        # Looked at and marked at once: an update that Python has a part in does the same.
        with _claim:
            if self._is_updating():
                raise self._busy("averaged")
            super()._begin_averaging(averages)

    def _is_updating(self) -> bool:
        """Whether some thread is in an update at this moment."""
        return bool(self._updating) or (self._table is not None and self._table.running)

    def _busy(self, call: str) -> RuntimeError:
        """Say why a call has to wait for an update."""
        if self._updating == threading.get_ident():
            return RuntimeError(
                f"[{call}] this optimizer is updating: got a call of {call}() from one of its own "
                "hooks or rules, expected one after the update"
            )
        return RuntimeError(f"[{call}] this optimizer is updating in another thread at this moment")

    def _build(self) -> None:
        """Build the table anew: rules, children or hooks are others."""
        if self.target is None:
            raise RuntimeError(
                f"[update] {type(self).__name__} is not set up: call setup(link) first"
            )
        if self._is_updating():
            raise self._busy("update")
        version = _core.structure_version()
        table = _core.UpdateTable(self._clock)
        in_python, without = [], []
        for path, param in each_param(self.target):
            rule, param._clock = param.update_rule, self._clock
            if rule is None:
                without.append((path, param))
                continue
            by_python = rule._by_python
            table.add(param, rule, path, by_python)
            if by_python:
                in_python.append((path, param, rule))
        warn_of_new(without)
        hooks = self._hooks()
        places = HookPlaces(self, hooks)
        pre, self._last, self._sharp = places.in_sweep, places.on_rules, places.sharp
        self._first = [*places.everywhere, *places.on_rules]
        overridden = any(
            getattr(type(self), name) is not getattr(GradientMethod, name) or name in vars(self)
            for name in _STEPS
        )
        self._fused = all(is_native(hook) for hook in pre) and not overridden
        if overridden or not all(type(hook) in _GRADIENT_HOOKS for hook in pre):
            self._changes = "everything"
        else:
            self._changes = None if self._fused else "gradients"
        table.hooks = cast("list[_core.GradientHook]", pre) if self._fused else []
        after = bool(hooks.post or self._last)
        self._plain = (
            self._fused and not in_python and not after and not self._loss_scaling_is_dynamic
        )
        table.clear_gradients = self._clear_gradients
        self._table, self._in_python = table, in_python
        self._built_for, self._version = self.target, version

    def update(
        self, lossfun: Callable[..., Any] | Gradients | None = None, *args: Any, **kwds: Any
    ) -> None:
        """Update all parameters that have a gradient and whose rule is on.

        Args:
            lossfun: Called with the other arguments; gives the loss, whose gradients are then
                computed: none where all parameters are off, and the update counts. Without it
                the gradients are there already. Where the optimizer was given arrays
                (:func:`chainrule.arrays.attach`), the gradients by name.
            *args: What ``lossfun`` is called with.
            **kwds: What ``lossfun`` is called with.

        Raises:
            RuntimeError: If :meth:`setup` was not called, a parameter has no array yet, the loss
                depends on no parameter that is on, or parameters hold their averages
                (:meth:`averaged`).
            ValueError: If a hyperparameter is not finite, or shapes do not fit. Nothing is
                changed then.
            TypeError: If dtypes do not fit. Nothing is changed then.

        Where a hook or a rule written in Python raises, the exception goes on with a note that
        says at which parameter and hook, and whether the update has taken place: after a hook of
        timing ``'post'`` it has; otherwise parameters, gradients, states and counts are put back.
        A rule in Python, or a hook on one rule, is expected to change its own parameter alone. What
        it writes to others, which are not copied for it, is not put back unless the optimizer has
        a hook of its own in Python; the note says so.
        """
        if self._averaging is not None:
            raise RuntimeError(_LENT)
        if lossfun is not None and not callable(lossfun):
            with given(self, lossfun):
                self.update()
            return
        scale = 1.0
        if lossfun is not None:
            if self._loss_scale is not None:
                scale = self._loss_scale
            self._backward(lossfun, args, kwds)
        if self._version != _core.structure_version() or self._built_for is not self.target:
            self._build()
        if self._sharp:
            self._sharpen(lossfun, args, kwds)
        try:
            self._update(scale, config.chainer_semantics)
        finally:
            for sharp, _ in self._sharp:
                sharp._moved = False

    def _update(self, scale: float, chainer: bool) -> None:
        if self._plain and not chainer:
            if self._updating:
                raise self._busy("update")
            for name, hook, pairs in self._first:
                hook._before(pairs, name)
            self._table.step_and_count(scale)
            return
        with _claim:
            if self._is_updating():
                raise self._busy("update")
            if self._averaging is not None:
                raise RuntimeError(_LENT)
            self._updating = threading.get_ident()
        try:
            for name, hook, pairs in self._first:
                hook._before(pairs, name)
            self._update_in_steps(scale, chainer)
        finally:
            self._held = frozenset()
            self._updating = 0

    def _sharpen(
        self,
        lossfun: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwds: dict[str, Any],
    ) -> None:
        """Compute gradients again, where SAM lets the parameters be."""
        if lossfun is None:
            self._sharp[0][0](self)  # says what is missing
        assert lossfun is not None
        with contextlib.ExitStack() as stack:
            for hook, params in self._sharp:
                ready = [p for p in params if p._has_grad and p.update_rule.enabled]
                stack.enter_context(hook._perturbed(ready))
            self._backward(lossfun, args, kwds)
        for hook, _ in self._sharp:
            hook._moved = True

    def _update_in_steps(self, scale: float, chainer: bool) -> None:
        """Update where Python has a part in it, in Chainer's order: all of it, or nothing."""
        undo, clock, t, table = before_update(self, chainer), self._clock, self.t, self._table
        found = self._loss_scaling_isnan, self._loss_scaling_isnan_ever
        try:
            if chainer:
                self.reallocate_cleared_grads()
            self.check_nan_in_grads()
            safe = self.is_safe_to_update()
            if not self._fused:
                if safe:
                    table.check(scale, chainer)
                    self._held = frozenset(table.held)
                if scale != 1 and not chainer:
                    table.unscale(scale, False)
                    scale = 1.0
                self.call_hooks("pre")
            clock.begin()
            if safe:
                self._run_rules(scale, chainer)
            elif self._clear_gradients:
                table.zero_gradients()
        except BaseException as error:
            table.abandon()
            undo.restore()
            clock.end()
            clock.t = t
            table.settle()
            self._loss_scaling_isnan, self._loss_scaling_isnan_ever = found
            add_note(
                error,
                f"[update] {type(self).__name__}: the update did not take place; parameters, "
                f"gradients, states and counts are as they were before it{not_kept(self)}",
            )
            raise
        try:
            for name, hook, pairs in self._last if safe else ():
                hook._after(pairs, name)
            if chainer:
                self.reallocate_cleared_grads()
            self.call_hooks("post")
        except BaseException as error:
            add_note(error, f"[update] {type(self).__name__}: the update has taken place")
            raise
        finally:
            clock.end()
            table.settle()
        self.update_loss_scale()

    def _run_rules(self, scale: float, chainer: bool) -> None:
        """Run rules written in Python, then all others: these do not fail once they run."""
        if not self._in_python:
            self._table.step(scale, chainer)
            return
        self._table.step_half(scale, chainer, hosted=True)
        self._held = frozenset(self._table.held)
        for path, param, rule in self._in_python:
            if path in self._held:
                continue
            try:
                if type(rule).update is UpdateRule.update and "update" not in vars(rule):
                    rule._update_in_python(param, admitted=True)
                else:
                    rule.update(param)
            except BaseException as error:
                add_note(error, f"[update] stopped at {path}, in its rule {type(rule).__name__}")
                raise
        self._table.step_half(scale, chainer, hosted=False)

    def call_hook(self, hook: Callable[..., Any]) -> None:
        """Call one hook, for all parameters or once.

        Args:
            hook: The hook.
        """
        known = next((known for known in self._first if known[1] is hook), None)
        if known is not None:
            if not self._loss_scaling_isnan:
                known[1]._after(known[2], known[0])
        else:
            super().call_hook(hook)
        if config.chainer_semantics:
            self.reallocate_cleared_grads()

    def reallocate_cleared_grads(self) -> None:
        """Give a gradient of zeros to every parameter that has an array and no gradient.

        Only done in updates under ``config.chainer_semantics``; otherwise a parameter without a
        gradient is left alone.
        """
        if self.target is not None:
            for param in self.target.params(False):
                if not param._has_grad:
                    param.zerograd()

    @property
    def clear_gradients(self) -> bool:
        """Whether an update leaves gradients of zeros behind; False at first.

        They are written in the sweep that updates, while the gradients are in the cache, so that a
        next ``backward()`` may add to them at once, in the same memory. All gradients are cleared:
        those of rules that are off, and those that were left out for not being finite, too.

        A gradient of zeros is a gradient: a parameter that the next backward pass does not reach is
        updated with it. ``target.cleargrads()``, and ``update(lossfun)`` before its backward pass,
        instead forget gradients. Hooks of timing ``'post'`` see the zeros.

        Example:
            >>> import chainrule
            >>> link = chainrule.Link(w=1)
            >>> link.w.array[:] = 1
            >>> optimizer = chainrule.optimizers.SGD(lr=0.25).setup(link)
            >>> optimizer.clear_gradients = True
            >>> chainrule.functions.sum(link.w * link.w).backward()
            >>> optimizer.update()
            >>> float(link.w.array[0]), float(link.w.grad[0])
            (0.5, 0.0)
        """
        return self._clear_gradients

    @clear_gradients.setter
    def clear_gradients(self, clear: bool) -> None:
        self._clear_gradients = bool(clear)
        if self._table is not None:
            self._table.clear_gradients = self._clear_gradients

    def use_cleargrads(self, use: bool = True) -> None:
        """Choose between clearing gradients and setting them to zeros in :meth:`update`.

        Args:
            use: Whether to clear them, which is the default and faster.
        """
        warnings.warn(
            "GradientMethod.use_cleargrads is deprecated.", DeprecationWarning, stacklevel=2
        )
        self._use_cleargrads = use

    def use_fp32_update(self, flag: bool = True) -> None:
        """Update half-precision parameters through copies in float32.

        Args:
            flag: Whether to do so.
        """
        self._use_fp32_update = flag
        if self.target is not None:
            for param in self.target.params():
                if param.update_rule is not None:
                    param.update_rule.use_fp32_update(flag)

    def __getstate__(self) -> dict[str, Any]:
        # The table is built anew by whoever copies or loads the optimizer.
        made = {"_averaging", "_table", "_version", "_built_for", "_plain", "_fused", "_walked"}
        made |= {"_in_python", "_changes", "_updating", "_first", "_last", "_sharp"}
        return {name: value for name, value in vars(self).items() if name not in made}
