#!/usr/bin/env bash
# Brings OpenStack Swift (Debian's packages), an object store for the laws of roots, where it is missing and this user
# may install it. The tests start its servers themselves: no service of the machine is started.
# Without it those tests are skipped, and say so.
set -euo pipefail

PACKAGES=(swift-proxy swift-account swift-container swift-object memcached)
PROGRAMS=(swift-{proxy,account,container,object}-server memcached)

if [ "$(type -P "${PROGRAMS[@]}" | wc -l)" = "${#PROGRAMS[@]}" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing OpenStack Swift, on which the laws of object stores are tried (once; about 50 MB)" >&2
    # Debian's packages start their services unless a policy forbids it; one that is there stays.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null && exit 0
fi
echo "there is no OpenStack Swift, so that the laws of object stores are tried on moto alone:" \
    "sudo apt-get install --no-install-recommends ${PACKAGES[*]}" >&2
