// Package backfill derives files from the raw events that cowrieprocessor left
// in a database which was taken over.
//
// Raw events come in, read by their ids; sightings, files and verdicts go out,
// a few in each transaction, with the position that they reach to. A run that is
// killed has lost nothing and does nothing twice. It keeps out of the way of
// others who write to the database, and lets itself be paused.
//
// The package never changes a raw event, never asks anybody about a file, and
// does not know what makes a sighting: cowrie does.
package backfill
