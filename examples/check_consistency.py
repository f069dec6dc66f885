#!/usr/bin/env python3
"""Check offline that one checkpoint of a log of receiver extends another, as docs/evidence.md says under "The
consistency proof". Needs Python 3.9, check_bundle.py and ed25519.py beside it. Exit codes: 0 it does; 1 it does not."""
import argparse, sys
from check_bundle import b64, checkpoint, need, read, sha256

def signed(path):  # the checkpoint of a bundle, or one by itself
    return read(path)["checkpoint"] if open(path, "rb").read().lstrip()[:1] == b"{" else open(path, encoding="utf-8").read()
def roots(m, n, proof, old):  # RFC 9162 section 2.1.4.2
    proof = ([old] if m & (m - 1) == 0 else []) + proof
    first, last = m - 1, n - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    a = b = proof[0]
    for node in proof[1:]:
        need(last, "the proof is too long")
        if first & 1 or first == last:
            a, b = sha256(b"\1" + node + a), sha256(b"\1" + node + b)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            b = sha256(b"\1" + b + node)
        first, last = first >> 1, last >> 1
    return (a, None if last else b)
def check(p, one, other, log_key):
    (origin, m, old), (_, n, new) = sorted((checkpoint(signed(f), log_key) for f in (one, other)), key=lambda c: c[1])
    need(p["format"] == "receiver-consistency/v1", "not a consistency proof of this format")
    need((p["origin"], p["old_size"], p["new_size"]) == (origin, m, n), "the proof is about other checkpoints")
    proof = [b64(node) for node in p["proof"]]
    if 0 < m < n:
        need(n < 2**62, "no log is that large")
        need(roots(m, n, proof, old) == (old, new), "the later checkpoint does not extend the earlier one")
    else:
        need(not proof and (old == new if m == n else old == sha256(b"")), "the later checkpoint does not extend the earlier one")
    print(f"{origin}, size {n}: extends the one of size {m}")
args = argparse.ArgumentParser(description=__doc__)
args.add_argument("files", nargs=2, help="two bundles or signed checkpoints")
args.add_argument("--proof", required=True)
args.add_argument("--log-key", required=True, help="the log's verifier key, from someone you trust")
args = args.parse_args()
try:
    check(read(args.proof), *args.files, args.log_key)
except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as e:
    sys.exit(f"NOT PROVED: malformed: {e!r}")
