// Package trail reads what the streams hold as the trail of an audit: every callback,
// accepted or refused, as one entry, filtered and in the forms that people and SIEMs take,
// and whether its signature still holds.
//
// It decides nothing about callbacks and proves nothing about the order of records, which
// is audit's. Streams come in as iterators; it knows no broker.
package trail
