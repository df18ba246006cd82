"""Facts about optimizers, update rules and hooks, for ``behaviour.json``."""

import warnings

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
from chainer import optimizer, optimizer_hooks, optimizers
from golden_facts_objects import Outer, ones


def set_grads(link, value=1.0):
    for param in link.params():
        param.grad = np.full_like(param.array, value)


def fact_hyperparameter():
    sgd = optimizers.SGD(lr=0.1).setup(Outer())
    rule = sgd.target.w.update_rule
    facts = {"repr_optimizer": repr(sgd.hyperparam), "repr_rule": repr(rule.hyperparam)}
    rule.hyperparam.lr = 10.0
    rule.hyperparam.mistyped = 3
    facts["repr_overridden"] = repr(rule.hyperparam)
    facts["get_dict_overridden"] = rule.hyperparam.get_dict()
    facts["parent_is_optimizers"] = rule.hyperparam.parent is sgd.hyperparam
    sgd.lr = 0.5
    facts["overridden_ignores_optimizer"] = rule.hyperparam.lr
    del rule.hyperparam.lr
    facts["deleted_override_inherits_again"] = rule.hyperparam.lr
    facts["repr_adam"] = repr(optimizers.Adam().hyperparam)
    facts["repr_empty"] = repr(optimizer.Hyperparameter())
    names = (
        *("SGD", "MomentumSGD", "CorrectedMomentumSGD", "NesterovAG", "AdaGrad", "AdaDelta"),
        *("Adam", "AdamW", "AMSGrad", "AdaBound", "AMSBound"),
        *("RMSprop", "RMSpropGraves", "SMORMS3", "MSVAG"),
    )
    facts["defaults"] = {n: getattr(optimizers, n)().hyperparam.get_dict() for n in names}
    facts["rule_class_names"] = {
        n: type(getattr(optimizers, n)().create_update_rule()).__name__ for n in names
    }
    return facts


def fact_counters():
    net = Outer()
    sgd = optimizers.MomentumSGD().setup(net)
    facts = {"t_after_setup": sgd.t, "state_before_first_update": net.w.update_rule.state}
    net.w.update_rule.enabled = False
    for _ in range(3):
        set_grads(net)
        sgd.update()
    net.w.update_rule.enabled = True
    set_grads(net)
    sgd.update()
    facts["t_optimizer"] = sgd.t
    facts["t_rule_always_on"] = net.tail.W.update_rule.t
    facts["t_rule_off_for_three_steps"] = net.w.update_rule.t
    facts["epoch"] = sgd.epoch
    sgd.new_epoch()
    facts["epoch_after_new_epoch"] = sgd.epoch
    sgd.setup(net)
    facts["t_after_second_setup"] = sgd.t
    facts["epoch_after_second_setup"] = sgd.epoch
    facts["rule_t_after_second_setup"] = net.tail.W.update_rule.t
    net.disable_update()
    sgd.setup(net)
    facts["disabled_before_second_setup_is_enabled"] = net.w.update_rule.enabled
    return facts


def fact_gradients():
    """What becomes of ``param.grad`` around ``optimizer.update()``."""
    link = L.Linear(2, 1, initialW=1.0)
    sgd = optimizers.SGD(lr=0.5).setup(link)
    loss = F.sum(link(ones(1, 2)))
    link.cleargrads()
    facts = {"after_cleargrads": link.W.grad}
    loss.backward()
    grad = link.W.grad
    array = link.W.array
    sgd.update()
    facts["kept_after_update"] = link.W.grad.tolist()
    facts["same_grad_object"] = link.W.grad is grad
    facts["array_updated_in_place"] = link.W.array is array
    F.sum(link(ones(1, 2))).backward()
    facts["accumulates_without_cleargrads"] = link.W.grad.tolist()
    facts["accumulation_makes_a_new_array"] = link.W.grad is not grad
    link.cleargrads()
    sgd.update()
    facts["none_becomes_zeros_in_update"] = link.W.grad.tolist()
    facts["t_counts_an_update_without_gradient"] = link.W.update_rule.t

    link.disable_update()
    link.cleargrads()
    F.sum(link(ones(1, 2))).backward()
    facts["disabled_still_gets_a_gradient"] = link.W.grad.tolist()
    link.cleargrads()
    sgd.update()
    facts["disabled_none_becomes_zeros"] = link.W.grad.tolist()

    momentum = optimizers.MomentumSGD(lr=0.5).setup(link)
    before = link.W.array.copy()
    set_grads(link)
    momentum.update()
    moved = link.W.array.copy()
    link.cleargrads()
    momentum.update()
    facts["momentum_steps"] = [(moved - before).tolist(), (link.W.array - moved).tolist()]

    lossfun_calls = []
    momentum.update(lambda x: (lossfun_calls.append(1), F.sum(link(x)))[1], ones(1, 2))
    facts["update_lossfun_calls"] = len(lossfun_calls)
    facts["update_lossfun_grad"] = link.W.grad.tolist()
    x = chainer.Variable(ones(2, 3))
    y = F.sum(x * 2)
    y.backward()
    facts["intermediate_grad_dropped"] = y.creator.inputs[0].grad is None
    facts["loss_grad_after_backward"] = None if y.grad is None else y.grad.tolist()
    unused = L.Linear(None, 2)
    sgd = optimizers.SGD().setup(unused)
    unused.cleargrads()
    sgd.update()
    facts["uninitialized_after_update"] = {
        "array": unused.W.array,
        "t": unused.W.update_rule.t,
        "state": unused.W.update_rule.state,
    }
    return facts


def fact_hooks():
    """In which order and with what everything is called."""
    net = chainer.Link()
    with net.init_scope():
        net.b = chainer.Parameter(np.zeros(1, np.float32))
        net.a = chainer.Parameter(np.zeros(1, np.float32))
    sgd = optimizers.SGD(lr=1.0).setup(net)
    calls = []

    def once(label):
        return lambda opt: calls.append([label, opt.t, float(opt.target.a.array[0])])

    def each(label):
        def hook(rule, param):
            calls.append([label, param.name, rule.t, float(param.array[0])])

        return hook

    def for_each(label):
        hook = each(label)
        hook.call_for_each_param = True
        return hook

    sgd.add_hook(once("optimizer post"), "1", "post")
    sgd.add_hook(once("optimizer pre"), "2")
    sgd.add_hook(for_each("optimizer pre, each"), "3")
    for name in ("a", "b"):
        getattr(net, name).update_rule.add_hook(each("rule post"), "1", "post")
        getattr(net, name).update_rule.add_hook(each("rule pre"), "2", "pre")
    set_grads(net)
    sgd.update()
    facts = {"calls_on_first_update": calls.copy()}
    calls.clear()
    net.a.update_rule.enabled = False
    set_grads(net)
    sgd.update()
    facts["calls_with_a_disabled"] = calls.copy()

    facts["names_and_timings"] = {
        name: [
            getattr(optimizer_hooks, name).name,
            getattr(optimizer_hooks, name).timing,
            getattr(getattr(optimizer_hooks, name), "call_for_each_param", False),
        ]
        for name in (
            *("WeightDecay", "Lasso", "GradientClipping", "GradientHardClipping"),
            *("GradientLARS", "GradientNoise"),
        )
    }
    net = L.Linear(2, 1, initialW=2.0)
    sgd = optimizers.SGD(lr=1.0).setup(net)
    sgd.add_hook(optimizer_hooks.WeightDecay(0.5))
    net.W.update_rule.enabled = False
    set_grads(net)
    sgd.update()
    facts["optimizer_hook_changes_gradient_of_disabled"] = net.W.grad.tolist()
    net.cleargrads()
    net.b.update_rule.enabled = False
    net.W.update_rule.enabled = True
    sgd.update()
    facts["weight_decay_moves_parameter_without_gradient"] = net.W.array.tolist()
    sgd.setup(net)
    set_grads(net, 3.0)
    net.b.update_rule.enabled = False
    sgd.add_hook(optimizer_hooks.GradientClipping(1.0))
    sgd.update()
    facts["clipping_norm_includes_disabled"] = [net.W.grad.tolist(), net.b.grad.tolist()]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hook = once("odd")
        hook.timing = "odd"
        sgd.add_hook(hook, "odd")
    facts["odd_timing_on_optimizer_warns"] = [str(w.message) for w in caught]
    return facts
