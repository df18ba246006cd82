"""Saving and loading of links, optimizers and whatever has a method ``serialize``."""

from chainrule.serializers.npz import (
    DictionarySerializer,
    LoadReport,
    NpzDeserializer,
    load_npz,
    save_npz,
)
