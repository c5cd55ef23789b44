// Package abusech asks two services of abuse.ch about files: MalwareBazaar, which
// has samples of malware that people gave it, and URLhaus, which has what was
// served by URLs that spread malware. Both take the same key, an Auth-Key.
//
// A SHA-256 comes in; a verdict goes out, or that the service does not know the
// file. Neither counts engines: that a file is listed is what they say of it,
// mostly with the family that it belongs to.
//
// The package never guesses what was not said, and it trusts no body: whoever
// gave it, proxies included, may have written anything. It never shows a key.
package abusech
