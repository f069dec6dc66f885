// Package anchor keeps checkpoints where a rollback of the store does not reach, and reads
// them back: in a local file, in a folder on another disk, and at a witness.
//
// It never decides what a checkpoint proves: that is audit's.
package anchor
