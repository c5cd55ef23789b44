// Package page makes pages for people out of reports: Markdown and HTML.
//
// A report comes in, one text goes out. What attackers wrote in it is shown and
// does nothing: it stands in one line, what cannot be seen is written as an escape,
// URLs are made unclickable, and no link, script, image or reference to anything
// outside is in a page. The same report gives the same bytes.
package page
