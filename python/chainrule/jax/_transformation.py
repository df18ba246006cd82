"""The pair of functions, and what stands between JAX's arrays and the native pass."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.arrays._link import ArrayLink
from chainrule.jax._calls import Call, is_usable
from chainrule.jax._packing import Packing
from chainrule.jax._state import TransformationState, allocate, read, write
from chainrule.optimizer import GradientMethod
from chainrule.rules.attributes import ATTRIBUTES
from chainrule.rules.patterns import nearest_paths
from chainrule.rules.selection import Selection

__all__ = ["Transformation", "transformation"]

#: What is said about rules: by pattern, an optimizer or values; or a function that says it.
RulesLike = Mapping[Any, Any] | Callable[[Selection], Any] | None


class Transformation(NamedTuple):
    """A pair of functions, as ``optax.GradientTransformation`` is; see :func:`transformation`.

    Attributes:
        init: ``init(params)`` gives the first state.
        update: ``update(grads, state, params)`` gives updates and the next state.
    """

    init: Callable[[Any], TransformationState]
    update: Callable[..., tuple[Any, TransformationState]]


def transformation(
    optimizer: GradientMethod,
    rules: RulesLike = None,
    hooks: Iterable[Callable[..., Any]] = (),
) -> Transformation:
    """Make of an optimizer what optax calls a gradient transformation.

    ``state = tx.init(params)``, ``updates, state = tx.update(grads, state, params)`` and
    ``optax.apply_updates(params, updates)`` work as with any transformation of optax, also in
    ``optax.chain``; optax itself is not needed. States are values: they are never changed, and an
    older one gives the older result again.

    A parameter's path is made of its keys: ``{"encoder": [{"w": w}]}`` has ``'/encoder/0/w'``, and
    a slash in a key begins a level. ``rules`` says what is special, one after the other:

    - by pattern (:mod:`chainrule.rules.patterns`), an optimizer, whose algorithm the parameters
      get, or a dict of hyperparameters and of attributes of rules such as ``enabled``, both of
      which may be schedules and ``chainrule.inherit * 0.1``;
    - or a function, which is called with ``optimizer.rules`` and may do all that can be done with
      it.

    After ``init`` the optimizer is set up: ``optimizer.rules``, ``explain``, ``plan`` and
    ``observe`` work, and a value that is set later holds from the next update on, under ``jit``
    too. Schedules follow the state's ``count``. A transformation is for parameters of one
    structure: names, shapes and dtypes of the first ``init``.

    The update runs in native code on the CPU. What is copied: parameters and states into its
    memory, states and updates out of it. Gradients that lie on the CPU are read where they are;
    arrays on another device are fetched, and results are sent to the default device. Under
    ``jax.jit`` the same is done in a ``jax.pure_callback``, which XLA cannot fuse with what is
    around it, and to which small arrays pass joined together; ``vmap`` over an update is refused by
    JAX. A rule that is off gives updates of zero, but its gradient is computed all the same: leave
    the parameter out of what is differentiated to spare that. What JAX does for every array that
    passes costs more than the update of a small parameter: a model of many small ones is updated
    faster by optax under ``jit``.

    Updates have the dtype of the parameter. ``params + updates`` is what the rule computed, except
    for a rounding where an update is larger than the value itself.

    Args:
        optimizer: A new optimizer, such as ``chainrule.optimizers.AdamW(alpha=1e-3)``.
        rules: What is special about some parameters.
        hooks: Hooks for all parameters, as ``optimizer.add_hook`` takes them; those for some are
            added by a function for ``rules``.

    Returns:
        The pair of functions.

    Raises:
        ModuleNotFoundError: If JAX is not installed.
        TypeError: If ``optimizer`` is none, or ``rules`` neither a mapping nor a function.

    ``init`` and ``update`` raise TypeError, ValueError and KeyError that name the parameter or the
    pattern; no state is changed then.

    Example:
        >>> import chainrule.jax, jax.numpy as jnp
        >>> from chainrule import optimizers, schedules
        >>> tx = chainrule.jax.transformation(
        ...     optimizers.SGD(lr=0.5),
        ...     rules={"/*/b": {"lr": chainrule.inherit * 2, "enabled": schedules.after(1)}},
        ... )
        >>> params = {"l1": {"w": jnp.ones(2), "b": jnp.ones(1)}}
        >>> state = tx.init(params)
        >>> updates, after = tx.update(params, state, params)
        >>> updates["l1"]
        {'b': Array([0.], dtype=float32), 'w': Array([-0.5, -0.5], dtype=float32)}
        >>> updates, _ = tx.update(params, after, params)
        >>> updates["l1"]["b"]
        Array([-1.], dtype=float32)
        >>> int(state.count), int(after.count)
        (0, 1)
    """
    try:
        importlib.import_module("jax")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("[jax] JAX is not installed: pip install jax") from error
    what: Any = optimizer
    if not isinstance(what, GradientMethod):
        kind = what.__name__ if isinstance(what, type) else type(what).__name__
        raise TypeError(f"[jax] got {kind}, expected an optimizer such as optimizers.AdamW()")
    if optimizer.target is not None:
        raise ValueError(f"[jax] this {type(optimizer).__name__} is set up already: make a new one")
    if rules is not None and not callable(rules) and not isinstance(rules, Mapping):
        raise TypeError(f"[jax] rules: got {type(rules).__name__}, expected a dict or a function")
    host = _Host(optimizer, rules, tuple(hooks))
    return Transformation(host.init, host.update)


class _Host:
    """An optimizer over memory of its own, through which states pass."""

    def __init__(
        self, optimizer: GradientMethod, rules: RulesLike, hooks: tuple[Callable[..., Any], ...]
    ) -> None:
        import jax

        self._jax: Any = jax
        self._optimizer = optimizer
        self._rules = rules
        self._hooks = hooks
        self._lock = threading.Lock()
        self._link: ArrayLink | None = None
        self._structure: Any = None

    # What the user calls

    def init(self, params: Any) -> TransformationState:
        leaves, structure = self._flat(params)
        if any(isinstance(leaf, self._jax.core.Tracer) for leaf in leaves.values()):
            raise TypeError(
                "[jax] init: got parameters that are being traced: call init outside of jit; "
                "update may be called inside"
            )
        for path, leaf in leaves.items():
            if leaf.dtype == np.float64 and not self._jax.config.jax_enable_x64:
                raise TypeError(
                    f"[jax] init: {path}: got float64, which JAX makes float32 of: give "
                    "float32, or set jax_enable_x64"
                )
        arrays = {path: np.array(leaf) for path, leaf in leaves.items()}
        with self._lock:
            if self._link is None:
                self._set_up(arrays, structure)
            else:
                self._same("init", "parameters", arrays, structure)
            self._fill(arrays)
            allocate(self._optimizer)
            state: TransformationState = self._jax.device_put(read(self._optimizer))
        return state

    def update(
        self, grads: Any, state: TransformationState, params: Any = None
    ) -> tuple[Any, TransformationState]:
        jax = self._jax
        if self._link is None:
            raise RuntimeError("[jax] update: call init first")
        if params is None:
            raise ValueError("[jax] update: params are needed: call update(grads, state, params)")
        if not isinstance(state, TransformationState):
            raise TypeError(
                f"[jax] update: state: got {type(state).__name__}, expected the "
                "TransformationState that init or the update before gave"
            )
        flat, structure = self._flat(params)
        self._same("update", "parameters", flat, structure)
        gradients, structure = self._flat(grads)
        self._same("update", "gradients", gradients, structure)
        leaves, form = jax.tree_util.tree_flatten((gradients, state, flat))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            updates, after = self._call_back(leaves, form, (flat, state))
        else:
            updates, after = jax.device_put(self._run(gradients, state, flat))
        tree = jax.tree_util.tree_unflatten(self._structure, [updates[path] for path in flat])
        return tree, after

    def _call_back(self, leaves: Sequence[Any], form: Any, like: Any) -> Any:
        """Run on the host once the arrays are there: packed, since each array costs."""
        jax = self._jax
        tree = jax.tree_util
        packing = Packing(leaves)

        def run(*packed: Any) -> Any:
            arrays = packing.unpack([np.asarray(each) for each in packed])
            return self._run(*tree.tree_unflatten(form, arrays))

        expected = tree.tree_map(_shape_of(jax), like)

        def copying(*leaves: Any) -> Any:
            return jax.pure_callback(run, expected, *packing.pack(jax.numpy, leaves))

        if not is_usable():
            return copying(*leaves)
        results, results_form = tree.tree_flatten(expected)

        def fill(given: list[np.ndarray], wanted: list[np.ndarray]) -> None:
            gradients, state, params = tree.tree_unflatten(form, given)
            self._run(gradients, state, params, tree.tree_unflatten(results_form, wanted))

        call = Call(fill, leaves, results)

        def in_place(*leaves: Any) -> Any:
            return tree.tree_unflatten(results_form, call.trace(leaves))

        return jax.lax.platform_dependent(*leaves, cpu=in_place, default=copying)

    # On the host

    def _run(
        self, gradients: Any, state: Any, params: Any, out: Any = None
    ) -> tuple[dict[str, np.ndarray], Any]:
        """Update once. All that is given is read, all that is returned is new, or in `out`."""
        into, state_into = (None, None) if out is None else out
        optimizer = self._optimizer
        before = {path: np.asarray(leaf) for path, leaf in params.items()}
        given = {path: np.asarray(leaf) for path, leaf in gradients.items()}
        if out is None:  # a program that computes it may be waiting for the lock
            state = self._jax.tree_util.tree_map(np.asarray, state)
        assert self._link is not None
        with self._lock:
            self._fill(before)
            own = write(optimizer, state)
            optimizer.update(_nested(given))
            updates = {
                path: np.subtract(self._link.arrays[path], old, out=into and into[path])
                for path, old in before.items()
            }
            return updates, read(optimizer, own, state_into)

    def _fill(self, arrays: Mapping[str, Any]) -> None:
        assert self._link is not None
        for path, array in self._link.arrays.items():
            array[...] = arrays[path]

    def _set_up(self, arrays: dict[str, np.ndarray], structure: Any) -> None:
        optimizer = self._optimizer
        link = ArrayLink(_nested(arrays), "jax")
        optimizer.setup(link)
        try:
            for hook in self._hooks:
                optimizer.add_hook(hook)
            self._apply_rules(optimizer.rules)
            if optimizer._loss_scale is not None:
                raise TypeError(
                    "[jax] loss_scaling: scale the loss yourself, and unscale gradients"
                )
            allocate(optimizer)
            if optimizer._sharp:
                raise TypeError(
                    "[jax] SAM computes gradients twice, which an update that is given them cannot"
                )
        except BaseException:
            optimizer.target = optimizer._hookable = None
            raise
        self._link = link
        self._structure = structure
        self._expected = {path: (array.shape, array.dtype) for path, array in arrays.items()}

    def _apply_rules(self, rules: Selection) -> None:
        if self._rules is None:
            return
        if callable(self._rules):
            self._rules(rules)
            return
        for key, what in self._rules.items():
            chosen = rules[list(key) if isinstance(key, tuple) else key]
            if not isinstance(what, Mapping):
                chosen.use(what)
                continue
            for name, value in what.items():
                setattr(chosen if name in ATTRIBUTES else chosen.hyperparam, name, value)

    # Structures

    def _flat(self, tree: Any) -> tuple[dict[str, Any], Any]:
        pairs, structure = self._jax.tree_util.tree_flatten_with_path(tree)
        found: dict[str, Any] = {}
        for keys, leaf in pairs:
            path = "/" + "/".join(map(_key, keys)) if keys else "/params"
            dtype = getattr(leaf, "dtype", type(leaf).__name__)
            if not isinstance(dtype, np.dtype):  # one of JAX's own is that of random keys
                raise TypeError(f"[jax] {path}: got {dtype}, expected an array of numbers")
            if not all(path[1:].split("/")):
                raise ValueError(f"[jax] a key with an empty level: got {path!r}")
            if path in found:
                raise ValueError(f"[jax] {path}: two parameters have this path")
            found[path] = leaf
        return found, structure

    def _same(self, op: str, what: str, leaves: Mapping[str, Any], structure: Any) -> None:
        if structure != self._structure:
            paths = list(self._expected)
            for path in leaves:
                if path not in self._expected:
                    raise ValueError(
                        f"[jax] {op}: {what} of another structure: there is no {path!r}"
                        + nearest_paths(path, paths)
                    )
            lacking = [path for path in paths if path not in leaves]
            raise ValueError(
                f"[jax] {op}: {what} of another structure: got {structure}, expected "
                f"{self._structure}" + (f"; {', '.join(lacking)} are missing" if lacking else "")
            )
        for path, leaf in leaves.items():
            shape, dtype = self._expected[path]
            if np.shape(leaf) != shape:
                raise ValueError(
                    f"[jax] {op}: {path}: got shape {np.shape(leaf)}, expected {shape}"
                )
            if leaf.dtype != dtype:
                raise TypeError(f"[jax] {op}: {path}: got {leaf.dtype}, expected {dtype}")


def _key(key: Any) -> str:
    for name in ("key", "idx", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def _nested(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Names as ArrayLink takes them."""
    return {path[1:]: array for path, array in arrays.items()}


def _shape_of(jax: Any) -> Callable[[Any], Any]:
    return lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype)
