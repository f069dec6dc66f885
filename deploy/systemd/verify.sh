#!/usr/bin/env bash
# Checks the units by systemd-analyze, and runs the service's command on a socket of systemd, with the
# packaged configuration, its example of a source included, and credentials as LoadCredential= gives
# them. No systemd need run here. Needs Go, systemd, openssl and curl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
pid=
finish() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" || true
  rm -rf "$work"
}
trap finish EXIT

go build -o "$work/receiver" ./cmd/receiver
cp deploy/systemd/receiver.socket "$work"
sed "s#/usr/bin/receiver#$work/receiver#" deploy/systemd/receiver.service >"$work/receiver.service"
systemd-analyze verify "$work/receiver.service" "$work/receiver.socket"
systemd-analyze security --offline=true --threshold=20 "$work/receiver.service" | tail -1

mkdir "$work/state" "$work/credentials"
for name in crm.element_token crm.user_secret crm.key token.secret; do
  openssl rand -hex 32 >"$work/credentials/secret_$name"
done
port=$((20000 + RANDOM % 10000))
sed -e '/^sources: {}$/d' -e '/^# sources:$/,/^# token_secret:/ s/^# //' \
  -e "s#/run/credentials/receiver.service#$work/credentials#; s#/var/lib/receiver#$work/state#; s#127.0.0.1:8081#127.0.0.1:$((port + 1))#" \
  deploy/systemd/config.yaml >"$work/config.yaml"
printf '    address: 127.0.0.1:0\n' >>"$work/config.yaml" # nats.embedded: not the port of a receiver that runs here
receiver() { "$work/receiver" --config "$work/config.yaml" "$@"; }
receiver config check

systemd-socket-activate -l "127.0.0.1:$port" --fdname=public "$work/receiver" --config "$work/config.yaml" serve 2>"$work/log" &
pid=$!
body='{"id":"1","status":"COMPLETED"}'
signature=$(printf %s "$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(tr -d '\n' <"$work/credentials/secret_crm.key" | od -An -v -tx1 | tr -d ' \n')" -binary | base64)
# The first connection starts the service.
curl -sSf --retry 20 --retry-connrefused --retry-delay 1 -o /dev/null -w 'a signed callback: %{http_code}\n' \
  -H "Elements-Webhook-Signature: sha256=$signature" -d "$body" "http://127.0.0.1:$port/callbacks/crm" || { cat "$work/log" >&2; exit 1; }
receiver healthcheck
