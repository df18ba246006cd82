"""Print what pyproject.toml requires, one requirement a line: requirements.py [build] [EXTRA...]

The run-time dependencies are always printed, `build` adds what the build needs, an extra's name
adds the extra. So the tests' tools can be installed without building and installing chainrule.
"""

import pathlib
import sys

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib


def requirements(names: list[str]) -> list[str]:
    """Return the requirements of the named groups, after the run-time dependencies."""
    text = (pathlib.Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(text)
    groups = settings["project"]["optional-dependencies"]
    groups["build"] = settings["build-system"]["requires"]
    found = list(settings["project"]["dependencies"])
    for name in names:
        found += groups[name]
    return found


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
