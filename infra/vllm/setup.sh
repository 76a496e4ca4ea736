#!/usr/bin/env bash
# Makes vllm's own environment in $VENV: its fastapi and Prefect's exclude each other. Tests and benchmarks only.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv-vllm}

found=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
if [ "$found" != 3.11 ]; then
    echo "vLLM's environment is locked for Python 3.11; $PYTHON is $found." \
        "Say which one to use (make PYTHON=/path/to/python3.11 …), or leave its tests out: make test FAST=1" >&2
    exit 2
fi
if ! [ -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    "$PYTHON" -m venv --clear "$VENV"
fi
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check -q "$@"; }

echo "installing vLLM for the CPU into $VENV (about 2.5 GB, once; a few minutes)" >&2
# torch first and with what it needs: a CPU build needs nothing, a CUDA build brings its own libraries.
pip install "$(grep -E '^torch==' infra/vllm/requirements.lock)" -c infra/vllm/requirements.lock
pip install --no-deps -r infra/vllm/requirements.lock
packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
install -m 644 infra/vllm/torchvision_operators.py "$packages/"
echo "import torchvision_operators" > "$packages/torchvision_operators.pth"
