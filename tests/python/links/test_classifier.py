import numpy as np
import pytest

import chainrule
import chainrule.functions as F
import chainrule.links as L

X, T = np.ones((2, 3), np.float32), np.zeros(2, np.int32)


def classifier(**kwargs):
    predictor = L.Linear(3, 2, initialW=np.array([[1, 1, 1], [0, 0, 0]], np.float32))
    return L.Classifier(predictor, **kwargs)


def test_loss_and_accuracy_are_reported():
    model = classifier()
    reporter, observation = chainrule.Reporter(), {}
    reporter.add_observer("main", model)
    with reporter.scope(observation):
        loss = model(X, T)
    assert loss is model.loss
    assert float(loss.array) == pytest.approx(np.log1p(np.exp(-3)), rel=1e-5)
    assert float(model.accuracy.array) == 1
    assert model.y.array.tolist() == [[3, 0], [3, 0]]
    assert {k: float(v.array) for k, v in observation.items()} == {
        "main/loss": float(loss.array),
        "main/accuracy": 1.0,
    }
    loss.backward()
    assert model.predictor.W.grad.shape == (2, 3)


def test_other_functions():
    model = classifier(lossfun=lambda y, t: F.sum(y), accfun=lambda y, t: 7)
    assert model(X, T).array == 6
    assert model.accuracy == 7
    model.compute_accuracy = False
    model(X, T)
    assert model.accuracy is None


@pytest.mark.parametrize(
    ("key", "args", "kwargs"),
    [
        (-1, (X, T), {}),
        (0, (T, X), {}),
        (-2, (T, X), {}),
        ("t", (X,), {"t": T}),
        ("t", (), {"x": X, "t": T}),
    ],
)
def test_where_the_label_is(key, args, kwargs):
    model = classifier(label_key=key)
    assert float(model(*args, **kwargs).array) == pytest.approx(np.log1p(np.exp(-3)), rel=1e-5)


def test_misuse():
    with pytest.raises(ValueError, match='Label key "t" is not found'):
        classifier(label_key="t")(X)
    with pytest.raises(ValueError, match="Label key 5 is out of bounds"):
        classifier(label_key=5)(X, T)
    with pytest.raises(TypeError, match="label_key must be int or str, but is <class 'float'>"):
        classifier(label_key=1.5)


def test_only_the_predictor_is_a_child():
    model = classifier()
    model(X, T)
    assert [path for path, _ in model.namedparams()] == ["/predictor/W", "/predictor/b"]
    model.loss = model.y = model.accuracy = None
