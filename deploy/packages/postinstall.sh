#!/bin/sh
# Makes the user, and has a service that runs use the new program.
set -e
if command -v systemd-sysusers >/dev/null; then
  systemd-sysusers receiver.conf
elif ! id receiver >/dev/null 2>&1; then
  useradd --system --user-group --home-dir /var/lib/receiver --shell /usr/sbin/nologin receiver
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl try-restart receiver.service
fi
