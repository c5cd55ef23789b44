package page

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"midden/internal/report"
)

// Markdown writes a report as GitHub's Markdown. Attackers' text stands in code
// spans: in those nothing is a link, a mention, an emphasis or HTML.
func Markdown(w io.Writer, d *report.Document) error {
	v := newView(d)
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# %s: %s\n\n", v.Kind, words(v.Title))
	for i, c := range v.About {
		if i > 0 {
			out.WriteString(" · ")
		}
		out.WriteString(markdownCell(c))
	}
	out.WriteString("\n")
	for _, g := range v.Groups {
		fmt.Fprintf(out, "\n## %s\n", g.Title)
		for _, p := range g.Parts {
			if p.Title != "" {
				fmt.Fprintf(out, "\n### %s\n", words(p.Title))
			}
			out.WriteString("\n")
			markdownPart(out, p)
			if p.More > 0 {
				fmt.Fprintf(out, "\n%s\n", more(p.More))
			}
		}
		if len(g.None) > 0 {
			fmt.Fprintf(out, "\nNothing in: %s.\n", words(strings.Join(g.None, ", ")))
		}
	}
	return out.Flush()
}

func markdownPart(out *bufio.Writer, p part) {
	switch p.Form {
	case listForm:
		for _, row := range p.Rows {
			fmt.Fprintf(out, "- %s\n", markdownCell(row[0]))
		}
		return
	case recordForm:
		out.WriteString("| What | How many |\n|---|--:|\n")
	default:
		rule := "|"
		out.WriteString("|")
		for _, h := range p.Heads {
			fmt.Fprintf(out, " %s |", h.Text)
			if h.Class == "n" {
				rule += "--:|"
			} else {
				rule += "---|"
			}
		}
		fmt.Fprintf(out, "\n%s\n", rule)
	}
	for _, row := range p.Rows {
		out.WriteString("|")
		for _, c := range row {
			fmt.Fprintf(out, " %s |", strings.ReplaceAll(markdownCell(c), "|", `\|`))
		}
		out.WriteString("\n")
	}
}

func markdownCell(c cell) string {
	switch {
	case c.Empty && c.Text == "empty":
		return "*empty*"
	case c.Empty:
		return c.Text
	case c.Class == "c", c.Class == "h":
		return code(c.Text)
	case c.Class == "p":
		return words(c.Text)
	}
	return c.Text
}

// code puts s, which is one line, into a code span: between more backticks than
// stand together in it, and with a space at both ends where one would be lost, or
// a backtick is there.
func code(s string) string {
	if s == "" {
		return ""
	}
	longest, run := 0, 0
	for _, c := range s {
		if run++; c != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	edge := func(c byte) bool { return c == '`' || c == ' ' }
	if (edge(s[0]) || edge(s[len(s)-1])) && strings.Trim(s, " ") != "" {
		s = " " + s + " "
	}
	return fence + s + fence
}

// A word is plain if Markdown could make nothing of it, wherever it stands.
// It is made when it is asked for: that takes a while.
var plainWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[(“]?[\pL\pN][\pL\pN.,'’%/-]*[.,;:?)”]*$|^[+−±][\pN]+$|^[–·%]$`)
})
var listNumber = regexp.MustCompile(`^\d+[.)]`)

// words writes prose: as it is, but for words that could be more than words, which
// become code.
func words(s string) string {
	var out []string
	var odd []string
	for _, w := range strings.Split(strings.Trim(s, " "), " ") {
		first := len(out) == 0 && len(odd) == 0
		if plainWord().MatchString(w) && !(first && listNumber.MatchString(w)) {
			if len(odd) > 0 {
				out, odd = append(out, code(strings.Join(odd, " "))), nil
			}
			out = append(out, w)
			continue
		}
		odd = append(odd, w)
	}
	if len(odd) > 0 {
		out = append(out, code(strings.Join(odd, " ")))
	}
	return strings.Join(out, " ")
}
