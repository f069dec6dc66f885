// Package audit makes the order of a stream tamper-evident and hands out the proofs.
//
// It owns the canonical bytes of a record, the Merkle log over a stream (one leaf per
// sequence number), the sealer that advances it, its signed checkpoints and the proof bundle, and
// what a verification reports; package verification makes the report. The formats are written
// down in docs/evidence.md; what these packages and that page say must agree.
//
// It never decides what is authentic (an HMAC check comes in as a func), never talks to a
// broker (streams and stores come in as interfaces), never repairs what it finds wrong, and
// never signs a tree that it has not proved to extend every tree it knows of.
//
// The formats of others, read 2026-11: C2SP tlog-tiles, tlog-checkpoint, tlog-cosignature,
// tlog-witness and signed-note (https://c2sp.org), and RFC 6962 section 2.1 for the tree.
// Comments marked "C2SP:" say where one of them is obeyed.
package audit
