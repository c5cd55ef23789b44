// Package telemetry tells how a long run goes while it goes: log lines, a bar on
// a terminal, and status files for dashboards.
//
// In come what the run did so far (Counts, Status) and messages. Out go lines
// and a bar on the writer that was given, and JSON files in one directory. Text
// that attackers wrote, in a message, a value or a file name, is harmless on a
// terminal in all of them.
//
// It never ends a run or slows it for its own sake: what cannot be written is
// said once and passed over. It never counts anything itself, and it never
// writes to stdout.
package telemetry
