"""Print the folders of the CMake packages that Python wheels brought, separated by ';'."""

from importlib.metadata import PackageNotFoundError, files

PACKAGES = {
    "onednn-devel-cpu-gomp": "dnnl-config.cmake",
    "pybind11": "pybind11Config.cmake",
}


def wheel_dirs() -> list[str]:
    """Return the folders, those of packages that are not installed left out."""
    found = []
    for distribution, config in PACKAGES.items():
        try:
            paths = files(distribution) or []
        except PackageNotFoundError:
            continue
        found += [str(path.locate().resolve().parent) for path in paths if path.name == config]
    return found


if __name__ == "__main__":
    print(";".join(wheel_dirs()))
