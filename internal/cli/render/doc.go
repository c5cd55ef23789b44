// Package render prints rows and records as a table, as JSON, as JSON lines or
// as CSV.
//
// In come columns and the values of rows, much of it text that attackers wrote.
// Out goes, to one io.Writer, one of four forms:
//
//   - table: for people. What acts on a terminal or hides is shown as an escape,
//     URLs are unclickable, sizes and durations have units, an absent value is
//     "-". Only here, and only on a terminal, long cells are shortened. Of very many rows
//     it is several, each with its head.
//   - json, jsonl: exact. Keys in the order of the columns, numbers as numbers,
//     durations as seconds, times as RFC 3339 in UTC with microseconds, absent
//     values as null. Bytes that are not UTF-8 become U+FFFD.
//   - csv: values as in json, text escaped as in a table (so a record is a line),
//     and no cell of text starts a formula. Absent values are empty.
//
// It never chooses what is printed, never reorders, and never writes to
// anything but the writer that it was given.
package render
