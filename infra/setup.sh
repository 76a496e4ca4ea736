#!/usr/bin/env bash
# Makes the environment in $VENV from the lock file, with nothing at hand but Python 3.11 or 3.12.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

found=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
case $found in
    3.11 | 3.12) ;;
    *)
        echo "Lapidary needs Python 3.11 or 3.12 (img2dataset needs the module imghdr, which 3.13 removed);" \
            "$PYTHON is $found. Say which one to use: make PYTHON=/path/to/python3.11 …" >&2
        exit 2
        ;;
esac

if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian ships both in a package of their own.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq "python$found-venv" >/dev/null
    else
        echo "Python $found has no venv module; install it first: sudo apt-get install python$found-venv" >&2
        exit 2
    fi
fi

if ! [ -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; then
    "$PYTHON" -m venv --clear "$VENV"
fi
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check -q "$@"; }

echo "installing the environment into $VENV (about 4.2 GB, once; a few minutes)" >&2
# torch first and with what it needs: a CPU build needs nothing, a CUDA build brings its own libraries.
pip install "$(grep -E '^torch==' infra/locks/requirements.lock)" -c infra/locks/requirements.lock
pip install --no-deps -r infra/locks/requirements.lock
pip install --no-deps --no-build-isolation -e .

echo "compiling the loops of pixels and of the search for this machine (once; half a minute)" >&2
"$VENV/bin/python" -m curation.dedupe.warm
