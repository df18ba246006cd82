"""One step of gradient descent with a rule per parameter: a program for Chainer, unchanged.

    python -m chainrule run examples/update_rules/xor.py

The first layer's weight learns at a hundred times the others' rate, its bias not at all.
"""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer import optimizers


class MLP(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(2, 2)
            self.l2 = L.Linear(2, 1)

    def __call__(self, x):
        return self.l2(self.l1(x))


def show(net):
    for path, param in sorted(net.namedparams()):
        print(path, param.data, sep="\n")


x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
t = np.array([[0], [1], [1], [0]], dtype=np.int32)

net = MLP()
net.l1.W.data[...] = [[0.0049778, -0.16282777], [-0.92988533, 0.2546134]]
net.l2.W.data[...] = [[-0.45893994, -1.21258962]]

optimizer = optimizers.SGD(lr=0.1)
optimizer.setup(net)
net.l1.W.update_rule.hyperparam.lr = 10.0
net.l1.b.update_rule.enabled = False

print("--- before")
show(net)

loss = F.sigmoid_cross_entropy(net(x), t)
net.cleargrads()
loss.backward()
optimizer.update()

print("--- after one step")
show(net)
