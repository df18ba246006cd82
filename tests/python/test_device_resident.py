import numpy as np

import chainrule
from chainrule.device_resident import DeviceResident, DeviceResidentsVisitor


class Count(DeviceResidentsVisitor):
    def __init__(self):
        self.met = []

    def visit_device_resident(self, device_resident):
        self.met.append(type(device_resident).__name__)

    def visit_variable(self, param):
        self.met.append(param.name)

    def visit_array(self, arr):
        self.met.append("array")
        return arr + 1


def test_visitors_meet_everything():
    inner = chainrule.Link(w=(2,))
    inner.add_persistent("mean", np.zeros(2))
    inner.add_persistent("number", 3)
    tree = chainrule.Chain(inner=inner)
    visitor = Count()
    tree.device_resident_accept(visitor)
    assert visitor.met == ["Chain", "Link", "w", "array"]
    assert inner.mean.tolist() == [1, 1]


def test_what_holds_arrays_can_be_moved():
    class Holder(DeviceResident):
        def __init__(self):
            self.array = np.ones(2)

        def device_resident_accept(self, visitor):
            super().device_resident_accept(visitor)
            self.array = visitor.visit_array(self.array)

    holder = Holder()
    array = holder.array
    assert holder.to_cpu() is holder
    assert holder.array is array
    assert holder.xp is np
    assert holder.device.name == "@numpy"
