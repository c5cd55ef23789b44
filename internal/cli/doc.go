// Package cli is the command line: one file a command, flags to calls.
//
// Arguments come in; data goes to standard output, everything else to standard
// error, and the exit code says how it went. No other package prints.
package cli
