// Package hashlookup asks CIRCL hashlookup about files: a service without a key
// that knows the files which operating systems, packages and products consist of.
//
// A SHA-256 comes in; a verdict goes out, or that the service does not know the
// file. It says what a file is and who publishes it, and of some files that
// somebody holds them for malicious, but counts no engines.
//
// The package never guesses what was not said, and it trusts no body: whoever
// gave it, proxies included, may have written anything.
package hashlookup
