#!/usr/bin/env bash
# Installs the Debian packages that are missing, and starts nothing.
#   deploy/install-packages.sh PACKAGE…
#
# Debian starts the service of a package as soon as it is installed, and at every boot: a Redis, a Postgres and an nginx that
# nobody asked for, on their usual ports. Flotilla wants the programs alone and starts its own. So while packages are
# installed a policy (/usr/sbin/policy-rc.d, what Debian asks before it starts a service) refuses those that were not here
# before, and afterwards they are off at boot too. Services that are here already stay as they are, and a policy that
# somebody else made holds instead of this one.
#
# The policy goes with this script, whatever ends it: it refuses nothing, and removes itself, once its process is gone.
set -euo pipefail

policy=/usr/sbin/policy-rc.d
mark='# flotilla: while packages are installed'

missing=()
for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
    run=()
elif sudo -n true 2>/dev/null; then
    run=(sudo -n)
else
    echo "setup: cannot install ${missing[*]}: run 'make setup' as root, or: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi

is_there() {
    [ -e "/etc/init.d/$1" ] || [ -e "/lib/systemd/system/$1.service" ]
}

# Services that the missing packages may bring, and that are not here yet.
new=()
for service in redis-server postgresql nginx; do is_there "$service" || new+=("$service"); done

leave() {
    trap '' INT TERM HUP
    if grep -qsF "$mark $$ " "$policy"; then "${run[@]}" rm -f "$policy"; fi
    local off=()
    for service in ${new[@]+"${new[@]}"}; do
        if is_there "$service" && "${run[@]}" update-rc.d "$service" disable >/dev/null 2>&1; then off+=("$service"); fi
    done
    [ ${#off[@]} -eq 0 ] || echo "setup: ${off[*]}: installed, not started, and off at boot"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

if [ ${#new[@]} -gt 0 ]; then
    began="$(cut -d ' ' -f 22 "/proc/$$/stat")"
    pattern=""
    for service in "${new[@]}"; do pattern+="${pattern:+|}$service|$service.service|$service@*"; done
    # One that was left by a script which could not remove it is nobody's any more.
    if grep -qsF "$mark" "$policy"; then "${run[@]}" rm -f "$policy"; fi
    if [ ! -e "$policy" ]; then
        "${run[@]}" sh -c 'umask 022; cat > "$1.flotilla" && chmod 755 "$1.flotilla" && mv -n "$1.flotilla" "$1"; rm -f "$1.flotilla"' \
            sh "$policy" <<POLICY
#!/bin/sh
$mark $$ $began
if [ "\$(cut -d ' ' -f 22 /proc/$$/stat 2>/dev/null)" != "$began" ]; then rm -f "\$0"; exit 0; fi
while [ "\${1#-}" != "\$1" ]; do shift; done
case "\$1" in ($pattern) case "\$2" in (stop) ;; (*) exit 101 ;; esac ;; esac
exit 0
POLICY
    fi
fi

echo "setup: installing ${missing[*]}"
"${run[@]}" apt-get update -qq
"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${missing[@]}" >/dev/null
