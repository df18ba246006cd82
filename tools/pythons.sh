#!/usr/bin/env bash
# Builds chainrule for other interpreters and NumPys and runs the Python tests with each:
#   tools/pythons.sh [PYTHON:NUMPY ...] [-- arguments for pytest]
# NUMPY is the beginning of a version, or empty for the newest. An interpreter that is not there is
# left out with a word. With ccache only the bindings are compiled anew. build/dev, where it is
# built, lends its stand-ins for the CUDA plug-in.
set -euo pipefail
cd "$(dirname "$0")/.."

matrix=()
while (($#)) && [[ $1 != -- ]]; do matrix+=("$1") && shift; done
if (($#)); then shift; fi
((${#matrix[@]})) ||
  matrix=(python3.10:1.26 python3.10: python3.11: python3.12:1.26 python3.12: python3.13: python3.14:)

# On the PATH (a shim of pyenv's may stand there and lead nowhere), or where pyenv keeps them.
find_python() {
  "$1" -c 'import sys; print(sys.executable)' 2>/dev/null && return
  compgen -G "$HOME/.pyenv/versions/${1#python}.*/bin/$1" | sort -V | tail -n 1 | grep .
}

# The oneDNN of build/dev, so that the compiler cache knows the library's commands.
onednn=$(grep -s "^dnnl_DIR:PATH=/" build/dev/CMakeCache.txt || true)

failed=()
for pair in "${matrix[@]}"; do
  name=${pair%%:*} numpy=${pair#*:}
  tag=${name##*/}${numpy:+-numpy$numpy}
  printf '\n=== %s\n' "$tag"
  if ! python=$(find_python "$name"); then
    echo "$name is not installed here: left out"
    continue
  fi
  folder=$PWD/build/$tag  # beside build/dev, whose relative paths the compiler cache knows
  [[ -e $folder/venv/bin/python ]] || "$python" -m venv "$folder/venv"
  source "$folder/venv/bin/activate"
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  wanted=() && [[ -z $numpy ]] || wanted=("numpy==$numpy.*")
  # The tests' tools without those of lint.sh and stubs.sh.
  mapfile -t requirements < <(python tools/requirements.py build test examples train |
    grep -Ev '^(clang-format|mypy|ruff|pybind11-stubgen)')
  if python -m pip install -qq --upgrade pip &&
    python -m pip install -qq "${requirements[@]}" "${wanted[@]}" &&
    cmake --preset dev -B "$folder" -DPython_EXECUTABLE="$(command -v python)" \
      -DCHAINRULE_CUDA=OFF -DCHAINRULE_BUILD_TESTS=OFF ${onednn:+"-D$onednn"} >/dev/null &&
    cmake --build "$folder" &&
    export PYTHONPATH="$folder/site-packages" &&
    python -c 'import sys, numpy; print(sys.version.split()[0], "with NumPy", numpy.__version__)' &&
    CHAINRULE_BUILD_DIR=${CHAINRULE_BUILD_DIR:-$PWD/build/dev} python -m pytest -q "$@" tests/python; then
    echo "$tag: passed"
  else
    failed+=("$tag")
  fi
  deactivate
done
((${#failed[@]} == 0)) || { printf '\nfailed: %s\n' "${failed[*]}" >&2 && exit 1; }
