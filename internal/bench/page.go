package bench

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"midden/internal/plain"
)

// Page is what a run has measured. A part that was not measured is nil.
type Page struct {
	Rounds    int
	Took      time.Duration
	Least     int64 // bytes of memory: of a program that has less this is measured
	Machine   []Fact
	Load      *Load
	Questions *Questions
	Postgres  *Postgres
	Profile   *Profile
	TakeOver  *TakeOver
	Scan      *Scan
	Lookups   *Lookups
	Reports   *Reports
	Growth    *Growth
}

//go:embed performance.md.tmpl
var text string

// Figures are written in one way each.
var page = template.Must(template.New("performance.md").Funcs(template.FuncMap{
	"count":   count,
	"mb":      func(bytes int64) string { return plain.Count((bytes + 500_000) / 1_000_000) },
	"s":       seconds,
	"ms":      milliseconds,
	"rate":    rate,
	"ratio":   ratio,
	"percent": percent,
	"fixed":   func(digits int, v float64) string { return fmt.Sprintf("%.*f", digits, v) },
	"sum":     func(a, b int64) int64 { return a + b },
	"code":    func(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") },
	"reckon":  reckon,
}).Parse(text))

// Write writes the page as Markdown.
func (p *Page) Write(w io.Writer) error { return page.Execute(w, p) }

func count(n any) (string, error) {
	v, err := number64(n)
	return plain.Count(int64(v + 0.5)), err
}

// seconds has three digits that count, or what a hundredth says.
func seconds(d time.Duration) string {
	s := d.Seconds()
	switch {
	case s >= 100:
		return plain.Count(int64(s + 0.5))
	case s >= 10:
		return fmt.Sprintf("%.1f", s)
	}
	return fmt.Sprintf("%.2f", s)
}

func milliseconds(d time.Duration) string {
	ms := float64(d) / 1e6
	if ms >= 100 {
		return plain.Count(int64(ms + 0.5))
	}
	return fmt.Sprintf("%.1f", ms)
}

// rate is how many a second.
func rate(n int64, u Usage) string { return plain.Count(int64(float64(n)/u.Wall.Seconds() + 0.5)) }

// ratio is how many times one thing is another, with a number of digits.
func ratio(digits int, a, b any) (string, error) {
	x, err := number64(a)
	if err != nil {
		return "", err
	}
	y, err := number64(b)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%.*f", digits, x/y), nil
}

func percent(part, whole any) (string, error) {
	x, err := number64(part)
	if err != nil {
		return "", err
	}
	y, err := number64(whole)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%.1f", 100*x/y), nil
}

// reckon is how many seconds something takes with 39 GB that took a while with so many bytes.
func reckon(d time.Duration, bytes int64) string {
	return seconds(time.Duration(float64(d) * 39e9 / float64(bytes)))
}

func number64(n any) (float64, error) {
	switch n := n.(type) {
	case int:
		return float64(n), nil
	case int64:
		return float64(n), nil
	case float64:
		return n, nil
	case time.Duration:
		return n.Seconds(), nil
	}
	return 0, fmt.Errorf("%v is no number", n)
}
