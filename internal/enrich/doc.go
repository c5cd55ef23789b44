// Package enrich finds out what is known of files.
//
// Directories with the cache of an older tool come in; verdicts go out, in
// batches, to where verdicts are kept. What a cache holds already need not be
// asked for again.
//
// The package never decides whether a verdict is known: that is the business
// of whoever keeps them. It never writes to a cache, opens nothing outside of
// it and nothing but regular files, and trusts nothing in it: whatever is not
// plainly an answer about the file it is named after is passed over, and
// costs no more than asking again.
package enrich
