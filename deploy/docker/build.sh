#!/usr/bin/env bash
# Builds the image from the Dockerfile as it is, with buildah, where no registry can be reached: this machine's Go and
# busybox stand in for the first base image, and an image with authorities and the user 65532 for the second. Then it
# looks at what the image says of itself, and runs the program from its files. Needs root, buildah and busybox-static.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
images() { buildah --root "$work/root" --runroot "$work/run" "$@"; }
trap 'images rm --all >/dev/null 2>&1 || true; images rmi --all --force >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

go=$(images from scratch)
images copy -q "$go" "$(command -v busybox)" /bin/busybox >/dev/null
at=$(images mount "$go")
mkdir -p "$at"/{tmp,root,etc/ssl/certs,usr/local/go} && chmod 1777 "$at/tmp"
for tool in sh mkdir cp chmod; do ln -s busybox "$at/bin/$tool"; done
cp -L /etc/ssl/certs/ca-certificates.crt "$at/etc/ssl/certs/"
images config --env PATH=/usr/local/go/bin:/bin --env GOPATH=/go --env GOCACHE=/cache "$go"
images commit -q "$go" docker.io/library/golang:1.26-bookworm >/dev/null

base=$(images from scratch)
at=$(images mount "$base")
mkdir -p "$at"/{tmp,etc/ssl/certs,var/lib}
cp -L /etc/ssl/certs/ca-certificates.crt "$at/etc/ssl/certs/"
printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$at/etc/passwd"
printf '%s\n' root:x:0: nonroot:x:65532: >"$at/etc/group"
images commit -q "$base" gcr.io/distroless/static-debian12:nonroot >/dev/null

images bud --isolation chroot --pull-never --format docker --ignorefile deploy/docker/Dockerfile.dockerignore \
  --volume "$(go env GOROOT):/usr/local/go:ro" --volume "$(go env GOMODCACHE):/go/pkg/mod" --volume "$(go env GOCACHE):/cache" \
  --build-arg VERSION=v0.0.0-image --build-arg COMMIT=unknown --build-arg DATE=unknown \
  -f deploy/docker/Dockerfile -t receiver .

images inspect --type image receiver | tr -d ' \n' >"$work/config.json"
for said in '"User":"65532:65532"' '"Volumes":{"/var/lib/receiver":{}}' '"8080/tcp":{}' '"Healthcheck":{"Test":["CMD","/usr/bin/receiver"' \
  '"Entrypoint":["/usr/bin/receiver","--config","/etc/receiver/config.yaml"]' '"Cmd":["serve"]'; do
  grep -qF "$said" "$work/config.json" || { echo "the image does not say $said:" >&2; cat "$work/config.json" >&2; exit 1; }
done
at=$(images mount "$(images from --pull-never receiver)")
[ "$(stat -c '%u %a' "$at/var/lib/receiver" "$at/var/lib" | paste -sd ' ')" = "65532 700 0 755" ] || { stat "$at/var/lib" "$at/var/lib/receiver" >&2; exit 1; }
chroot --userspec=65532:65532 "$at" /usr/bin/receiver version | tee "$work/version"
grep -q '^receiver v0.0.0-image (unknown, unknown' "$work/version"
du -sm "$at" | sed 's/\t.*/ MiB: the image is built from its Dockerfile/'
