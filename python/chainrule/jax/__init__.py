"""Update rules for JAX: a pair of ``init`` and ``update`` as optax has them.

``import chainrule`` does not import JAX; :func:`transformation` does when it is called.
"""

from chainrule.jax._state import TransformationState
from chainrule.jax._transformation import Transformation, transformation
