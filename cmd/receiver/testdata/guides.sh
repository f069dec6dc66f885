# Runs blocks of commands of a guide in this shell, in their order, as a reader does; TestTheGuidesRun calls it with their files.
#   - A block that begins with "# in a terminal of its own" goes on beside the others, in a shell of its own that begins in the
#     same folder. What it prints is in terminal-N. If the line ends with `until it says "TEXT"`, the next block waits for TEXT.
#   - The pages have the usual ports. The test has free ones, PUBLIC, PRIVATE, NATS and PLATFORM, which replace those in config.yaml and in commands.
#   - CLONE is the clone of this repository; the pages call their folder /tmp/receiver-tutorial, which is this one.
set -euo pipefail
export RECEIVER_CONFIG=$PWD/config.yaml XDG_CONFIG_HOME=$PWD USER=operator
dir=$PWD
pids=()
finish() {
  [ "$1" = 0 ] || tail -n 15 "$dir"/terminal-* || true
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
  wait
}
trap 'finish $?' EXIT
trap 'exit 1' TERM

# own_ports has config.yaml use the ports of the test, once there is one.
own_ports() {
  local c=$dir/config.yaml
  [ -f "$c" ] && [ ! -f "$dir/own-ports" ] || return 0
  address() { awk -v of="$1:" '/^[a-z]/ { inside = $1 == of } inside && $1 == "address:" { print $2; exit }' "$c"; }
  sed -i "s/$(address public)/127.0.0.1:$PUBLIC/; s/$(address private)/127.0.0.1:$PRIVATE/; s/$(address nats)/127.0.0.1:$NATS/
    s|\(base_url: http://\)[^/]*/elements|\1127.0.0.1:$PLATFORM/elements|" "$c"
  : >"$dir/own-ports"
}

# here FILE prints it with the addresses and the folder of this run.
here() {
  sed -E "s|/tmp/receiver-tutorial|$dir|g; s/(localhost|127\.0\.0\.1):8080/127.0.0.1:$PUBLIC/g; s/(localhost|127\.0\.0\.1):8081/127.0.0.1:$PRIVATE/g
    s/(localhost|127\.0\.0\.1):4222/127.0.0.1:$NATS/g" "$1"
}

# background TEXT COMMAND... has a command run beside, and waits until it has printed TEXT into the file $log.
background() {
  local text=$1 i
  log=$dir/terminal-$((${#pids[@]} + 1))
  shift
  : >"$log"
  "$@" >>"$log" 2>&1 &
  pids+=($!)
  for ((i = 0; i < 600; i++)); do
    if grep -qF -- "$text" "$log"; then return; fi
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  echo "$*: it did not print $text:"
  cat "$log"
  return 1
}

# systemctl start|stop receiver is what the pages have for a receiver that systemd runs.
served=
systemctl() {
  if [ "$1" = start ]; then
    background '"message":"listening"' receiver serve
    served=${pids[-1]}
  else
    kill "$served"
    wait "$served" || true
  fi
}

# A token is accepted within three seconds and a proof is there after one; a reader is slower. With -i a refusal is what the page shows.
curl() {
  case " $* " in
    *" -i "*) command curl -sS "$@" && echo ;;
    *" -N "*) command curl -sS --fail-with-body "$@" && echo ;;
    *) command curl -sS --fail-with-body --retry 8 --retry-delay 1 --retry-all-errors "$@" && echo ;;
  esac
}

for block; do
  here "$block" >"$block.here"
  sed 's/^/$ /' "$block.here"
  if [[ $(head -n 1 "$block") == "# in a terminal of its own"* ]]; then
    background "$(sed -nE '1s/.* until it says "(.*)"$/\1/p' "$block.here")" bash -euo pipefail "$block.here"
  else
    . "$block.here"
  fi
  own_ports
done
