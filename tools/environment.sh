# Sourced by the other scripts: enters the repository and a Python environment with the tests' tools.
# The active virtual environment is used; where none is active, .venv, which is made if missing.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -z ${VIRTUAL_ENV:-} ]]; then
  [[ -e .venv/bin/activate ]] || python3 -m venv .venv
  source .venv/bin/activate
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
mapfile -t requirements < <(python tools/requirements.py build test examples train)
python -m pip install -qq "${requirements[@]}"

# Installs a package of the system (Debian's name) unless the check given after it succeeds.
need() {
  local package=$1
  shift
  if "$@" >/dev/null 2>&1; then return; fi
  local as_root=()
  ((EUID == 0)) || as_root=(sudo)
  if ! command -v apt-get >/dev/null || ! command -v "${as_root[0]:-true}" >/dev/null; then
    echo "Please install what Debian calls $package from your system's packages." >&2
    exit 1
  fi
  echo "installing $package"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get install -qq -y "$package" >/dev/null 2>&1 ||
    { "${as_root[@]}" apt-get update -qq &&
      "${as_root[@]}" apt-get install -qq -y "$package" >/dev/null; }
}
