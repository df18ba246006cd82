#!/usr/bin/env bash
# Writes python/chainrule/_core.pyi from the extension module in build/dev; with --check it compares.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

stub=python/chainrule/_core.pyi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
PYTHONPATH=$PWD/build/dev/site-packages \
  pybind11-stubgen --exit-code --output-dir "$scratch" chainrule._core >"$scratch/log" 2>&1 ||
  { cat "$scratch/log" >&2 && exit 1; }

if [[ ${1:-} == --check ]]; then
  diff -u "$stub" "$scratch/chainrule/_core.pyi" ||
    { echo "$stub is not what the bindings say: run tools/stubs.sh" >&2 && exit 1; }
  echo "$stub agrees with the bindings"
else
  cp "$scratch/chainrule/_core.pyi" "$stub"
fi
