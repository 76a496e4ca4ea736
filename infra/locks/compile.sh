#!/usr/bin/env bash
# Writes requirements.lock from pyproject.toml: exact versions, no index lines, so that any mirror serves it.
# torch stands without a local version label: pip then takes the CPU build where one is configured
# (PIP_FIND_LINKS or an extra index) and the registry's build elsewhere.
# Then cluster.lock from cluster.in: what that wants on top of requirements.lock, whose versions it leaves as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

compile() {
    uv pip compile "$@" --override infra/locks/overrides.txt \
        ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
        --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q \
        | sed -E 's/^(torch==[0-9.]+)\+[a-z0-9]+$/\1/'
}

publish() { # NAME SOURCE
    { echo "# Compiled by infra/locks/compile.sh from $2; install with: pip install --no-deps -r $1"
      cat "$work/$1"; } > "infra/locks/$1"
}

if [ "${1:-}" != --cluster-only ]; then
    compile pyproject.toml --extra dev --extra notebook --extra bench "$@" --constraint infra/locks/constraints.txt \
        > "$work/requirements.lock"
    publish requirements.lock pyproject.toml
else
    shift
fi
compile infra/locks/cluster.in "$@" --constraint infra/locks/requirements.lock > "$work/all.lock"
grep -vxFf infra/locks/requirements.lock "$work/all.lock" > "$work/cluster.lock"
publish cluster.lock cluster.in
