// Package ingest takes logs into the event log.
//
// Paths come in; what their files hold and the event log does not have yet is
// appended to it, in batches, each with the position it was read to. One
// goroutine reads, several make sense of what was read, one writes. A run that
// is killed has lost nothing: the next one goes on at the committed positions.
//
// The package never decides whether an event is known: that is the event
// log's business. It keeps no state outside of it.
package ingest
