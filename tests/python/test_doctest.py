"""The examples in docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import chainrule

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(chainrule.__path__, "chainrule.")
    if not module.name.endswith(("__main__", "._core", ".libchainrule", ".libchainrule_cuda"))
)


# What the examples of these packages need.
NEEDED = {"chainrule.jax": "jax", "chainrule.torch": "torch.nn"}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    for package, needed in NEEDED.items():
        if name == package or name.startswith(package + "."):
            pytest.importorskip(needed, reason=f"the examples of {package} are for {needed}")
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize(
    "name", [m for m in MODULES if m.startswith("chainrule.functions.") and m.count(".") == 3]
)
def test_every_function_has_an_example(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=False)
    for test in finder.find(module):
        if test.name != name and "._" not in test.name:
            assert test.examples, test.name
            for part in ("Args:", "Returns:", "Example:"):
                assert part in test.docstring, f"{test.name}: no {part}"
