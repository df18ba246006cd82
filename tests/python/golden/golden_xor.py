"""The XOR example: a 2-2-1 network without a hidden activation -> ``xor.npz``.

One parameter has a learning rate of its own and one is frozen.  ``step<n>/<path>`` are
the parameters after n steps (0 is the start), ``loss`` the loss before each step; the
hidden units are plain ``self.l2(self.l1(x))`` and the loss is ``sigmoid_cross_entropy``.
"""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer import optimizers

L1_W = [[0.0049778, -0.16282777], [-0.92988533, 0.2546134]]
L2_W = [[-0.45893994, -1.21258962]]
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
T = np.array([[0], [1], [1], [0]], np.int32)
#: What the article prints after the first step; checked while the file is made.
PRINTED = {
    "/l1/W": [[0.53748596, 0.01032409], [0.47708291, 0.71210718]],
    "/l1/b": [0, 0],
    "/l2/W": [[-0.45838338, -1.20276082]],
    "/l2/b": [-0.01014706],
}
STEPS = (0, 1, 2, 10, 50)


class Net(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(2, 2, initialW=np.array(L1_W, np.float32))
            self.l2 = L.Linear(2, 1, initialW=np.array(L2_W, np.float32))

    def forward(self, x):
        return self.l2(self.l1(x))


def make():
    """All arrays of ``xor.npz``."""
    net = Net()
    optimizer = optimizers.SGD(lr=0.1).setup(net)
    net.l1.W.update_rule.hyperparam.lr = 10.0
    net.l1.b.update_rule.enabled = False

    out = {"x": X, "t": T}
    losses = []
    for step in range(max(STEPS) + 1):
        if step > 0:
            loss = F.sigmoid_cross_entropy(net(X), T)
            losses.append(loss.array)
            net.cleargrads()
            loss.backward()
            if step == 1:
                for path, param in net.namedparams():
                    out[f"step1/grad{path}"] = param.grad.copy()
            optimizer.update()
        if step in STEPS:
            for path, param in net.namedparams():
                out[f"step{step}{path}"] = param.array.copy()
    out["loss"] = np.array(losses)
    for path, printed in PRINTED.items():
        np.testing.assert_allclose(out[f"step1{path}"], printed, rtol=0, atol=1e-7)
    return out
