#!/usr/bin/env python3
"""Check an evidence bundle of receiver offline, as docs/evidence.md says. Needs Python 3.9 and ed25519.py beside it.
Exit codes: 0 the bundle is proved; 1 it is not; 2 wrong usage; 3 it is in the log, but an origin is not known."""
import argparse, base64, datetime, hashlib, hmac, json, sys
import ed25519
def need(ok, what):
    if not ok:
        sys.exit("NOT PROVED: " + what)
def once(pairs): return need(len(dict(pairs)) == len(pairs), "a key of the file is repeated") or dict(pairs)
def read(path): return json.load(open(path, encoding="utf-8"), object_pairs_hook=once)
def b64(text): return base64.b64decode(text, validate=True)
def raw(text): return text.encode() if isinstance(text, str) else b64(text["base64"])
def field(data): return len(data).to_bytes(4, "big") + data
def sha256(data): return hashlib.sha256(data).digest()

def leaf(r):
    need(r["time"][19] == "." and r["time"][29:] == "Z", "malformed time")
    nanos = int(datetime.datetime.fromisoformat(r["time"][:19] + "+00:00").timestamp()) * 10**9 + int(r["time"][20:29])
    out = b"receiver-leaf/v1\nR" + field(raw(r["stream"])) + r["sequence"].to_bytes(8, "big") + field(raw(r["subject"]))
    out += nanos.to_bytes(8, "big", signed=True) + len(r["header"]).to_bytes(4, "big")
    for name, *values in r["header"]:
        out += field(raw(name)) + len(values).to_bytes(4, "big") + b"".join(field(raw(v)) for v in values)
    return out + field(b64(r["data"]))
def root(i, last, node, proof):  # RFC 9162 section 2.1.3.2
    for sibling in map(b64, proof):
        need(last, "a proof is too long")
        node = sha256(b"\1" + sibling + node if i & 1 or i == last else b"\1" + node + sibling)
        while i == last and i and not i & 1:
            i, last = i >> 1, last >> 1
        i, last = i >> 1, last >> 1
    return None if last else node
def checkpoint(signed, log_key):  # returns its origin, size and root
    text, _, lines = signed.partition("\n\n")
    (origin, size, head), (name, given, key) = text.split("\n"), log_key.split("+", 2)
    key_id = sha256(name.encode() + b"\n" + b64(key))[:4]
    ours = [b64(sig)[4:] for _, signer, sig in map(str.split, lines.splitlines()) if signer == name and b64(sig)[:4] == key_id]
    need(b64(key)[:1] == b"\1" and (name, given) == (origin, key_id.hex()) and len(ours) == 1, "the checkpoint is not signed by this log key")
    need(ed25519.verify(b64(key)[1:], text.encode() + b"\n", ours[0]), "the checkpoint's signature is wrong")
    return origin, int(size), b64(head)

def conclude(r, key, files, used):  # check 7 of docs/evidence.md
    def get(name): return next((raw(vs[0]).decode("latin-1") for n, *vs in r["header"] if raw(n).decode("latin-1") == name and vs), "")
    def has(digest): return digest in files and (used.add(digest) or True)
    subject, digest, by = raw(r["subject"]), get("receiver-body-sha256"), get("receiver-key-fingerprint")
    sent = [raw(v).decode("latin-1").strip(" \t") for n, *vs in r["header"] if raw(n) == b"receiver-signature" for v in vs]
    body, ref, unknown = b64(r["data"]), get("receiver-data-ref"), None
    if ref:
        stored = ref.rpartition("/")[2].partition(".")[0]
        body = files[stored] if has(stored) else None
    elif not body and get("receiver-body-size") not in ("", "0"):
        body = None
    if body is None or get("receiver-encryption"):
        unknown = "body not in the bundle" if body is None else "body encrypted"
        if has(digest):
            body, unknown = files[digest], None
    if not unknown and digest not in ("", hashlib.sha256(body).hexdigest()):
        return "contradicts itself"
    if not by and not "".join(sent[:1]):
        signed = not subject.startswith(b"attempts.") and get("ce-evidence") in ("callback", "late")
        return "contradicts itself" if signed else "nothing signed"
    if unknown or key is None:
        return unknown
    right = [v[:7].lower() + v[7:] for v in sent] == ["sha256=" + base64.b64encode(hmac.digest(key, body, "sha256")).decode()]
    if subject.startswith(b"attempts.") and not by:
        return "refused, but signed with the given key" if right else "refused, and not signed with the given key"
    ours = by in ("", "sha256:" + hashlib.sha256(key).hexdigest()[:8])
    return "signed with the given key" if right else "contradicts itself" if ours else "said to be signed with another key"

def check(bundle, log_key, key, files):
    need(bundle["format"] == "receiver-evidence/v1" and bundle["records"], "not a bundle of this format, or empty")
    (origin, size, head), used, known = checkpoint(bundle["checkpoint"], log_key), set(), True
    sequences = [r["sequence"] for r in bundle["records"]]
    need(sequences == sorted(set(sequences)), "the records are not in order")
    for r in bundle["records"]:
        what, index = f"{origin}, sequence {r['sequence']}", r["sequence"] - bundle["first_sequence"]
        need(0 <= index < size < 2**62 and origin.endswith("/" + r["stream"]), what + ": not of this log")
        need(root(index, size - 1, sha256(b"\0" + leaf(r)), r["proof"]) == head, what + ": not in the log")
        found = conclude(r, key, files, used)
        need(found not in ("contradicts itself", "said to be signed with another key"), f"{what}: in the log, but {found}")
        known = known and (key is None or found not in ("body not in the bundle", "body encrypted"))
        print(f"{what}: in the log" + (f"; {found}" if key is not None else ""))
    need(used == set(files), "a given body is not one that a record of the bundle names")
    return 0 if known else 3
if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("bundle")
    args.add_argument("--log-key", required=True, help="the log's verifier key, from someone you trust")
    args.add_argument("--signature-key-file", help="the platform's signature key; one newline at its end is dropped")
    args.add_argument("--body", action="append", default=[], help="a file with a body that is not in the bundle, or is encrypted there")
    args = args.parse_args()
    secret = open(args.signature_key_file, "rb").read().removesuffix(b"\n") if args.signature_key_file else None
    bodies = {hashlib.sha256(data).hexdigest(): data for data in (open(name, "rb").read() for name in args.body)}
    try:
        sys.exit(check(read(args.bundle), args.log_key, secret, bodies))
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as e:
        sys.exit(f"NOT PROVED: malformed: {e!r}")
