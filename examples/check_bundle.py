#!/usr/bin/env python3
"""Check an evidence bundle of receiver offline, as docs/evidence.md says. Needs Python 3.9 and ed25519.py beside it."""
import argparse, base64, datetime, hashlib, hmac, json, sys
import ed25519
def need(ok, what):
    if not ok:
        sys.exit("NOT PROVED: " + what)
def once(pairs): return need(len(dict(pairs)) == len(pairs), "a key of the bundle is repeated") or dict(pairs)
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
def signed(r, key):
    sent = [v for name, *values in r["header"] if name == "receiver-signature" for v in values]
    want = base64.b64encode(hmac.digest(key, b64(r["data"]), "sha256")).decode()
    return [v.strip()[:7].lower() + v.strip()[7:] for v in sent] == ["sha256=" + want]

def check(bundle, log_key, hmac_key):
    need(bundle["format"] == "receiver-evidence/v1" and bundle["records"], "not a bundle of this format, or empty")
    text, _, lines = bundle["checkpoint"].partition("\n\n")
    (origin, size, head), (name, _, key) = text.split("\n"), log_key.split("+", 2)
    key_id = sha256(name.encode() + b"\n" + b64(key))[:4]
    ours = [b64(sig)[4:] for _, signer, sig in map(str.split, lines.splitlines()) if signer == name and b64(sig)[:4] == key_id]
    need(b64(key)[:1] == b"\1" and name == origin and len(ours) == 1, "the checkpoint is not signed by this log key")
    need(ed25519.verify(b64(key)[1:], text.encode() + b"\n", ours[0]), "the checkpoint's signature is wrong")
    for r in bundle["records"]:
        what, index = f"{origin}, sequence {r['sequence']}", r["sequence"] - bundle["first_sequence"]
        need(0 <= index < int(size) and origin.endswith("/" + r["stream"]), what + ": not of this log")
        need(root(index, int(size) - 1, sha256(b"\0" + leaf(r)), r["proof"]) == b64(head), what + ": not in the log")
        hidden = any(name == "receiver-encryption" for name, *_ in r["header"])  # the data is not what was signed
        need(hmac_key is None or hidden or signed(r, hmac_key), what + ": in the log, but this key did not sign it")
        proof = ", encrypted: who signed it is not checked" if hidden else ", signed by the platform"
        print(f"{what}: in the log" + (proof if hmac_key else ""))
args = argparse.ArgumentParser(description=__doc__)
args.add_argument("bundle")
args.add_argument("--log-key", required=True, help="the log's verifier key, from someone you trust")
args.add_argument("--signature-key-file", help="the platform's signature key; one newline at its end is dropped")
args = args.parse_args()
secret = open(args.signature_key_file, "rb").read().removesuffix(b"\n") if args.signature_key_file else None
try:
    check(json.load(open(args.bundle, encoding="utf-8"), object_pairs_hook=once), args.log_key, secret)
except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as e:
    sys.exit(f"NOT PROVED: malformed: {e!r}")
