import pytest

from chainrule import AbstractSerializer, Deserializer, Serializer


def test_save_and_load_hand_themselves_over():
    class Thing:
        def serialize(self, serializer):
            self.met = serializer

    thing = Thing()
    serializer, deserializer = Serializer(), Deserializer()
    serializer.save(thing)
    assert thing.met is serializer
    deserializer.load(thing)
    assert thing.met is deserializer


def test_the_base_stores_nothing():
    with pytest.raises(NotImplementedError):
        AbstractSerializer()("x", 1)
    with pytest.raises(NotImplementedError):
        AbstractSerializer()["x"]
