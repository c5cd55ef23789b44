package page

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"midden/internal/report"
	"midden/internal/report/reporttest"
)

// elements are those that a page may have, with their attributes.
var elements = map[string]string{
	"html": "lang", "head": "", "body": "", "title": "id", "style": "", "meta": "charset http-equiv content name",
	"header": "", "main": "", "footer": "", "nav": "aria-label", "section": "class aria-labelledby", "div": "class", "p": "class", "span": "class aria-hidden",
	"h1": "", "h2": "id", "h3": "", "ul": "class", "li": "", "dl": "class", "dt": "", "dd": "class", "a": "href", "time": "datetime",
	"table": "", "thead": "", "tbody": "", "tr": "class", "th": "class scope colspan", "td": "class colspan aria-hidden",
	"svg": "class viewbox role aria-labelledby aria-hidden preserveaspectratio", "desc": "id", "rect": "x y width height",
	"line": "class x1 x2 y1 y2", "text": "class x y dy text-anchor",
}

var (
	ours     = regexp.MustCompile(`^#?group-\d+$`)
	geometry = regexp.MustCompile(`^-?\d+(\.\d)?$`)
)

// inert parses a page as browsers do and fails if anything in it is alive, or is not
// of ours.
func inert(t *testing.T, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	styles, policies := 0, 0
	for n := range root.Descendants() {
		switch n.Type {
		case html.CommentNode:
			t.Errorf("a comment: %q", n.Data)
			continue
		case html.ElementNode:
		default:
			continue
		}
		allowed, known := elements[n.Data]
		if !known {
			t.Errorf("<%s> in the page", n.Data)
			continue
		}
		for _, a := range n.Attr {
			key := strings.ToLower(a.Key)
			if !slices.Contains(strings.Fields(allowed), key) {
				t.Errorf("<%s %s=%q> in the page", n.Data, a.Key, a.Val)
			}
			switch key {
			case "href":
				if !ours.MatchString(a.Val) {
					t.Errorf("a link to %q", a.Val)
				}
			case "x", "y", "width", "height", "x1", "x2", "y1", "y2":
				if !geometry.MatchString(a.Val) {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			case "http-equiv":
				if policies++; a.Val != "Content-Security-Policy" {
					t.Errorf("<meta http-equiv=%q>", a.Val)
				}
			}
		}
		if n.Data == "style" {
			if styles++; content(n) != style {
				t.Error("the style sheet is another one")
			}
		}
	}
	if styles != 1 || policies != 1 {
		t.Errorf("%d style sheets, %d policies", styles, policies)
	}
	return root
}

func content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// cells returns the texts of a section in a page, the hash of a row where its column
// is.
func cells(root *html.Node, s *report.Section) (rows [][]string) {
	for part := range root.Descendants() {
		if classes := strings.Fields(attribute(part, "class")); part.Data != "div" || !slices.Contains(classes, "part") || classes[len(classes)-1] != s.Name {
			continue
		}
		lead, hash := "", -1
		for n := range part.Descendants() {
			switch {
			case n.Data == "li":
				rows = append(rows, []string{content(n)})
			case n.Data != "tr" || n.Parent.Data != "tbody":
			case attribute(n, "class") == "lead":
				lead = content(n)
				hash = slices.IndexFunc(s.Columns, func(c report.Column) bool { return c.Kind == report.Hash })
			default:
				var row []string
				for c := range n.ChildNodes() {
					if c.Data == "td" && attribute(c, "class") != "bar" {
						row = append(row, content(c))
					}
				}
				if hash >= 0 {
					row = slices.Insert(row, hash, lead)
				}
				rows = append(rows, row)
			}
		}
	}
	return rows
}

func TestHTMLHostile(t *testing.T) {
	t.Parallel()
	for _, d := range hostile(t) {
		page := htmlOf(t, d)
		seen(t, page)
		root := inert(t, page)
		for _, s := range d.Sections() {
			if !s.Record {
				compare(t, s.Name, cells(root, &s), wanted(&s, false))
			}
		}
	}
}

// TestHTMLIsWhole: what is opened is closed, and what is referred to is there.
func TestHTMLIsWhole(t *testing.T) {
	for _, d := range []*report.Document{reporttest.Full(), reporttest.Empty()} {
		page := htmlOf(t, d)
		root := inert(t, page)
		ids := map[string]bool{}
		for n := range root.Descendants() {
			if id := attribute(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("two elements are called %s", id)
				}
				ids[id] = true
			}
		}
		for n := range root.Descendants() {
			for _, id := range append(strings.Fields(attribute(n, "aria-labelledby")), strings.TrimPrefix(attribute(n, "href"), "#")) {
				if id != "" && !ids[id] {
					t.Errorf("nothing is called %s", id)
				}
			}
		}
		// A real parser mends what is not closed; then it writes something else.
		var opened, closed int
		z := html.NewTokenizer(strings.NewReader(page))
		for z.Next() != html.ErrorToken {
			switch token := z.Token(); {
			case token.Type == html.StartTagToken && token.Data != "meta":
				opened++
			case token.Type == html.EndTagToken:
				closed++
			}
		}
		if opened != closed {
			t.Errorf("%d elements are opened and %d closed", opened, closed)
		}
	}
}
