#!/usr/bin/env bash
# Has the programs for services submit the ten contacts by HTTP alone, in four languages at once: to the receiver with the simulated platform;
# once more with the same keys; and with lost answers of the platform and a receiver that is killed while they follow the events.
# Exits 0 only if each has its own job, the event of it, the result and a proof that holds. Needs Go, Node with npm, Java, curl and Python with requests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=(go js python java)
work=$(mktemp -d)
declare -A pids=()
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
fail() { echo "$1"; shift; tail -n 20 "$@"; exit 1; }
# until_true COMMAND... waits for the command to succeed.
until_true() {
  local i
  for ((i = 0; i < 600; i++)); do "$@" && return; sleep 0.1; done
  fail "not within a minute: $*" "$work"/*.log "$work"/out.*
}

python=python3
python3 -c 'import requests' 2>/dev/null || python=/usr/bin/python3
go build -o "$work/" ./cmd/receiver ./examples/service-go
npm ci --prefix examples/service-js --no-audit --no-fund --loglevel=error >/dev/null
npm run --prefix examples/service-js -s check
program() {
  case $1 in
    go) echo "$work/service-go" ;;
    js) echo "node $PWD/examples/service-js/service.mjs" ;;
    python) echo "$python $PWD/examples/service-python/service.py" ;;
    java) echo "java $PWD/examples/service-java/Service.java" ;;
  esac
}

config=$work/demo/config.yaml
receiver() { "$work/receiver" --config "$config" "$@"; }
"$work/receiver" demo --keep "$work/demo" --once >/dev/null
receiver tokens add shop --scope submit,read,audit >"$work/shop.token" 2>/dev/null
log_key=$(receiver audit keys | grep JOBS)
address() { awk -v of="$1:" '/^[a-z]/ { inside = $1 == of } inside && $1 == "address:" { print $2; exit }' "$config"; }
public=http://$(address public)
export SERVICE_URL=http://$(address private) SERVICE_TOKEN_FILE=$work/shop.token
serve() {
  "$work/receiver" --config "$config" serve 2>>"$work/serve.log" &
  pids[serve]=$!
  until_true curl -sf -o "$work/answer" "$SERVICE_URL/healthz"
}
# simulate FLAG... replaces the platform.
simulate() {
  [ -z "${pids[simulate]:-}" ] || { kill "${pids[simulate]}"; wait "${pids[simulate]}" || true; }
  "$work/receiver" --config "$config" simulate "$@" 2>>"$work/simulate.log" &
  pids[simulate]=$!
}
get() { curl -sSf -H "Authorization: Bearer $(cat "$work/shop.token")" "$SERVICE_URL$1"; }

# start ROUND KEYS [FILE] runs all programs, each in a folder of its own.
start() {
  local name
  for name in "${names[@]}"; do
    mkdir "$work/$1.$name"
    # shellcheck disable=SC2046 # the words of a command
    (cd "$work/$1.$name" && exec timeout 100 $(cd "$OLDPWD" && program "$name") demo contact "${3:-$OLDPWD/examples/sample.csv}" "$2-$name" >"../out.$1.$name" 2>&1) &
    pids[$name]=$!
  done
}
job() { sed -n 's/^submitted: job //p' "$work/out.$1.$2"; }
# follows ROUND TIMES is true if each program has connected to the events so often.
follows() {
  local name
  for name in "${names[@]}"; do [ "$(grep -c '^events: behind' "$work/out.$1.$name")" -ge "$2" ] || return 1; done
}
# finish ROUND CONNECTIONS wants each program to end well after so many connections to the events, and to have what it came for.
finish() {
  local name out job
  for name in "${names[@]}"; do
    out=$work/out.$1.$name
    wait "${pids[$name]}" || fail "round $1, $name: exit status $?" "$out" "$work"/*.log
    job=$(job "$1" "$name")
    grep -qx "job $job: succeeded, 10 records, 0 failed" "$out" || fail "round $1, $name: no success" "$out"
    [ "$(grep -c '^events: behind' "$out")" = "$2" ] || fail "round $1, $name: not $2 connections" "$out"
    [ "$(grep -cE "^event [0-9]+: job $job is finished\$" "$out")" = $(($2 > 0)) ] || fail "round $1, $name: not one event" "$out"
    cmp "$work/$1.$name/result.csv" examples/sample.csv
    python3 examples/check_bundle.py "$work/$1.$name/proof.json" --log-key "$log_key" --signature-key-file "$work/demo/signature.key" >"$work/answer"
    [ "$(get "/v1/sources/demo/jobs/$job/events" | grep -o '"kind":"finished"' | wc -l)" = 1 ] || fail "round $1, $name: not one finished event" "$out"
    echo "round $1, $name: $(tail -n 6 "$out" | paste -sd ';')"
  done
}

# A job that fails, and a file that preflight refuses, are no success.
serve
simulate --job-duration 1s --faults status=ABORTED
start failed f
for name in "${names[@]}"; do
  ! wait "${pids[$name]}" || fail "$name: exit status 0 for a job that failed" "$work/out.failed.$name"
  grep -qx "job $(job failed "$name"): failed, .*" "$work/out.failed.$name" || fail "$name: no failed job" "$work/out.failed.$name"
done
echo 'nobody,knows' >"$work/bad.csv"
start refused r "$work/bad.csv"
for name in "${names[@]}"; do
  ! wait "${pids[$name]}" || fail "$name: exit status 0 for a refused file" "$work/out.refused.$name"
  grep -q '^preflight: 0 rows, [1-9]' "$work/out.refused.$name" && [ -z "$(job refused "$name")" ] || fail "$name: not refused" "$work/out.refused.$name"
done

simulate --job-duration 3s
start 1 a
finish 1 1

start 2 a
finish 2 0
for name in "${names[@]}"; do [ "$(job 1 "$name")" = "$(job 2 "$name")" ] || fail "$name: the same key made another job" "$work"/out.*."$name"; done

# Every answer to an upload is lost, and no job calls back, until the receiver is back. The proxy between sends events in other forms.
simulate --faults post=lost,callback=never --job-duration 1s
python3 examples/services_proxy.py "$SERVICE_URL" >"$work/proxy.address" 2>"$work/proxy.log" &
pids[proxy]=$!
until_true test -s "$work/proxy.address"
SERVICE_URL=$(cat "$work/proxy.address") start 3 b
until_true follows 3 1
kill -9 "${pids[serve]}"
wait "${pids[serve]}" 2>/dev/null || true
serve
until_true follows 3 2
for name in "${names[@]}"; do
  grep -q ': unknown$' "$work/out.3.$name" || fail "$name: the answer was not lost" "$work/out.3.$name"
  printf '{"id":"%s","status":"COMPLETED","recordsCount":10,"recordsFailedCount":0}' "$(job 3 "$name")" >"$work/body.json"
  curl -sSf -o "$work/answer" -H "$(receiver sign --key-file "$work/demo/signature.key" "$work/body.json")" --data-binary @"$work/body.json" "$public/callbacks/demo"
done
finish 3 2
[ "$(get '/v1/jobs?limit=100' | grep -o '"id":' | wc -l)" = 13 ] || fail "there are not 12 jobs and that of the demo" "$work"/out.*
