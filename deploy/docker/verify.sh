#!/usr/bin/env bash
# Runs the steps of the Dockerfile without a container engine, and the result as an engine would: as
# user 65532, with a read-only root in which only /var/lib/receiver can be written, without a
# capability. Needs root, Go, curl and util-linux (unshare, setpriv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$(mktemp -d)
chmod 0755 "$root"
trap 'rm -rf "$root"' EXIT

# The RUN step that makes /out is taken from the Dockerfile itself.
step=$(awk '/^RUN CGO_ENABLED/ { on = 1; sub(/^RUN /, "") } on { print; if (!/\\$/) exit }' deploy/docker/Dockerfile)
export VERSION=v0.0.0-image COMMIT=unknown DATE=unknown
bash -euc "${step//\/out\//$root/}"
if readelf -d "$root/usr/bin/receiver" | grep NEEDED; then
  echo "the program is not static" >&2
  exit 1
fi
chown -R 65532:65532 "$root/var/lib/receiver"
mkdir "$root/dev" "$root/proc"
touch "$root/dev/null"

unshare --mount --net --pid --fork --kill-child bash -euo pipefail -s "$root" <<'INSIDE'
root=$1
ip link set lo up
mount --bind "$root" "$root"
mount --bind "$root/var/lib/receiver" "$root/var/lib/receiver"
mount --bind /dev/null "$root/dev/null"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
receiver() {
  env -i PATH="$PATH" RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=the-key-of-the-image HOME=/ \
    setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$root" /usr/bin/receiver --config /etc/receiver/config.yaml "$@"
}
receiver version
if receiver healthcheck 2>/dev/null; then
  echo "healthcheck succeeds, and nothing runs yet" >&2
  exit 1
fi
receiver serve 2>"$root/var/lib/receiver/log" &
for _ in $(seq 100); do
  if receiver healthcheck 2>/dev/null; then break; fi
  sleep 0.2
done
receiver healthcheck || { cat "$root/var/lib/receiver/log" >&2; exit 1; }
body='{"id":"1","status":"COMPLETED"}'
signature=$(printf %s "$body" | openssl dgst -sha256 -hmac the-key-of-the-image -binary | base64)
curl -sSf -o /dev/null -w 'a signed callback: %{http_code}\n' -H "Elements-Webhook-Signature: sha256=$signature" -d "$body" http://127.0.0.1:8080/callbacks/crm
pid=$(cat "$root"/proc/[0-9]*/stat | awk '$2 == "(receiver)" { print $1 }')
grep -E '^(Uid|CapEff|NoNewPrivs):' "$root/proc/$pid/status"
receiver jobs list
kill -TERM "$pid"
wait
grep -q '"message":"stopped"' "$root/var/lib/receiver/log"
echo "the image's steps work: static, user 65532, read-only root, no capability"
INSIDE
