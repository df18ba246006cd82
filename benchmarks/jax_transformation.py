"""Updates through chainrule.jax, under jit, against optax's.

What JAX does for every array that passes to the host costs more than the update of a small one.
"""

from __future__ import annotations

import jax.numpy as jnp
import optax

import chainrule.jax
import common
import jax
from chainrule import optimizers


def update(transformation, count: int, shape: tuple[int, ...]):
    """An update of `count` arrays, compiled."""
    params = {f"w{i}": jnp.full(shape, 0.02) for i in range(count)}
    grads = {name: jnp.ones(shape) for name in params}
    state = transformation.init(params)
    compiled = jax.jit(transformation.update)
    return lambda: jax.block_until_ready(compiled(grads, state, params))


def benchmark():
    for title, count, shape in (
        ("161 small arrays", 161, (16, 16)),
        ("one of 16 million", 1, (4096, 4096)),
    ):
        common.compare(
            f"Adam, {title}, under jit",
            {
                "chainrule.jax": update(
                    chainrule.jax.transformation(optimizers.Adam()), count, shape
                ),
                "optax": update(optax.adam(1e-3), count, shape),
            },
            seconds=2,
        )


if __name__ == "__main__":
    common.main(benchmark, __doc__)
