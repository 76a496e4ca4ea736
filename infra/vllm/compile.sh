#!/usr/bin/env bash
# Writes requirements.lock from requirements.in: exact versions, no index lines, so that any mirror serves it.
set -euo pipefail
cd "$(dirname "$0")"
uv pip compile requirements.in --override overrides.txt "$@" \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
    --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q \
    | sed -E 's/^(torch==[0-9.]+)\+[a-z0-9]+$/\1/' > requirements.lock.new
{ echo "# Compiled by infra/vllm/compile.sh from requirements.in; install with: pip install --no-deps -r requirements.lock"
  cat requirements.lock.new; } > requirements.lock
rm requirements.lock.new
