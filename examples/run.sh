#!/usr/bin/env bash
# Shows both consumers at work: makes one finished event with `receiver demo`, serves the store that it left behind,
# admits both, sends a callback that is too large for a message, and has each consumer print both events. Exits 0 only if both did. Needs Go, and Node with npm for the second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server" && wait "$server" || true; }; rm -rf "$work"' EXIT

go build -o "$work/" ./cmd/receiver ./examples/consumer-go
"$work/receiver" demo --keep "$work/demo" --once >/dev/null
"$work/receiver" --config "$work/demo/config.yaml" serve 2>"$work/serve.log" &
server=$!

address=$(awk '/^nats:/ { nats = 1 } nats && $1 == "address:" { print $2; exit }' "$work/demo/config.yaml")
for ((i = 0; ; i++)); do
  (: <"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null && break
  if ! kill -0 "$server" 2>/dev/null || [ "$i" -ge 100 ]; then
    echo "receiver serve did not start:"
    cat "$work/serve.log"
    exit 1
  fi
  sleep 0.1
done
export NATS_URL=nats://$address

# check NAME WANT COMMAND... wants the command to end and its output to match.
check() {
  local name=$1 want=$2 line
  shift 2
  line=$(timeout 30 "$@") || { echo "$name: exit status $?"; exit 1; }
  echo "$name: $line"
  [[ $line =~ $want ]] || { echo "$name: the line does not match $want"; exit 1; }
}

# A callback of 8 MiB, the largest that is accepted: its body goes to the object store.
public=$(awk '/^public:/ { public = 1 } public && $1 == "address:" { print $2; exit }' "$work/demo/config.yaml")
{ printf '{"id":"large","status":"COMPLETED"}'; head -c $((8 * 1024 * 1024 - 35)) /dev/zero | tr '\0' ' '; } >"$work/large.json"
header=$("$work/receiver" sign --key-file "$work/demo/signature.key" "$work/large.json")
curl -sSf -o "$work/answer" -H "$header" --data-binary @"$work/large.json" "http://$public/callbacks/demo"

# admit NAME makes a consumer, whose credentials and inbox prefix the example takes from the environment.
admit() {
  "$work/receiver" --config "$work/demo/config.yaml" consumers add "$1" --creds "$work/$1.creds" >/dev/null 2>"$work/added"
  export NATS_CREDS=$work/$1.creds NATS_INBOX_PREFIX=_INBOX_$1
}

event='^[0-9A-Za-z_-]+ succeeded object=contact status=COMPLETED rows=10 failed=0 source=demo id=[0-9A-Za-z_-]+\.finished'
large='large succeeded object= status=COMPLETED rows=\? failed=\? source=demo id=large\.finished'
admit consumer-go
check consumer-go "$event.$large body=8388608-bytes,from-the-object-store\$" "$work/consumer-go" -count 2
(cd examples/consumer-js && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
export KEY_FILE=$work/demo/signature.key
admit consumer-js
check consumer-js "$event signature=verified.$large signature=verified\$" node examples/consumer-js/consumer.mjs --count 2
