// Package logs finds log files and reads their content.
//
// Paths come in; stretches of whole records go out, with the position of each
// in the decompressed content and a running digest of what stands before it,
// so that a log is known again under any name.
//
// The package never writes, never follows a link to a directory, never blocks
// on what is not a regular file, and holds at most one record of MaxRecord
// bytes in memory.
package logs
