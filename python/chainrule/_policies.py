"""What an update rule does where things go wrong, and how much memory its states take."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule import _core

__all__ = ["Policies"]

_NATURAL = "natural"


class Policies(_core.UpdateRule):
    """The policies of an :class:`chainrule.UpdateRule`."""

    _state: Any

    @property
    def on_nonfinite(self) -> str:
        """What an update does where the gradient has an infinity or NaN.

        ``'ignore'`` (the default) updates all the same. ``'skip_param'`` leaves the parameter, its
        state and count alone, ``'skip_step'`` those of all parameters, and ``'raise'`` raises a
        ValueError that names the parameter. It is decided before anything is changed and before any
        hook runs, for rules in Python as for all others, at the cost of one look at the gradient;
        updates left out are counted in :attr:`skipped`.

        Example:
            >>> import chainrule, numpy
            >>> from chainrule.optimizers import SGD
            >>> link = chainrule.Link(w=1)
            >>> link.w.array[:] = 1
            >>> optimizer = SGD().setup(link)
            >>> link.w.update_rule.on_nonfinite = 'skip_param'
            >>> link.w.grad = numpy.array([numpy.nan], numpy.float32)
            >>> optimizer.update()
            >>> link.w.array, link.w.update_rule.skipped
            (array([1.], dtype=float32), 1)
        """
        return self._on_nonfinite

    @on_nonfinite.setter
    def on_nonfinite(self, policy: str) -> None:
        self._on_nonfinite = policy

    @property
    def missing_grad(self) -> str:
        """What an update does where there is no gradient.

        ``'skip'`` (the default) leaves the parameter alone: no decay, no momentum, no count.
        ``'zero'`` updates as if the gradient were zero, ``'raise'`` raises a ValueError that names
        the parameter.
        """
        return self._missing_grad

    @missing_grad.setter
    def missing_grad(self, policy: str) -> None:
        self._missing_grad = policy

    @property
    def state_dtype(self) -> str | None:
        """What states are stored as: ``'float32'``, ``'bfloat16'``, ``'int8'``, or None.

        None (the default) stands for the parameter's dtype, or float32 with
        :meth:`~chainrule.UpdateRule.use_fp32_update`. Computation does not change. Reduced states
        are rounded stochastically, so that running means keep moving: an element goes to the
        upper or the lower neighbour with probabilities that make the mean right. ``'int8'`` keeps
        a sign and 7 bits for each element, relative to a scale that 256 neighbours share, in steps
        that are fine near zero (a fourth root; an eighth root for squares). After many updates
        Adam's ``v`` has about 15 % of noise, its ``m`` about 3 %. ``state['m']`` then holds codes
        and ``state['m_scale']`` the scales; :meth:`decoded_state` gives numbers. States that are
        there already are converted at the next update. The states of rules for whole tensors stay
        full.

        Source:
            Dettmers et al., `8-bit Optimizers via Block-wise Quantization
            <https://arxiv.org/abs/2110.02861>`_, for the groups.
        """
        return None if self._state_dtype == _NATURAL else self._state_dtype

    @state_dtype.setter
    def state_dtype(self, dtype: Any) -> None:
        if dtype is not None and not isinstance(dtype, str):
            dtype = np.dtype(dtype).name
        self._state_dtype = _NATURAL if dtype is None else dtype
        self._draw_seed()

    @property
    def rounding(self) -> str:
        """How a float16 or bfloat16 parameter is rounded: ``'nearest'`` or ``'stochastic'``.

        Updates smaller than half a step of the parameter's dtype vanish in rounding to the nearest
        (``statistics['lost']`` counts them). Stochastic rounding keeps them on average, with no
        float32 copy. Random bits come from a seed drawn from ``numpy.random`` when this is set.

        Source:
            Gupta et al., `Deep Learning with Limited Numerical Precision
            <https://arxiv.org/abs/1502.02551>`_.
        """
        return "stochastic" if self._stochastic else "nearest"

    @rounding.setter
    def rounding(self, rounding: str) -> None:
        if rounding not in ("nearest", "stochastic"):
            raise ValueError(
                f"[rounding] no such choice: got {rounding!r}, expected 'nearest' or 'stochastic'"
            )
        self._stochastic = rounding == "stochastic"
        self._draw_seed()

    @property
    def fp32_update(self) -> bool:
        """Whether a half-precision parameter is updated through a copy in float32."""
        return self._fp32_update

    @fp32_update.setter
    def fp32_update(self, flag: bool) -> None:
        self._fp32_update = bool(flag)

    @property
    def seed(self) -> int:
        """Seed of the random bits of stochastic rounding; 0 before one is needed.

        The bits of an update are a function of the seed and of the rule's ``t``.
        """
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        if not hasattr(seed, "__index__"):
            raise TypeError(f"[seed] got {seed!r}, expected a whole number from 0 to 2**64 - 1")
        whole = operator.index(seed)
        if not 0 <= whole < 2**64:
            raise ValueError(f"[seed] out of range: got {seed}, expected 0 to 2**64 - 1")
        self._seed = whole

    def _draw_seed(self) -> None:
        random = self._stochastic or self._state_dtype in ("bfloat16", "int8")
        if random and self._seed == 0:
            self._seed = int(np.random.randint(1, 2**62, dtype=np.int64))

    def decoded_state(self, name: str) -> np.ndarray:
        """Copy a state as numbers, also where it is kept in 8 bits.

        Args:
            name: Name of the state.

        Returns:
            An array of the parameter's shape.

        Raises:
            KeyError: If there is no such state.
        """
        return self._decoded_state(name)

    def park(self, where: str = "host") -> None:
        """Free memory while the rule is off.

        Args:
            where: ``'host'`` moves the states of a parameter on a GPU to the host's memory; they
                move back at the first update after the rule is switched on. ``'drop'`` lets states
                and counts go; they start anew then.

        Raises:
            ValueError: If there is no such choice.
            RuntimeError: If the rule is on.
        """
        if where not in ("host", "drop"):
            raise ValueError(f"[park] no such choice: got {where!r}, expected 'host' or 'drop'")
        if self._enabled:
            raise RuntimeError("[park] the rule is on: set enabled = False first")
        if where == "host":
            self._move_states((1, 0))
        else:
            self._drop_states()
            self._state = None
