"""The rules of the house (cpp/README.md) as tests: who may include whom, sizes, mirrored trees."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).parents[1]
CPP = ROOT / "cpp" / "chainrule"
CUDA = ROOT / "cuda"
BINDINGS = ROOT / "python" / "bindings"
PACKAGE = ROOT / "python" / "chainrule"

# What a folder may include beside itself; the rules and the plain data of an update are read by
# every device.
RULES = {
    "update/rule.h",
    "update/rule_list.h",
    "update/element.h",
    "update/plan.h",
    "update/reduced.h",
    "update/traced_program.h",
    "update/traced_element.h",
    "update/rules/",
}
LAYERS = {
    "functors/": set(),
    "core/": {"functors/"},
    "backend/": {"core/", "functors/", *RULES},
    "update/rules/": {"functors/", "update/rule.h"},
    "update/rule.h": {"functors/"},
    "update/rule_list.h": {"functors/", "update/rules/"},
    "update/element.h": {"functors/", "update/plan.h"},
    "update/reduced.h": {"functors/", "update/plan.h"},
    "update/plan.h": set(),
    "update/traced_program.h": {"update/plan.h"},
    "update/traced_element.h": {"functors/", "update/traced_program.h"},
    "autograd/": {"functors/", "core/", "backend/"},
    "ops/": {"functors/", "core/", "backend/", "autograd/"},
    "update/": {"functors/", "core/", "backend/", "autograd/"},
}
CUDA_MAY = {"functors/", "core/", "backend/", *RULES}

# Headers from outside, and the folders that may include them.
OUTSIDE = {
    r"pybind11/|Python\.h|numpy/": ("python/bindings/",),
    r"cuda_(fp16|bf16)\.h": ("cuda/", "cpp/chainrule/functors/"),
    r"cuda|cublas|cudnn|nccl|cub/|thrust/": ("cuda/",),
    r"dnnl|oneapi/": ("cpp/chainrule/backend/",),
    r"omp\.h|[a-z]*mmintrin\.h|x86intrin\.h": (
        "cpp/chainrule/backend/",
        "cpp/chainrule/functors/",
    ),
    r"gtest/|gmock/": ("tests/cpp/",),
}

# Files past the usual size (a header 200 lines, a source 500), each with the reason.
LONG: dict[str, str] = {
    "tests/python/op_table.py": "a table: one row per op, and rows do not belong in two places",
}

# Sources of cuda/ without a kernel file of the same name in cpp/chainrule/backend/cpu/kernels/.
CUDA_ALONE: dict[str, str] = {
    "plugin": "the door: version stamp, device count, the table of kernels",
    "memory": "allocation and copies",
    "compiler": "NVRTC, opened at run time",
    "traced_source": "users' rules as text for it",
    "traced_kernels": "what it made of them",
    "library": "how libraries are opened at run time",
    "cublas": "cuBLAS, opened at run time",
    "normalize": "norms that the host need not know, which the CPU has at hand",
    "staging": "tables that kernels read, sent over before each launch",
    "update_reduced": "rows with reduced states, which the CPU's update.cpp takes along",
}

# Tests that belong to no single module.
CROSS_TESTS: dict[str, str] = {
    "op_table": "one row per op",
    "rule_table": "one row per update rule",
    "doctest": "the examples in docstrings",
    "cuda_array_interface": "memory of GPUs as other libraries describe it",
    "jax_calls": "how compiled programs of JAX come to the update",
    "surroundings": "what else works on optimizers of PyTorch",
    "cuda": "PyTorch's models on a GPU: numbers",
    "cuda_states": "the states of their rules",
    "cuda_surroundings": "what goes on around their updates",
    "cuda_streams": "in which order a real one works on them",
    "cuda_training": "training PyTorch's models on a real one",
    "examples": "the programs in examples/",
    "example_claims": "what those programs say of their rules",
    "chainer_semantics": "the switch between our behaviour and Chainer's",
    "golden_functions": "functions against values from Chainer 7.8.1",
    "golden_modern": "rules that Chainer does not have against other packages",
    "any_mix": "random mixes of everything against one parameter at a time, and across a file",
    "threads": "updates in several threads at the same time",
    "many_rows": "thousands of rules, which several threads plan",
    "typing": "what a type checker says of programs",
    "machine_code": "traced rules as machine code against the same ones interpreted",
    "every_rule": "what all rules have in common",
    "before_init": "objects whose __init__ has not run",
    "rule_resume": "every rule goes on from a file as if nothing had happened",
    "products_on_cuda": "products of matrices on a GPU, and the rules that are made of them",
    "golden_tensor_rules": "rules for whole tensors against other packages",
}


def files(folder: pathlib.Path, *suffixes: str) -> list[pathlib.Path]:
    """List the files of a source folder, generated ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in suffixes and path.is_file() and "__pycache__" not in path.parts
    )


def relative(path: pathlib.Path, base: pathlib.Path = ROOT) -> str:
    return path.relative_to(base).as_posix()


def native_sources() -> list[pathlib.Path]:
    found = []
    for folder in (ROOT / "cpp", CUDA, BINDINGS, ROOT / "tests" / "cpp"):
        found += files(folder, ".h", ".cuh", ".cpp", ".cu")
    return found


def includes(path: pathlib.Path) -> list[tuple[str, str]]:
    """Return the includes of a file as (quote, name)."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r'^\s*#\s*include\s*(["<])([^">]+)[">]', text, flags=re.MULTILINE)


def resolve(path: pathlib.Path, name: str) -> pathlib.Path | None:
    """Find an included file of this repository."""
    for base in (path.parent, ROOT / "cpp", ROOT / "tests" / "cpp"):
        if (base / name).is_file():
            return (base / name).resolve()
    return None


def matches(name: str, patterns: set[str]) -> bool:
    return any(name.startswith(p) if p.endswith("/") else name == p for p in patterns)


def may_include(path: pathlib.Path) -> set[str] | None:
    """Return what of cpp/chainrule a file may include; None stands for everything."""
    if path.is_relative_to(CUDA):
        return CUDA_MAY
    if not path.is_relative_to(CPP):
        return None
    name = relative(path, CPP)
    layer = next((key for key in LAYERS if matches(name, {key})), None)
    assert layer, f"{relative(path)} lies in no layer: say in LAYERS what it may include"
    return LAYERS[layer] | {layer}


def same_tree(path: pathlib.Path, target: pathlib.Path) -> bool:
    """Tell whether a file may include another outside cpp/chainrule."""
    mirrored = path.is_relative_to(ROOT / "tests" / "cpp" / "cuda") and target.is_relative_to(CUDA)
    return mirrored or relative(target).split("/")[0] == relative(path).split("/")[0]


def fail_on(offences: list[str]) -> None:
    assert not offences, "\n" + "\n".join(offences)


def test_every_folder_keeps_to_its_layer():
    offences = []
    for path in native_sources():
        allowed = may_include(path)
        for quote, name in includes(path):
            target = resolve(path, name)
            if quote == "<" and target and target.is_relative_to(ROOT):
                offences.append(f"{relative(path)}: <{name}> is ours, write it in quotes")
            elif quote == '"' and not target:
                offences.append(f'{relative(path)}: "{name}" is not ours, write it in <>')
            elif target and target.is_relative_to(CPP):
                if allowed is not None and not matches(relative(target, CPP), allowed):
                    offences.append(f"{relative(path)}: must not include {relative(target)}")
            elif target and not same_tree(path, target):
                offences.append(f"{relative(path)}: must not include {relative(target)}")
    fail_on(offences)


def test_headers_from_outside_stay_in_their_folders():
    offences = []
    for path in native_sources():
        for quote, name in includes(path):
            rule = next((r for r in OUTSIDE if re.match(r, name)), None)
            if quote == "<" and rule and not relative(path).startswith(OUTSIDE[rule]):
                offences.append(f"{relative(path)}: <{name}> belongs into {OUTSIDE[rule]}")
    fail_on(offences)


def test_there_is_one_dtype_switch():
    holders = [relative(p) for p in native_sources() if "case Dtype::" in p.read_text("utf-8")]
    assert set(holders) <= {"cpp/chainrule/core/dtype.h"}


def test_functors_use_no_mathematics_of_std():
    # std:: maths neither vectorises nor takes a dual number; functors/math.h has what there is.
    names = (
        "abs acos acosh asin asinh atan atan2 atanh cbrt ceil clamp copysign cos cosh erf erfc exp "
        "exp2 expm1 fabs floor fma fmax fmin fmod hypot isfinite isinf isnan lgamma log log10 "
        "log1p log2 max min pow rint round signbit sin sinh sqrt tan tanh tgamma trunc"
    )
    pattern = re.compile(rf"std::({names.replace(' ', '|')})\s*[(<]")
    offences = []
    for path in files(CPP / "functors", ".h"):
        if path.name == "math.h":
            continue
        offences += [
            f"{relative(path)}:{number}: {line.strip()}"
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
            if pattern.search(line)
        ]
    fail_on(offences)


def test_headers_begin_with_pragma_once_and_use_no_namespace():
    offences = []
    for path in native_sources():
        if path.suffix not in (".h", ".cuh"):
            continue
        text = path.read_text(encoding="utf-8")
        code = re.sub(r"\A(\s*//[^\n]*\n)*\s*", "", text)
        if not code.startswith("#pragma once"):
            offences.append(f"{relative(path)}: does not begin with #pragma once")
        if re.search(r"^using namespace", text, flags=re.MULTILINE):
            offences.append(f"{relative(path)}: using namespace in a header")
    fail_on(offences)


def closure(path: pathlib.Path) -> list[pathlib.Path]:
    """Return a file and everything of this repository that it includes."""
    found = {path}
    todo = [path]
    while todo:
        current = todo.pop()
        for _, name in includes(current):
            target = resolve(current, name)
            if target and target not in found:
                found.add(target)
                todo.append(target)
    return sorted(found)


def test_every_header_compiles_alone(request):
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if not compiler:
        pytest.skip("no C++ compiler")
    command = [compiler, "-std=c++20", "-fsyntax-only", "-fopenmp", "-x", "c++", "-", "-I", "cpp"]
    command += ["-DCHAINRULE_ISA=baseline", '-DCHAINRULE_VERSION="test"']
    outside = [f"{sys.prefix}/include", sysconfig.get_path("include")]
    try:
        import pybind11

        outside.append(pybind11.get_include())
    except ModuleNotFoundError:
        pass
    for folder in outside:
        command += ["-isystem", folder]

    def compile_alone(path: pathlib.Path) -> str:
        result = subprocess.run(
            command,
            input=f'#include "{path}"\n',
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{relative(path)}:\n{result.stderr}" if result.returncode else ""

    # A header whose text has not changed since it last compiled is not compiled again.
    known = request.config.cache.get("chainrule/headers", {})
    stamps = {}
    for path in files(CPP, ".h") + files(BINDINGS, ".h"):
        digest = hashlib.sha256(" ".join(command).encode())
        for part in closure(path):
            digest.update(part.read_bytes())
        stamps[relative(path)] = digest.hexdigest()
    changed = [ROOT / name for name, stamp in stamps.items() if known.get(name) != stamp]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(pool.map(compile_alone, changed))
    failed = {relative(path) for path, error in zip(changed, errors, strict=True) if error}
    request.config.cache.set(
        "chainrule/headers", {name: s for name, s in stamps.items() if name not in failed}
    )
    fail_on([error for error in errors if error])


def test_files_stay_small():
    offences = []
    sources = native_sources() + files(PACKAGE, ".py") + files(ROOT / "tests", ".py")
    seen = set()
    for path in sources:
        limit = 200 if path.suffix in (".h", ".cuh") else 500
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > limit:
            seen.add(relative(path))
            if relative(path) not in LONG:
                offences.append(f"{relative(path)}: {lines} lines, limit {limit}: split it")
    offences += [f"{name}: no longer long, take it from LONG" for name in set(LONG) - seen]
    lines = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8").count("\n")
    if lines >= 120:
        offences.append(f"CMakeLists.txt: {lines} lines, expected under 120")
    fail_on(offences)


def test_cpp_tests_mirror_the_sources():
    offences = []
    tests = ROOT / "tests" / "cpp"
    tested = set()
    for path in files(tests, ".cpp"):
        name = relative(path, tests)
        if name.startswith(("plugins/", "emulation/")):
            continue
        if not name.endswith("_test.cpp"):
            if not path.with_suffix(".h").exists():
                offences.append(f"{relative(path)}: a test's file ends in _test.cpp")
            continue
        stem = name.removesuffix("_test.cpp")
        tested.add(stem.split("/")[0])
        base = ROOT if stem.startswith("cuda/") else CPP
        if not any((base / f"{stem}{suffix}").exists() for suffix in (".h", ".cpp", ".cu", "")):
            offences.append(f"{relative(path)}: there is no {relative(base / stem)}")
    for folder in sorted(p for p in CPP.iterdir() if p.is_dir()):
        if folder.name not in tested:
            offences.append(f"{relative(folder)}: has no test in tests/cpp/{folder.name}")
    fail_on(offences)


def test_cuda_mirrors_the_cpu_backend():
    twins = {path.stem for path in files(CPP / "backend" / "cpu", ".cpp", ".h")}
    offences = [
        f"{relative(path)}: has no twin in cpp/chainrule/backend/cpu"
        for path in files(CUDA, ".cu", ".cpp")
        if path.stem not in twins and path.stem not in CUDA_ALONE
    ]
    fail_on(offences)


def test_python_tests_mirror_the_package():
    offences = []
    tests = ROOT / "tests" / "python"
    for path in files(tests, ".py"):
        stem = path.stem.removeprefix("test_")
        if stem == path.stem or stem in CROSS_TESTS:
            continue
        module = PACKAGE / path.parent.relative_to(tests) / stem
        if not (module.with_suffix(".py").exists() or module.is_dir()):
            offences.append(f"{relative(path)}: there is no {relative(module)}")
    fail_on(offences)


def plain(name: str) -> str:
    return name.lower().replace("_", "")


def test_every_rule_has_a_row():
    table = ROOT / "tests" / "python" / "rule_table.py"
    # Stages are parts of rules.
    rules = [p for p in files(CPP / "update" / "rules", ".h") if p.stem != "stages"]
    if not rules:
        pytest.skip("no update rules yet")
    words = {plain(word) for word in re.findall(r"\w+", table.read_text(encoding="utf-8"))}
    fail_on(
        [f"{relative(p)}: no row in {relative(table)}" for p in rules if plain(p.stem) not in words]
    )


def test_every_element_functor_has_a_row():
    table = ROOT / "tests" / "python" / "op_table.py"
    names = set()
    for path in files(CPP / "functors", ".h"):
        names |= set(re.findall(r'\bname\b[^=;"]*=\s*"(\w+)"', path.read_text(encoding="utf-8")))
    if not names:
        pytest.skip("no functors yet")
    rows = {plain(word) for word in re.findall(r"\w+", table.read_text(encoding="utf-8"))}
    fail_on([f"{n}: no row in {relative(table)}" for n in sorted(names) if plain(n) not in rows])


def test_nothing_unfinished_or_local_is_committed():
    patterns = {
        "a path of one machine": r"(?<![\w./$}])/(home|root|Users|work)/\w",
        "an unfinished note": r"\b(TODO|FIXME|XXX|HACK)\b",
        "a conflict mark": r"^(<<<<<<<|>>>>>>>)( |$)",
    }
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    offences = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path == pathlib.Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        offences += [
            f"{name}: {what}: {match.group(0)}"
            for what, pattern in patterns.items()
            for match in re.finditer(pattern, text, flags=re.MULTILINE)
        ]
    fail_on(offences)


def built(name: str) -> pathlib.Path:
    """Return a built library; skip the test where there is none."""
    folder = os.environ.get("CHAINRULE_BUILD_DIR", ROOT / "build" / "dev")
    path = pathlib.Path(folder) / "site-packages" / "chainrule" / name
    if not path.exists() or not shutil.which("readelf"):
        pytest.skip(f"{name} is not built, or there is no readelf")
    return path


def needed(path: pathlib.Path) -> set[str]:
    listing = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True)
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", listing.stdout))


def test_the_library_knows_no_python():
    path = built("libchainrule.so")
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True
    ).stdout
    assert not re.findall(r"\b_?Py[A-Z_]\w*", symbols)
    assert not {name for name in needed(path) if "python" in name}


def test_the_cuda_half_loads_without_cuda():
    libraries = needed(built("libchainrule_cuda.so"))
    assert not {name for name in libraries if re.match(r"lib(cu|nccl|nv)", name)}
