// Package cowrie is the domain: what a line of a Cowrie log says.
//
// Bytes of a log come in; events, sessions, commands, sightings of files,
// verdicts and dead letters go out, as plain values. The rules that turn an
// event into any of these stand here and nowhere else: loading, backfilling
// and verifying all call Gather.
//
// The package never reads a file, never talks to a database, and imports the
// standard library alone. It trusts nothing in a line: attackers wrote it.
package cowrie
