// Package bench measures midden and what else could do its work, in one run.
//
// The program comes in as a path, and how large things are to be; a Page goes out, and its text:
// docs/performance.md. Programs are measured as their users run them, from outside. What is compared
// runs in turn, round by round, and is asked for the same answers, which must agree. All files are in
// a temporary folder that is removed; nothing is read or written elsewhere.
package bench
