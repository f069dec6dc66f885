#!/usr/bin/env bash
# Installs the .deb given, looks at what it set up, runs the program as its user, and removes it again.
# It changes the machine: CI does this. Needs root and dpkg.
set -euo pipefail
deb=$1
if dpkg -s receiver >/dev/null 2>&1; then
  echo "the package receiver is installed here" >&2
  exit 1
fi
work=$(mktemp -d)
chmod 0755 "$work"
trap 'dpkg -P receiver >/dev/null 2>&1; rm -rf "$work"' EXIT

dpkg -i "$deb"
receiver version
receiver version | grep -Eq '^receiver v[0-9].* \([0-9a-f]{40}, 20[0-9-]+T' # the linker's
id receiver
[ "$(stat -c '%a %U' /etc/receiver/secrets)" = "700 root" ]
systemd-analyze verify receiver.service receiver.socket
systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/receiver.service | tail -1
receiver --config /etc/receiver/config.yaml config check
complete=$(bash -c 'source /usr/share/bash-completion/completions/receiver && complete -p receiver')
echo "$complete"

# Upgraded, it keeps what the operator wrote.
printf '# mine\n' >>/etc/receiver/config.yaml
echo secret >/etc/receiver/secrets/a.key
dpkg -i "$deb" >/dev/null
tail -n 1 /etc/receiver/config.yaml | grep -q '^# mine$'

dpkg -P receiver
[ -e /etc/receiver/secrets/a.key ]
for gone in /usr/bin/receiver /etc/receiver/config.yaml /usr/lib/systemd/system/receiver.service /usr/lib/sysusers.d/receiver.conf; do
  [ ! -e "$gone" ] || { echo "$gone is still there" >&2; exit 1; }
done
rm -r /etc/receiver
userdel receiver
echo "the package installs, upgrades and removes"
