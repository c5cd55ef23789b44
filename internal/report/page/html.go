package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"sync"

	"midden/internal/report"
)

//go:embed page.css
var style string

//go:embed page.tmpl
var pageText string

// policy lets a browser do nothing but apply the one style sheet in the page.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'"
}

// pageTemplate is made when it is asked for: most commands need none.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) },
		"policy": policy,
		"more":   more,
	}).Parse(pageText))
})

// HTML writes a report as one page, which needs nothing else: no script, no font, no
// image. It is light or dark as the reader likes it, and light on paper.
func HTML(w io.Writer, d *report.Document) error {
	return pageTemplate().Execute(w, newView(d))
}
