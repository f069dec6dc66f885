#!/usr/bin/env bash
# Makes what the packages hold and the repository does not: completions and manual pages, in deploy/packages/made.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
made=deploy/packages/made
rm -rf "$made"
mkdir -p "$made"
go build -o "$made/receiver" ./cmd/receiver
for shell in bash zsh fish; do
  "$made/receiver" completion "$shell" >"$made/receiver.$shell"
done
"$made/receiver" docs man "$made/man"
rm "$made/receiver"
