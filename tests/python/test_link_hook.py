import threading

import numpy as np
import pytest

import chainrule
import chainrule.links as L

X = np.ones((1, 2), np.float32)


class Log(chainrule.LinkHook):
    name = "Log"

    def __init__(self):
        self.calls = []

    def added(self, link):
        self.calls.append(("added", link))

    def deleted(self, link):
        self.calls.append(("deleted", link))

    def forward_preprocess(self, args):
        self.calls.append(("before", args.link, args.forward_name, len(args.args), args.kwargs))

    def forward_postprocess(self, args):
        self.calls.append(("after", args.link, args.out.shape))


def test_hook_of_one_link():
    link, other, hook = L.Linear(2, 3), L.Linear(2, 3), Log()
    assert link.add_hook(hook) is link
    assert link.local_link_hooks == {"Log": hook}
    link(X, n_batch_axes=1)
    other(X)
    link.delete_hook("Log")
    link(X)
    assert hook.calls == [
        ("added", link),
        ("before", link, "forward", 1, {"n_batch_axes": 1}),
        ("after", link, (1, 3)),
        ("deleted", link),
    ]


def test_hook_of_a_block():
    hook = Log()
    model = chainrule.Sequential(L.Linear(2, 3), L.Linear(3, 1))
    with hook:
        model(X)
        thread = threading.Thread(target=lambda: model(X))
        thread.start()
        thread.join()
    model(X)
    called = [call[1] for call in hook.calls if call[0] == "before"]
    assert called == [model, model[0], model[1]]
    assert [hook.calls[0], hook.calls[-1]] == [("added", None), ("deleted", None)]


def test_misuse():
    link = L.Linear(2, 3)
    with pytest.raises(TypeError, match="got function, expected a LinkHook"):
        link.add_hook(lambda: None)
    link.add_hook(Log())
    with pytest.raises(KeyError, match="Log already exists"):
        link.add_hook(Log())
    link.add_hook(Log(), name="another")
    with pytest.raises(KeyError, match="nothing"):
        link.delete_hook("nothing")
    with Log(), pytest.raises(KeyError, match="'Log' is active already"), Log():
        pass
