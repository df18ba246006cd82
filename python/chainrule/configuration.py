"""Settings of a run: ``config`` for this thread, ``global_config`` for all.

A value set on ``config`` holds for the current thread and hides the one on ``global_config``.
``using_config`` sets one for a block. The start values may come from the environment:
``CHAINRULE_DTYPE=float64`` sets ``config.dtype``; Chainer's ``CHAINER_DTYPE`` is read too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import types
from typing import Any, TextIO

import numpy as np

from chainrule import _core

__all__ = [
    "GlobalConfig",
    "LocalConfig",
    "config",
    "force_backprop_mode",
    "global_config",
    "no_backprop_mode",
    "using_config",
]


def _flag(text: str) -> bool:
    """Read a switch as the environment spells it: ``0``, ``false``, ``off``, ``no`` are off."""
    return text.strip().lower() not in ("", "0", "false", "off", "no")


def _dtype(text: str) -> Any:
    from chainrule import dtypes

    return dtypes.mixed16 if text == "mixed16" else np.dtype(text)


# name: (start value, how its text in the environment is read)
_DEFAULTS: dict[str, tuple[Any, Any]] = {
    "autotune": (False, _flag),
    "chainer_semantics": (False, _flag),
    "compute_mode": (None, str),
    "cudnn_deterministic": (False, _flag),
    "cudnn_fast_batch_normalization": (False, _flag),
    "debug": (False, _flag),
    "dtype": (np.dtype(np.float32), _dtype),
    "enable_backprop": (True, _flag),
    "in_recomputing": (False, None),
    "keep_graph_on_report": (False, _flag),
    "lazy_grad_sum": (False, _flag),
    "schedule_func": (None, None),
    "train": (True, _flag),
    "type_check": (True, _flag),
    "use_cudnn": ("auto", str),
    "use_cudnn_tensor_core": ("auto", str),
    "use_ideep": ("never", str),
    "use_static_graph": (True, None),
    "warn_nondeterministic": (False, _flag),
}


class GlobalConfig:
    """What holds for every thread that has no value of its own.

    Attributes:
        autotune: Let cuDNN choose the fastest algorithm.
        chainer_semantics: Do numerically what Chainer 7 does wherever chainrule differs: disabled
            parameters get gradients, a missing gradient counts as zero, masks are drawn from
            ``numpy.random``. Off by default, on under ``python -m chainrule run``.
        cudnn_deterministic: Use only deterministic algorithms of cuDNN.
        debug: Check forward results for NaN and labels for their range.
        dtype: Dtype of parameters and initial values where none is given.
        enable_backprop: Record operations for backward.
        keep_graph_on_report: Reported Variables keep their graph.
        lazy_grad_sum: Kept for scripts; sums of gradients are always fused.
        train: Training (dropout drops, batch normalization uses the batch) or test.
        type_check: Call ``check_type_forward`` of functions written in Python.
        use_cudnn: ``'always'``, ``'auto'`` or ``'never'``.
        use_cudnn_tensor_core: ``'always'``, ``'auto'`` or ``'never'``.
        use_ideep: Kept for scripts; oneDNN is always used.
        warn_nondeterministic: Warn where a result depends on the order of threads.
    """

    autotune: bool
    chainer_semantics: bool
    compute_mode: str | None
    cudnn_deterministic: bool
    cudnn_fast_batch_normalization: bool
    debug: bool
    dtype: Any
    in_recomputing: bool
    keep_graph_on_report: bool
    lazy_grad_sum: bool
    schedule_func: Any
    train: bool
    type_check: bool
    use_cudnn: str
    use_cudnn_tensor_core: str
    use_ideep: str
    use_static_graph: bool
    warn_nondeterministic: bool

    def __init__(self) -> None:
        for name, (default, parse) in _DEFAULTS.items():
            value = default
            for prefix in ("CHAINER_", "CHAINRULE_"):
                text = os.environ.get(prefix + name.upper())
                if text is not None and parse is not None:
                    value = parse(text)
            setattr(self, name, value)

    @property
    def enable_backprop(self) -> bool:
        """Whether threads without a value of their own record operations."""
        return bool(self.__dict__["enable_backprop"])

    @enable_backprop.setter
    def enable_backprop(self, enabled: bool) -> None:
        self.__dict__["enable_backprop"] = bool(enabled)
        _core.set_backprop_enabled_globally(bool(enabled))

    def show(self, file: TextIO | None = None) -> None:
        """Print all settings, one per line, names and values in two columns.

        Args:
            file: Where to print; standard output by default.
        """
        _show(vars(self), file)


class LocalConfig(threading.local):
    """Settings of the current thread; names without a value here are read from ``base``.

    Args:
        base: The :class:`GlobalConfig` behind it.
    """

    def __init__(self, base: GlobalConfig) -> None:
        # Straight into the instance's dict: attributes are the settings.
        self.__dict__["_base"] = base

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_base"], name)

    def __delattr__(self, name: str) -> None:
        if name == "enable_backprop":
            if self.__dict__.pop("_own_backprop", None) is None:
                raise AttributeError(name)
            _core.clear_backprop_enabled()
            return
        super().__delattr__(name)

    # The native core asks for this one at every operation, so it lives there.
    @property
    def enable_backprop(self) -> bool:
        """Whether this thread records operations for backward."""
        return _core.backprop_enabled()

    @enable_backprop.setter
    def enable_backprop(self, enabled: bool) -> None:
        self.__dict__["_own_backprop"] = True
        _core.set_backprop_enabled(bool(enabled))

    def _switch_backprop(self, enabled: bool) -> tuple[bool, bool]:
        """Switch recording; returns what `_restore_backprop` needs to undo it."""
        before = ("_own_backprop" in self.__dict__, _core.backprop_enabled())
        self.enable_backprop = enabled
        return before

    def _restore_backprop(self, own: bool, enabled: bool) -> None:
        if not own:
            del self.__dict__["_own_backprop"]
        # While backward runs, the native core holds a value of its own for this thread.
        if own or enabled != self._base.enable_backprop:
            _core.set_backprop_enabled(enabled)
        else:
            _core.clear_backprop_enabled()

    def show(self, file: TextIO | None = None) -> None:
        """Print all settings as this thread sees them, names and values in two columns.

        Args:
            file: Where to print; standard output by default.

        Example:
            >>> import chainrule
            >>> chainrule.config.show()  # doctest: +ELLIPSIS
            autotune                       False
            ...
            warn_nondeterministic          False
        """
        local = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        local["enable_backprop"] = self.enable_backprop
        _show({**vars(self._base), **local}, file)


def _show(settings: dict[str, Any], file: TextIO | None) -> None:
    width = max(len(name) for name in settings)
    for name in sorted(settings):
        print(f"{name:<{width}} {settings[name]}", file=file or sys.stdout)


#: Settings for all threads.
global_config = GlobalConfig()
#: Settings of the current thread, with ``global_config`` behind them.
config = LocalConfig(global_config)


class using_config(contextlib.ContextDecorator):
    """Set one name of ``config`` for a block, or for the calls of a decorated function.

    Args:
        name: The setting's name; a new name is allowed and is gone afterwards.
        value: Its value inside the block.
        config: The configuration to change; the current thread's by default.

    Example:
        >>> import chainrule
        >>> with chainrule.using_config("train", False):
        ...     chainrule.config.train
        False
        >>> chainrule.config.train
        True
    """

    def __init__(self, name: str, value: Any, config: LocalConfig | GlobalConfig = config) -> None:
        self._name = name
        self._value = value
        self._config = config
        self._saved: list[tuple[bool, Any]] = []

    def _recreate_cm(self) -> using_config:
        return type(self)(self._name, self._value, self._config)

    def __enter__(self) -> None:
        config, name = self._config, self._name
        if name == "enable_backprop" and isinstance(config, LocalConfig):
            self._saved.append(config._switch_backprop(bool(self._value)))
            return
        self._saved.append((name in vars(config), vars(config).get(name)))
        setattr(config, name, self._value)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        config, name = self._config, self._name
        had_value, value = self._saved.pop()
        if name == "enable_backprop" and isinstance(config, LocalConfig):
            config._restore_backprop(had_value, value)
        elif had_value:
            setattr(config, name, value)
        else:
            delattr(config, name)


def no_backprop_mode() -> using_config:
    """Record nothing inside the block: results have no graph behind them and need less memory.

    Returns:
        A context manager, usable as a decorator too.

    Example:
        >>> import chainrule, numpy
        >>> x = chainrule.Variable(numpy.ones(2, numpy.float32))
        >>> with chainrule.no_backprop_mode():
        ...     y = x * 2
        >>> y.creator is None
        True
    """
    return using_config("enable_backprop", False)


def force_backprop_mode() -> using_config:
    """Record operations inside the block although recording was switched off outside it.

    Returns:
        A context manager, usable as a decorator too.
    """
    return using_config("enable_backprop", True)
