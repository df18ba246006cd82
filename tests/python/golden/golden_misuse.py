"""Error types and messages for common misuse, as part of ``behaviour.json``."""

import chainer
import chainer.functions as F
import chainer.links as L
import golden_snapshots
import numpy as np
from chainer import optimizer, optimizer_hooks, optimizers, serializers
from golden_facts_objects import anonymous, ones


def variable(*shape):
    return chainer.Variable(ones(*shape))


def misuse_linear_wrong_width():
    L.Linear(3, 2)(ones(4, 5))


def misuse_linear_wrong_dtype():
    L.Linear(3, 2)(ones(4, 3, dtype=np.float64))


def misuse_linear_integers():
    L.Linear(3, 2)(ones(4, 3, dtype=np.int32))


def misuse_linear_one_dimension():
    L.Linear(3, 2)(ones(3))


def misuse_add_shapes():
    variable(2, 3) + variable(4)


def misuse_matmul_shapes():
    F.matmul(variable(2, 3), variable(2, 3))


def misuse_concat_shapes():
    F.concat((variable(2, 3), variable(3, 3)), axis=1)


def misuse_reshape_size():
    F.reshape(variable(2, 3), (4, 2))


def misuse_get_item_out_of_range():
    F.get_item(variable(2, 3), 5)


def misuse_sum_axis_out_of_range():
    F.sum(variable(2, 3), axis=2)


def misuse_sum_duplicate_axis():
    F.sum(variable(2, 3), axis=(0, 0))


def misuse_sum_axis_type():
    F.sum(variable(2, 3), axis=1.0)


def misuse_softmax_cross_entropy_float_targets():
    F.softmax_cross_entropy(variable(2, 3), ones(2))


def misuse_softmax_cross_entropy_batch():
    F.softmax_cross_entropy(variable(2, 3), ones(3, dtype=np.int32))


def misuse_softmax_cross_entropy_label_too_big():
    F.softmax_cross_entropy(variable(2, 3), np.array([0, 3], np.int32))


def misuse_softmax_cross_entropy_label_too_big_debug():
    with chainer.using_config("debug", True):
        F.softmax_cross_entropy(variable(2, 3), np.array([0, 3], np.int32))


def misuse_softmax_cross_entropy_reduce():
    F.softmax_cross_entropy(variable(2, 3), np.array([0, 1], np.int32), reduce="sum")


def misuse_softmax_cross_entropy_class_weight_variable():
    weight = variable(3)
    F.softmax_cross_entropy(variable(2, 3), np.array([0, 1], np.int32), class_weight=weight)


def misuse_softmax_cross_entropy_twice():
    x = variable(2, 3)
    loss = F.softmax_cross_entropy(x, np.array([0, 1], np.int32))
    (grad,) = chainer.grad([loss], [x], enable_double_backprop=True)
    F.sum(grad).backward()


def misuse_sigmoid_cross_entropy_float_targets():
    F.sigmoid_cross_entropy(variable(2, 3), ones(2, 3))


def misuse_mean_squared_error_shapes():
    F.mean_squared_error(variable(2, 3), ones(3, 2))


def misuse_dropout_ratio_one():
    F.dropout(variable(2, 3), ratio=1.0)


def misuse_variable_from_list():
    chainer.Variable([1.0, 2.0])


def misuse_variable_hash():
    hash(variable(2))


def misuse_variable_truth():
    bool(variable(2))


def misuse_variable_numpy_array():
    """Works only because ``Variable`` has ``__len__`` and ``__getitem__``."""
    np.array(variable(2))


def misuse_variable_from_number():
    chainer.Variable(1.0)


def misuse_grad_wrong_shape():
    variable(2, 3).grad = ones(3, 2)


def misuse_grad_wrong_dtype():
    variable(2, 3).grad = ones(2, 3, dtype=np.float64)


def misuse_grad_not_an_array():
    variable(2, 3).grad = 1.0


def misuse_backward_without_grad_on_non_scalar():
    (variable(2, 3) * 2).backward()


def misuse_backward_with_wrong_grad_shape():
    y = variable(2, 3) * 2
    y.grad = ones(2)
    y.backward()


def misuse_backward_function_wrong_shape():
    class Wrong(chainer.FunctionNode):
        def forward(self, inputs):
            return (inputs[0] * 2,)

        def backward(self, indexes, grad_outputs):
            return (F.sum(grad_outputs[0]),)

    F.sum(Wrong().apply((variable(2, 3),))[0]).backward()


def misuse_backward_function_wrong_count():
    class Wrong(chainer.FunctionNode):
        def forward(self, inputs):
            return (inputs[0] * 2,)

        def backward(self, indexes, grad_outputs):
            return grad_outputs[0], grad_outputs[0]

    F.sum(Wrong().apply((variable(2, 3),))[0]).backward()


def misuse_forward_returns_no_tuple():
    class Wrong(chainer.FunctionNode):
        def forward(self, inputs):
            return inputs[0] * 2

    Wrong().apply((variable(2, 3),))


def misuse_nan_in_forward_debug():
    with chainer.using_config("debug", True), np.errstate(all="ignore"):
        F.log(chainer.Variable(-ones(2)))


def misuse_optimizer_setup_not_a_link():
    optimizers.SGD().setup(ones(2))


def misuse_optimizer_update_before_setup():
    optimizers.SGD().update()


def misuse_optimizer_update_with_uninitialized_uncleared():
    optimizers.SGD().setup(L.Linear(None, 2)).update()


def misuse_optimizer_add_hook_before_setup():
    optimizers.SGD().add_hook(optimizer_hooks.WeightDecay(0.1))


def misuse_optimizer_unknown_argument():
    optimizers.SGD(learning_rate=0.1)


def misuse_hyperparameter_unknown_read():
    return optimizers.SGD().setup(L.Linear(2, 2)).target.W.update_rule.hyperparam.lrr


def misuse_hyperparameter_unknown_write():
    """Silently kept."""
    optimizers.SGD().setup(L.Linear(2, 2)).target.W.update_rule.hyperparam.lrr = 1


def misuse_hook_same_name():
    sgd = optimizers.SGD().setup(L.Linear(2, 2))
    sgd.add_hook(optimizer_hooks.WeightDecay(0.1))
    sgd.add_hook(optimizer_hooks.WeightDecay(0.2))


def misuse_hook_same_name_on_rule():
    rule = optimizers.SGD().setup(L.Linear(2, 2)).target.W.update_rule
    rule.add_hook(optimizer_hooks.Lasso(0.1))
    rule.add_hook(optimizer_hooks.Lasso(0.1))


def misuse_hook_without_name():
    class Hook:
        def __call__(self, opt):
            pass

    optimizers.SGD().setup(L.Linear(2, 2)).add_hook(Hook())


def misuse_hook_not_callable():
    optimizers.SGD().setup(L.Linear(2, 2)).add_hook("decay")


def misuse_hook_timing():
    optimizers.SGD().setup(L.Linear(2, 2)).add_hook(lambda opt: None, "f", timing="later")


def misuse_hook_remove_unknown():
    optimizers.SGD().setup(L.Linear(2, 2)).remove_hook("WeightDecay")


def misuse_gradient_clipping_on_rule():
    net = L.Linear(2, 2)
    sgd = optimizers.SGD().setup(net)
    net.W.update_rule.add_hook(optimizer_hooks.GradientClipping(1.0))
    net.cleargrads()
    sgd.update()


def misuse_update_rule_without_update_core():
    class Rule(optimizer.UpdateRule):
        pass

    net = L.Linear(2, 2)
    sgd = optimizers.SGD().setup(net)
    net.W.update_rule = Rule()
    sgd.update()


def misuse_adam_alpha_t_before_first_step():
    return optimizers.Adam().setup(L.Linear(2, 2)).alpha_t


def misuse_rmsprop_float16_eps():
    net = L.Linear(2, 2)
    net.W.array = net.W.array.astype(np.float16)
    sgd = optimizers.RMSprop().setup(net)
    net.cleargrads()
    net.W.update_rule.update(net.W)
    net.W.grad = np.zeros_like(net.W.array)
    sgd.update()


def misuse_loss_scale_negative():
    optimizers.SGD().loss_scaling(scale=-1)


def misuse_new_epoch_twice():
    sgd = optimizers.SGD().setup(L.Linear(2, 2))
    sgd.use_auto_new_epoch = True
    sgd.new_epoch()


def misuse_param_outside_init_scope():
    """Silently not registered."""
    link = chainer.Link()
    link.W = chainer.Parameter(ones(2))
    assert not list(link.params())


def misuse_add_link_same_name():
    chain = chainer.Chain()
    chain.add_link("l", L.Linear(2, 2))
    chain.add_link("l", L.Linear(2, 2))


def misuse_add_link_not_a_link():
    chainer.Chain().add_link("l", F.relu)


def misuse_add_persistent_same_name():
    link = chainer.Link()
    link.add_persistent("p", 1)
    link.add_persistent("p", 2)


def misuse_chain_missing_child():
    return chainer.Chain()["missing"]


def misuse_chain_without_forward():
    chainer.Chain()(ones(2))


def misuse_sequential_not_callable():
    chainer.Sequential(3)


def misuse_uninitialized_array():
    return L.Linear(None, 2).W.shape


def misuse_load_missing_key():
    name = str(golden_snapshots.FOLDER / "mlp.npz")
    serializers.load_npz(name, L.Linear(3, 4))


def misuse_load_wrong_shape():
    name = str(golden_snapshots.FOLDER / "mlp.npz")
    serializers.load_npz(name, L.Linear(3, 5), path="l1/")


def misuse_initializer_unknown():
    L.Linear(3, 2, initialW="glorot")


def misuse_initializer_array_shape():
    L.Linear(3, 2, initialW=ones(3, 2))


def misuse_orthogonal_mode():
    chainer.initializers.Orthogonal(mode="tall")


def misuse_initializer_fan_option():
    np.random.seed(0)
    L.Linear(3, 2, initialW=chainer.initializers.HeNormal(fan_option="fan_avg"))


def misuse_config_unknown():
    return chainer.config.trian


def fact_errors():
    """misuse -> [error type, its bases, message], or "no error"."""
    facts = {}
    for name, function in sorted(globals().items()):
        if not name.startswith("misuse_"):
            continue
        try:
            function()
        except Exception as error:  # whichever it is, it is the fact
            bases = [base.__name__ for base in type(error).__mro__[1:-2]]
            facts[name[len("misuse_") :]] = [type(error).__name__, bases, anonymous(str(error))]
        else:
            facts[name[len("misuse_") :]] = "no error"
    return facts
