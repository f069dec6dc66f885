// Package auditlog reads the streams as an audit log: every callback, accepted or refused, is one
// entry. Entries can be filtered, written as text, CSV or OCSF, and checked: the package says
// whether the signature of each still holds.
//
// It decides nothing about callbacks and proves nothing about the order of records, which
// is audit's. Streams come in as iterators; it knows no broker.
package auditlog
