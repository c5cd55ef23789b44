// Package source is what all sources of verdicts have in common: how they are
// asked over HTTP, and why there may be no answer.
//
// A client makes one request at a call, and hands out the answer as it was
// read: what it says, the package of the source knows. It trusts no answer: not
// its size, nor its compression, nor where it redirects to.
//
// The package never shows a key, and keeps nothing.
package source
