"""What an update of a random mix has to come to: every parameter by itself, through its own rule.

Three things have no meaning for one parameter alone. The norm of all gradients is given as the
factors that it came to. Where SAM lets the parameters be is looked at: the places have to be right
as far as rounding goes, and the second gradients are those of these places. And Prodigy's estimate
is one for all of its parameters: they are updated as an optimizer of these parameters and nothing
else would do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

import chainrule
from chainrule import _core, optimizer_hooks
from random_mixes import NATIVE, Loss, Mix

__all__ = ["one_by_one"]

SAM = optimizer_hooks.SAM
Params = list[chainrule.Parameter]


def one_by_one(mix: Mix, factors: list[float], seen: list[list[np.ndarray]]) -> None:
    """Update every parameter by itself, as the documentation says that an update is.

    Args:
        mix: Whose parameters.
        factors: What the hooks that bound the norm of all gradients come to.
        seen: The parameters at each call of the loss function, where there is one.
    """
    optimizer = mix.optimizer
    scale = optimizer._loss_scale or 1.0 if mix.drawn.lossfun else 1.0
    if mix.drawn.lossfun:
        Loss(mix).backward(optimizer._loss_scale)
        sharpen(mix, seen)
    if optimizer._loss_scaling_is_dynamic and not all(
        map(is_finite, [p for p in mix.params() if p.update_rule.enabled and p.grad is not None])
    ):
        skip_step(mix)
        return
    ready = take_part(mix.params())
    with second_gradients(mix):
        update(mix, ready, factors, scale)
    optimizer.t += 1
    if optimizer._loss_scaling_is_dynamic:
        growth = optimizer._loss_scaling_multiplier if optimizer._loss_scaling_isnan_ever else 2.0
        optimizer._loss_scale = min(optimizer._loss_scale * growth, 65504.0)


def is_finite(param: chainrule.Parameter) -> bool:
    return bool(np.isfinite(param.grad.astype(np.float64)).all())


# SAM


def sharp_hooks(mix: Mix) -> Iterator[tuple[SAM, Params]]:
    """The hooks that want a second gradient, with what they let move."""
    owners: list[tuple[Any, Params]] = [(mix.optimizer, mix.params())]
    owners += [(param.update_rule, [param]) for param in mix.params()]
    for owner, params in owners:
        for hook in owner._hookable.pre.values():
            if isinstance(hook, SAM):
                yield hook, [p for p in params if p.grad is not None and p.update_rule.enabled]


def sharpen(mix: Mix, seen: list[list[np.ndarray]]) -> None:
    """Take the gradients where another update took them, if that is the right place."""
    hooks = list(sharp_hooks(mix))
    assert len(seen) == 1 + bool(hooks)
    here = [param.array for param in mix.params()]
    for array, was in zip(here, seen[0], strict=True):
        assert array.tobytes() == was.tobytes()
    if not hooks:
        return
    right = {param.name: param.array.astype(np.float64) for param in mix.params()}
    for hook, params in hooks:
        grads = {param.name: param.grad.astype(np.float64) for param in params}
        norm = np.sqrt(sum(np.sum(grad * grad) for grad in grads.values()))
        if 0 < norm < np.inf:
            for name, grad in grads.items():
                right[name] = right[name] + hook.rho * grad / norm
    for param, place in zip(mix.params(), seen[1], strict=True):
        eps = 4 * float(ml_dtypes.finfo(param.dtype).eps)
        np.testing.assert_allclose(
            place.astype(np.float64), right[param.name], rtol=eps, atol=eps, err_msg=param.name
        )
    try:
        for param, place in zip(mix.params(), seen[1], strict=True):
            param.array = place
        Loss(mix).backward(mix.optimizer._loss_scale)
    finally:
        for param, array in zip(mix.params(), here, strict=True):
            param.array = array


@contextlib.contextmanager
def second_gradients(mix: Mix) -> Iterator[None]:
    """Tell hooks that the gradients are those that they want."""
    hooks = [hook for hook, _ in sharp_hooks(mix)]
    for hook in hooks:
        hook._moved = True
    try:
        yield
    finally:
        for hook in hooks:
            hook._moved = False


# Policies


def take_part(params: Params) -> Params:
    """Ask the policies which parameters are updated."""
    ready = []
    for param in params:
        rule = param.update_rule
        if not rule.enabled:
            continue
        if param.grad is None:
            if rule.missing_grad == "raise":
                raise ValueError(f"{param.name} has no gradient")
            if rule.missing_grad == "skip":
                continue
            param.grad = np.zeros(param.shape, param.dtype)
        ready.append(param)
    held = {p.name: p.update_rule.on_nonfinite for p in ready if not is_finite(p)}
    if "raise" in held.values():
        raise ValueError("a gradient is not finite")
    every = "skip_step" in held.values()
    out = []
    for param in ready:
        if every or held.get(param.name) == "skip_param":
            param.update_rule.skipped += 1
        else:
            out.append(param)
    return out


def skip_step(mix: Mix) -> None:
    """Do what an update does where the loss scale was too great."""
    optimizer = mix.optimizer
    register = optimizer._hookable
    if not fused(optimizer):
        # They may draw random numbers.
        for hook in register.pre.values():
            for param in mix.params() if type(hook).__name__ not in (*NATIVE, "SAM") else ():
                if param.update_rule.enabled and param.grad is not None:
                    hook(param.update_rule, param)
    optimizer.t += 1
    optimizer._loss_scaling_isnan_ever = True
    optimizer._loss_scale = max(1.0, optimizer._loss_scale / 2)


# Updates


def fused(optimizer: Any) -> bool:
    hooks = optimizer._hookable.pre.values()
    return all(type(hook).__name__ in (*NATIVE, "SAM") for hook in hooks)


def update(mix: Mix, ready: Params, factors: list[float], scale: float) -> None:
    """Update the parameters that take part."""
    register = mix.optimizer._hookable
    in_sweep = fused(mix.optimizer)
    numbers = iter(factors)
    in_front = []
    unscale = [_core.GradientHook("scale", 1 / scale)] if scale != 1 else []
    for hook in (*unscale, *register.pre.values()):
        if isinstance(hook, SAM):
            continue
        norm = isinstance(hook, optimizer_hooks.GradientClipping)
        if in_sweep:
            in_front.append(_core.GradientHook("scale", next(numbers)) if norm else hook)
        elif norm or hook in unscale:
            _core.apply_hook(hook, ready)
        else:
            for param in ready:
                hook(param.update_rule, param)
    pairs = [(param.update_rule, param) for param in mix.params()]
    for name, hook in register.post.items():
        if hasattr(hook, "_before"):
            hook._before(pairs, name)
    group = [p for p in mix.params() if shares(p.update_rule)]
    for rule in (param.update_rule for param in group):
        for name, hook in rule._weight_hooks():
            hook._before([(rule, p) for p in group if p.update_rule is rule], name)
    update_together(group, [p for p in group if any(p is other for other in ready)], in_front)
    for param in ready:
        if not any(param is other for other in group):
            update_alone(param, in_front)
    for name, hook in register.post.items():
        for param in ready:
            if hasattr(hook, "_after"):
                hook._after([(param.update_rule, param)], name)
            else:
                hook(param.update_rule, param)


def shares(rule: chainrule.UpdateRule) -> bool:
    return type(rule).__name__ == "ProdigyRule" and not rule._by_python


@contextlib.contextmanager
def admitted(rule: chainrule.UpdateRule) -> Iterator[None]:
    """Let a rule's policies be: they were asked already."""
    policy, rule.on_nonfinite = rule.on_nonfinite, "ignore"
    try:
        yield
    finally:
        rule.on_nonfinite = policy


def update_alone(param: chainrule.Parameter, in_front: list[Any]) -> None:
    rule = param.update_rule
    own = rule._native_hooks
    with admitted(rule):
        if not rule._by_python:
            rule._native_hooks = [*in_front, *own]
        else:
            for hook in in_front:
                _core.apply_hook(hook, [param])
        rule.update(param)
        rule._native_hooks = own


def update_together(group: Params, ready: Params, in_front: list[Any]) -> None:
    """Update parameters with one estimate; those that are left out hear of it."""
    table = _core.UpdateTable()
    table.hooks = in_front
    with contextlib.ExitStack() as stack:
        for param in group:
            stack.enter_context(admitted(param.update_rule))
            if not any(param is other for other in ready):
                policy = param.update_rule.missing_grad
                param.cleargrad()
                param.update_rule.missing_grad = "skip"
                stack.callback(setattr, param.update_rule, "missing_grad", policy)
            table.add(param, param.update_rule, param.name, False)
        table.step(1.0, False)
    for param in ready:
        rule = param.update_rule
        for name, hook in rule._weight_hooks():
            hook._after([(rule, param)], name)
