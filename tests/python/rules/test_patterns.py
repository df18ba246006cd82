"""The pattern language against an independent reading of it, and its errors."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.rules.patterns import compile_pattern, nearest_paths, suggestion, translate

NAMES = st.text("ab1.[]*?", min_size=1, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map(lambda names: "/" + "/".join(names))
LEVELS = st.one_of(
    st.just("**"),
    st.text("ab1.[]*?", min_size=1, max_size=4).filter(lambda level: "**" not in level),
)
PATTERNS = st.lists(LEVELS, min_size=1, max_size=5).map(lambda levels: "/" + "/".join(levels))


def fits(levels: list[str], names: list[str]) -> bool:
    """The definition, by recursion over levels; within a level the standard library decides."""
    if not levels:
        return not names
    first, *rest = levels
    if first == "**":
        least = 0 if rest else 1
        return any(fits(rest, names[n:]) for n in range(least, len(names) + 1))
    # fnmatch reads brackets as character classes: [[] is a bracket that stands for itself.
    level = first.replace("[", "[[]")
    return bool(names) and fnmatch.fnmatchcase(names[0], level) and fits(rest, names[1:])


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(PATTERNS, PATHS)
def test_patterns_mean_what_they_say(pattern, path):
    expected = fits(pattern[1:].split("/"), path[1:].split("/"))
    # A path describes itself, whatever it is made of.
    assert compile_pattern(pattern)(path) == (expected or pattern == path)


@settings(max_examples=300, deadline=None)
@given(PATHS, st.data())
def test_a_pattern_made_from_a_path_fits_it(path, data):
    levels: list[str] = []
    for name in path[1:].split("/"):
        kind = data.draw(st.sampled_from(["same", "star", "question", "tail", "any", "extra"]))
        if kind == "extra":
            levels += ["**", name]
        elif kind == "any":
            levels.append("**")
        elif kind == "tail":
            levels.append(re.sub(r"\*+", "*", name[:1] + "*"))
        else:
            levels.append({"same": name, "star": "*", "question": "?" * len(name)}[kind])
    pattern = "/" + "/".join(levels)
    if not any("**" in level and level != "**" for level in levels):
        assert compile_pattern(pattern)(path)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("/l1/W", ["/l1/W"], ["/l1/Wx", "/l1/W/x", "/l10/W", "l1/W"]),
        ("/*", ["/W"], ["/l1/W", "/"]),
        ("/l?/W", ["/l1/W"], ["/l/W", "/l10/W", "/l//W"]),
        ("/encoder/**/W", ["/encoder/W", "/encoder/a/b/W"], ["/encoderW", "/encoder/a/b", "/W"]),
        ("/encoder/**", ["/encoder/W", "/encoder/a/W"], ["/encoder", "/encoder2/W"]),
        ("/**", ["/W", "/a/b/c"], [""]),
        ("/**/**/W", ["/W", "/a/b/W"], ["/a/b"]),
        ("/a.b/[x]", ["/a.b/[x]"], ["/acb/x", "/acb/[x]"]),
    ],
)
def test_examples(pattern, yes, no):
    matcher = compile_pattern(pattern)
    assert [path for path in (*yes, *no) if matcher(path)] == yes


def test_regular_expressions_describe_whole_paths():
    matcher = compile_pattern(re.compile("/l[0-9]/W"))
    assert matcher("/l1/W")
    assert not matcher("/l1/W2")
    assert not matcher("/x/l1/W")
    assert compile_pattern(re.compile("/L1/w", re.IGNORECASE))("/l1/W")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("l1/W", r"begins with '/': got 'l1/W', expected '/l1/W'"),
        ("", r"begins with '/'"),
        ("/l1//W", r"an empty level in a pattern: got '/l1//W'"),
        ("/l1/", r"an empty level"),
        ("/", r"an empty level"),
        ("/a**/W", r"stands alone between slashes: got '/a\*\*/W', expected '/a\*/W'"),
        ("/***", r"stands alone"),
    ],
)
def test_malformed_patterns(pattern, message):
    with pytest.raises(ValueError, match=message):
        translate(pattern)
    with pytest.raises(ValueError, match=message):
        compile_pattern(pattern)


@pytest.mark.parametrize("bad", [3, None, b"/l1", re.compile(b"/l1")])
def test_what_is_no_pattern(bad):
    with pytest.raises(TypeError, match=r"expected|bytes"):
        compile_pattern(bad)


def test_hints():
    paths = ["/l1/W", "/l1/b", "/l2/W"]
    assert nearest_paths("/l1/w", paths).startswith("; nearest: '/l1/W'")
    assert nearest_paths("/zzzzzzzzz", paths) == "; there are '/l1/W', '/l1/b', '/l2/W'"
    assert nearest_paths("/x", []) == "; there are no parameters with a rule"
    assert nearest_paths("zzzzzzzzz", list("abcdefg")).endswith("'e' and 2 more")
    assert suggestion("lrr", ["lr", "momentum"]) == "; did you mean 'lr'? Known: lr, momentum"
    assert suggestion("zzz", ["lr"]) == "; known: lr"
    assert suggestion("zzz", []) == "; known: none"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("encoder.*.weight", "encoder.0.weight", True),
        ("encoder.*.weight", "encoder.0.norm.weight", False),
        ("encoder.**", "encoder.0.norm.weight", True),
        ("encoder.**", "encoder", False),
        ("**.weight", "weight", True),
        ("**.weight", "a.b/c.weight", True),
        ("l?.bias", "l1.bias", True),
        ("l?.bias", "l.bias", False),
    ],
)
def test_levels_between_dots(pattern, path, fits):
    assert compile_pattern(pattern, ".")(path) == fits


@pytest.mark.parametrize("pattern", ["", ".weight", "a..b", "a**.b"])
def test_patterns_with_dots_that_are_none(pattern):
    with pytest.raises(ValueError, match=r"level|alone between dots"):
        compile_pattern(pattern, ".")
