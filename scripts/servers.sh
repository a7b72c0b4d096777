#!/bin/sh
# Make sure that the programs of PostgreSQL and Redis, openssl and Chromium are there: as root on Debian or Ubuntu install
# what is missing, elsewhere name it. No service is started: the tests start servers and browsers of their own.
set -eu

log=.tmp/servers.txt
policy=/usr/sbin/policy-rc.d

missing() {
    command -v redis-server >/dev/null || echo redis-server
    command -v openssl >/dev/null || echo openssl
    command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
        echo chromium
}

packages=$(missing | xargs)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need PostgreSQL, Redis, openssl and Chromium, and not all of them are here; on Debian and Ubuntu: apt install $packages" >&2
    exit 1
fi

mkdir -p .tmp
echo "Installing $packages ..." >&2
# Debian starts a service as soon as it is installed, unless this file says no.
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{ apt-get update && apt-get install --yes --no-install-recommends $packages; } >"$log" 2>&1 || {
    cat "$log" >&2
    echo "Could not install $packages: the lines above say why." >&2
    exit 1
}
