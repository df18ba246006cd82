"""What an update rule can do, on a network that learns XOR.

python examples/update_rules/rules.py
"""

import numpy as np

import chainrule
import chainrule.functions as F
import chainrule.links as L
from chainrule import optimizer_hooks, optimizers


class MLP(chainrule.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.l1 = L.Linear(2, 8)
            self.l2 = L.Linear(8, 8)
            self.l3 = L.Linear(8, 1)

    def forward(self, x):
        return self.l3(F.tanh(self.l2(F.tanh(self.l1(x)))))


class SignRule(chainrule.UpdateRule):
    """A rule of our own: a step of fixed length against the gradient's sign."""

    def update_core_cpu(self, param):
        param.array[...] -= self.hyperparam.lr * np.sign(param.grad)


def train(steps):
    for _ in range(steps):
        optimizer.update(lambda: F.sigmoid_cross_entropy(net(x), t))
    loss = float(F.sigmoid_cross_entropy(net(x), t).array)
    print(f"loss after {optimizer.t} steps: {loss:.4f}")


np.random.seed(0)
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
t = np.array([[0], [1], [1], [0]], dtype=np.int32)
net = MLP()

# Every parameter gets a rule; its values are the optimizer's as long as it has none of its own.
optimizer = optimizers.SGD(lr=0.1).setup(net)
net.l3.W.update_rule.hyperparam.lr = 0.02
optimizer.lr = 0.2
print("rates of l1.W and l3.W:", *(p.update_rule.hyperparam.lr for p in (net.l1.W, net.l3.W)))

# One weight decays, another's gradient is kept small. `optimizer.add_hook` is for all.
net.l1.W.update_rule.add_hook(optimizer_hooks.WeightDecay(1e-4))
net.l3.W.update_rule.add_hook(optimizer_hooks.GradientHardClipping(-1.0, 1.0))

# Other algorithms, in the same update. Rules are selected by path, here all of one layer.
optimizer.rules["/l2/*"].use(optimizers.Adam(alpha=0.01))
net.l3.b.update_rule = SignRule()
net.l3.b.update_rule.hyperparam.lr = 0.001

print(optimizer.rules)

# A layer that is off costs nothing: no gradient is computed for it.
net.l1.disable_update()
train(100)
print("gradient of l1.W while it is off:", net.l1.W.grad)

net.l1.enable_update()
train(200)
print("answers:", F.sigmoid(net(x)).array.ravel().round(3))
