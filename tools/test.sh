#!/usr/bin/env bash
# Builds chainrule with its C++ tests in build/PRESET and runs all tests, C++ and Python:
#   tools/test.sh [dev|asan] [arguments for pytest]
# What is missing is installed first: Python packages into the virtual environment, GoogleTest from
# the system's packages. CMAKE_ARGS holds further options for CMake, as for pip.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

preset=dev
case ${1:-} in dev | asan) preset=$1 && shift ;; esac

need g++ sh -c 'command -v c++'
need libgtest-dev sh -c 'echo "#include <gtest/gtest.h>" | c++ -E -x c++ -'

# A build folder that another Python configured is configured anew; what is compiled stays.
python=$(command -v python)
fresh=--fresh
if grep -qs "^Python_EXECUTABLE:.*=$python\$" "build/$preset/CMakeCache.txt"; then fresh=; fi
read -ra options <<<"${CMAKE_ARGS:-}"
cmake --preset "$preset" $fresh -DPython_EXECUTABLE="$python" "${options[@]}"
cmake --build --preset "$preset"
ctest --preset "$preset" -j "$(nproc)"

# A process for each core, up to eight (-n 0: this one). Their threads share the cores, and must not
# spin.
workers=(-n "$(nproc)" --maxprocesses 8)
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export PYTHONPATH="$PWD/build/$preset/site-packages"
export CHAINRULE_BUILD_DIR="$PWD/build/$preset"
if [[ $preset == asan ]]; then
  # Python itself is not sanitized, so the sanitizer's run time has to be there before it. What
  # Python keeps until the end is no leak of ours: the tests count live nodes instead.
  export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
  runtime="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libstdc++.so)"
  LD_PRELOAD=$runtime python -m pytest "${workers[@]}" -m "not slow" "${@:-tests/python}"
else
  python -m pytest "${workers[@]}" "$@"
fi
