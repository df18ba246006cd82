#!/usr/bin/env bash
# Checks format, style and types: tools/lint.sh [--fix]; --fix formats and mends what can be mended.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

mapfile -t cpp < <(git ls-files --cached --others --exclude-standard '*.h' '*.cpp' '*.cu' '*.cuh')
if [[ ${1:-} == --fix ]]; then
  ruff format --quiet .
  ruff check --quiet --fix . || true
  clang-format -i "${cpp[@]}"
fi
ruff format --check .
ruff check .
clang-format --dry-run -Werror "${cpp[@]}"
echo "clang-format: ${#cpp[@]} files"
mypy
