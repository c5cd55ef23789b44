// Package plain makes text and quantities fit to be printed.
//
// In comes text that attackers wrote, in any encoding or none, and numbers.
// Out goes text that a terminal can only show: Escape makes what acts or hides
// visible, Defang makes URLs unclickable, AppendJSON and EscapeJSON do for JSON
// what Escape does for a line, and Bytes, Duration and Count are for people.
//
// It never drops a character, never writes anything, and imports the standard
// library alone, so that every other package may use it.
package plain
