#!/usr/bin/env bash
# Writes requirements.lock from pyproject.toml: exact versions, no index lines, so that any mirror serves it.
# torch stands without a local version label: pip then takes the CPU build where one is configured
# (PIP_FIND_LINKS or an extra index) and the registry's build elsewhere.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv pip compile pyproject.toml --extra dev --extra notebook --extra bench "$@" \
    --override infra/locks/overrides.txt --constraint infra/locks/constraints.txt \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
    --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q \
    | sed -E 's/^(torch==[0-9.]+)\+[a-z0-9]+$/\1/' > requirements.lock.new
{ echo "# Compiled by infra/locks/compile.sh from pyproject.toml; install with: pip install --no-deps -r requirements.lock"
  cat requirements.lock.new; } > infra/locks/requirements.lock
rm requirements.lock.new
