package page

import (
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"midden/internal/report"
	"midden/internal/report/reporttest"
)

// parts are those of which a page consists; links, HTML, quotes, rules, code blocks,
// images and so on are none of them.
var parts = []ast.NodeKind{ast.KindDocument, ast.KindHeading, ast.KindParagraph, ast.KindList, ast.KindListItem, ast.KindTextBlock, ast.KindText,
	ast.KindString, ast.KindCodeSpan, ast.KindEmphasis, tables.KindTable, tables.KindTableHeader, tables.KindTableRow, tables.KindTableCell}

// inertMarkdown parses a page as GitHub does, fails if there is more in it than tables, lists
// and code spans, and returns its groups and the rows below each title of a group.
func inertMarkdown(t *testing.T, page string) (groups []string, below map[string][][]string) {
	t.Helper()
	var group, title string
	source := []byte(page)
	// All extensions, so that the more could go wrong.
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList, extension.CJK))
	root := md.Parser().Parse(text.NewReader(source))
	below = map[string][][]string{}
	err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if !slices.Contains(parts, n.Kind()) {
			t.Errorf("%s in the page", n.Kind())
		}
		switch n.Kind() {
		case ast.KindEmphasis:
			if s := markdownText(n, source); s != "empty" {
				t.Errorf("emphasis on %q", s)
			}
		case ast.KindHeading:
			switch s := markdownText(n, source); n.(*ast.Heading).Level {
			case 2:
				group, title = s, ""
				groups = append(groups, s)
			case 3:
				title = s
			}
		case tables.KindTableRow, ast.KindListItem:
			var row []string
			if n.Kind() == ast.KindListItem {
				row = []string{markdownText(n, source)}
			} else {
				for c := n.FirstChild(); c != nil; c = c.NextSibling() {
					row = append(row, markdownText(c, source))
				}
			}
			key := group + "\n" + title
			below[key] = append(below[key], row)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return groups, below
}

func markdownText(n ast.Node, source []byte) string {
	var b strings.Builder
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Text:
				b.Write(n.Segment.Value(source))
			case *ast.String:
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

func TestMarkdownHostile(t *testing.T) {
	t.Parallel()
	for _, d := range hostile(t) {
		page := markdownOf(t, d)
		seen(t, page)
		_, below := inertMarkdown(t, page)
		for _, s := range d.Sections() {
			title := shown(s.Title)
			if title == s.Group {
				title = ""
			}
			if !s.Record {
				compare(t, s.Name, below[s.Group+"\n"+title], wanted(&s, true))
			}
		}
	}
}

func TestMarkdownIsWhole(t *testing.T) {
	for _, c := range []struct {
		d      *report.Document
		groups string
	}{
		{reporttest.Full(), "Overview, Sessions, Logins, Commands, Files, What VirusTotal says, Sensors, Notes"},
		{reporttest.Empty(), "Overview, Sessions, Logins, Commands, Files, What VirusTotal says"},
	} {
		groups, below := inertMarkdown(t, markdownOf(t, c.d))
		if got := strings.Join(groups, ", "); got != c.groups {
			t.Errorf("groups: %s", got)
		}
		if rows := below["Overview\nDay by day"]; len(rows) != 31 {
			t.Errorf("%d days", len(rows))
		}
	}
}
