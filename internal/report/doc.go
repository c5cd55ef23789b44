// Package report makes reports of a day, a week, a month, or any other stretch of
// time: what sessions did, which files they left, what is said of those, how the
// sensors are.
//
// A period comes in, a Document goes out, made of the sessions, commands, logins,
// sightings, files and verdicts that the database holds; then a Document comes in and
// a page, a table or JSON goes out. Everything counts in the period of its own time,
// never in that in which it was loaded: a session when it began, with all that it
// did; a login, a transfer, a sighting when it was. The same database and the
// same moment (--as-of) give the same bytes.
package report
