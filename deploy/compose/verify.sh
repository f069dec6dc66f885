#!/usr/bin/env bash
# Runs what compose.yaml describes without a container engine: three nats-server processes, of the
# version in go.mod, with nats.conf, and receiver with receiver.yaml, in a network of their own in
# which the names nats-1, nats-2 and nats-3 lead to addresses of loopback. Needs root, Go, openssl,
# curl and util-linux (unshare).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/nats-server" github.com/nats-io/nats-server/v2
go build -o "$work/receiver" ../../cmd/receiver
cp nats.conf receiver.yaml certificates.sh "$work"
bash "$work/certificates.sh"
cp /etc/hosts "$work/hosts"
for n in 1 2 3; do
  echo "127.0.1.$n nats-$n" >>"$work/hosts"
done

unshare --mount --net --pid --fork --kill-child bash -euo pipefail -s "$work" <<'INSIDE'
cd "$1"
ip link set lo up
mount --bind hosts /etc/hosts
declare -A server
for n in 1 2 3; do
  # Each container has an address and a disk of its own. Here, flags say so.
  STORE="data-$n" ./nats-server -c nats.conf --name "nats-$n" -a "127.0.1.$n" --cluster_listen "nats://127.0.1.$n:6222" -m "822$n" 2>"log-$n" &
  server[$n]=$!
done
receiver() { ./receiver --config receiver.yaml "$@"; }
receiver config check
receiver audit init --key-file made/log.key >/dev/null 2>&1
sed -i 's/^# audit:/audit:/' receiver.yaml
./receiver --config receiver.yaml serve 2>log &
serve=$!

# try COMMAND...: until it succeeds, for half a minute or more; then it shows why it does not.
try() {
  for _ in $(seq 150); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  "$@" && return
  tail -n 5 log log-?
  return 1
}
callback() {
  local body='{"id":"'$1'","status":"COMPLETED"}' key
  key=$(od -An -v -tx1 <<<"$(<made/crm.key)" | tr -d ' \n')
  curl -sSf -o /dev/null -w "callback $1: %{http_code}\n" -d "$body" http://127.0.0.1:8080/callbacks/crm -H "Elements-Webhook-Signature: sha256=$(
    printf %s "$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:${key%0a}" -binary | base64)"
}
try receiver healthcheck
callback 1
receiver doctor --nats-monitor http://127.0.0.1:8221,http://127.0.0.1:8222,http://127.0.0.1:8223 | grep -v '^ok'
kill -KILL "${server[1]}" # two of three are enough
try callback 2
both() { [ "$(receiver jobs list -o json | grep -o '"state": *"finished"' | wc -l)" = 2 ]; }
try both
receiver jobs list

# Without a certificate of ca.pem, and with one that no user of the account has, there is no way in.
for who in "" operator; do
  sed "s#cert_file: made/receiver.pem, key_file: made/receiver.key#${who:+cert_file: made/$who.pem, key_file: made/$who.key}#" receiver.yaml >other.yaml
  if ./receiver --config other.yaml streams plan >other 2>&1; then
    echo "a client with the certificate '$who' got in" >&2
    exit 1
  fi
  tail -n 1 other
done
try receiver audit seal # every stream has a leader again
kill "$serve"
wait "$serve" || { tail -n 5 log; exit 1; }
INSIDE
echo "nats.conf and receiver.yaml work: TLS, accounts, three copies, one server lost"
