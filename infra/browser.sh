#!/usr/bin/env bash
# Brings the browser in which pages are tested (Debian's Chromium), where it is missing and this user may install it.
# Without it those tests are skipped, and say so.
set -euo pipefail

if command -v chromium >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium, in which the page of a root is tested (once; about 300 MB)" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
echo "there is no chromium, so that the tests of pages in a browser are skipped: sudo apt-get install chromium" >&2
