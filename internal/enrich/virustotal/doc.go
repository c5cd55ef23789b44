// Package virustotal understands what VirusTotal says.
//
// Bodies of its API, version 3, come in, as they were answered or as an old
// cache kept them; verdicts go out. What is no answer about a file is an error
// that can be matched, never a verdict that says nothing.
//
// The package never guesses what was not said, and it trusts no body: whoever
// gave it, proxies and broken caches included, may have written anything.
package virustotal
