#!/usr/bin/env bash
# Makes in the folder made: an authority, the certificates of the servers and of the users of
# nats.conf, and the secrets of receiver.yaml. What is there stays: remove a file to renew it.
# The folder is for this user only. In the containers the key of the servers is read by their root,
# which has no capability, and the files of receiver by the user that the file .env names: this one,
# or nonroot of the image if this is root.
set -euo pipefail
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p -m 0700 made
cd made

if [ ! -e ca.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=receiver's compose" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem 2>/dev/null
fi

# certificate NAME USES DNS-NAME...
certificate() {
  local name=$1 uses=$2
  shift 2
  [ ! -e "$name.pem" ] || return 0
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -out "$name.pem" 2>/dev/null \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$(printf 'DNS:%s,' "$@" | sed 's/,$//')" "$uses")
  rm "$name.csr"
}
certificate nats serverAuth,clientAuth nats-1 nats-2 nats-3
certificate receiver clientAuth receiver
certificate operator clientAuth operator

for secret in crm.key token.secret; do
  [ -e "$secret" ] || openssl rand -hex 32 >"$secret"
done

user=$(id -u):$(id -g)
[ "$user" != 0:0 ] || user=65532:65532
chmod 0644 nats.key
chmod 0600 receiver.key operator.key ca.key crm.key token.secret
[ "$(id -u)" -ne 0 ] || chown "$user" receiver.key crm.key token.secret
echo "RECEIVER_USER=$user" >../.env
