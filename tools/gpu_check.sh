#!/usr/bin/env bash
# On a machine with a GPU and nvcc: builds, runs the CUDA tests of C++ and Python on the GPU, and the
# benchmark: tools/gpu_check.sh [--built] [build folder]. Needs no network: Python packages, GoogleTest
# and CMake must be there (tools/test.sh installs them). Under ten minutes, most of it the first build;
# --built takes the folder as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=
[[ ${1:-} != --built ]] || { built=yes && shift; }
build=${1:-build/gpu}
fail() { echo "gpu_check: $*" >&2 && exit 1; }
section() { printf '\n=== %s (after %d s)\n' "$*" "$SECONDS"; }

command -v nvidia-smi >/dev/null || fail "there is no nvidia-smi, so there is no driver"
command -v "${CUDACXX:-nvcc}" >/dev/null || fail "there is no nvcc: put it on the PATH or set CUDACXX"

section "the machine"
nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv
"${CUDACXX:-nvcc}" --version | tail -2

if [[ -z $built ]]; then
  section "build in $build"
  generator=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DCHAINRULE_CUDA=ON \
    -DCHAINRULE_BUILD_TESTS=ON -DPython_EXECUTABLE="$(command -v python3)"
  cmake --build "$build" -j "$(nproc)"
fi

section "is CUDA found?"
export PYTHONPATH="$PWD/$build/site-packages"
# A build folder has no cuBLAS beside it: the one that pip installed, unless there is none.
if [[ -z ${CHAINRULE_CUBLAS:-} ]]; then
  found=$(python3 -c 'import glob, site, sysconfig
folders = [sysconfig.get_path("platlib"), *site.getsitepackages(), site.getusersitepackages()]
paths = [p for f in folders for p in glob.glob(f"{f}/nvidia/cu*/lib/libcublas.so.1[23]")]
print(*paths[:1])')
  [[ -z $found ]] || export CHAINRULE_CUBLAS=$found
fi
python3 - <<'PYTHON' || fail "the plug-in does not see the GPU"
from chainrule import _core

available, reason = _core.cuda_status()
print("available" if available else reason)
print("matrix products:", *_core.cuda_products())
for i in range(_core.cuda_device_count()):
    print(f"cuda:{i}", _core.cuda_device_name(i), _core.cuda_memory_info(i))
raise SystemExit(not available)
PYTHON

# In this mode a test that finds no GPU is skipped, and a skipped test fails the run, except where the
# reason is that there is one GPU only or that a real GPU cannot be told to fail.
section "C++ tests on the GPU"
log=$build/gpu_tests.log
CHAINRULE_TEST_CUDA=gpu "$build/tests/cpp/chainrule_tests" --gtest_filter='Cuda*:Plugin.*' | tee "$log"
if grep -A1 'Skipped$' "$log" | grep -vE 'Skipped$|^--$|there is one device|cannot be told to fail'; then
  fail "tests were skipped"
fi

section "the same under compute-sanitizer"
if command -v compute-sanitizer >/dev/null; then
  tests='CudaUnary*:CudaSelect*:CudaMemory*:CudaUpdate.Every*:CudaNormalize*:CudaReduction.Not*'
  CHAINRULE_TEST_CUDA=gpu timeout 180 compute-sanitizer --report-api-errors no --error-exitcode 1 \
    "$build/tests/cpp/chainrule_tests" --gtest_filter="$tests:CudaGemm.Odd*" |
    tail -5
else
  echo "compute-sanitizer not found, left out"
fi

section "Python tests on the GPU"
CHAINRULE_BUILD_DIR="$PWD/$build" python3 -m pytest -q -m gpu tests/python

section "benchmark"
python3 benchmarks/gpu.py --build "$build" --json "$build/gpu.json"

section "done"
