# What scripts/flower-server, flower-site and test-flower share. Sourced, not run.

# Flower in a virtual environment of its own, unless FLOWER names one: sets $flower to its folder of programs.
find_flower() {
  flower=${FLOWER:-${XDG_CACHE_HOME:-$HOME/.cache}/strata/flower}
  if [ ! -x "$flower/bin/flower-superlink" ]; then
    command -v python3 >/dev/null || die "needs python3 (python3-venv)"
    echo "Installing Flower in $flower" >&2
    python3 -m venv "$flower" || die "python3 -m venv failed; install python3-venv"
    "$flower/bin/pip" install --quiet 'flwr>=1.40' 'numpy>=1.26' || die "pip could not install flwr"
  fi
  flower=$flower/bin
  # On by default in Flower: usage statistics, and a look for updates.
  export FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1
  # Flower starts its own programs by name.
  export PATH=$flower:$PATH
}

# require_app_packages NAME PYTHON: what apps of Flower in PyTorch import; the variable NAME says which Python that is.
require_app_packages() {
  local lacking
  lacking=$("$2" -c 'import importlib.util as util
print(*[name for name in ("flwr", "ray", "torch", "transformers", "PIL", "strata_fl") if not util.find_spec(name)])' 2>/dev/null) ||
    die "$1: $2 is no Python that runs" 2
  [ -z "$lacking" ] || die "$1: $2 lacks $lacking, which the app in PyTorch imports" 2
}

find_strata() {
  strata=${STRATA:-$root/build/release/bin/strata}
  [ -x "$strata" ] || strata=$(command -v strata) ||
    die "there is no strata: build it (README), or name it in STRATA"
  strata=$(realpath "$strata")
}

die() {
  echo "$(basename "$0"): $1" >&2
  exit "${2:-1}"
}
