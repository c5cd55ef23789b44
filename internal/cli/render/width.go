package render

import (
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// IsTerminal reports whether a person reads what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns how many columns w has, or 0 if w is no terminal.
func terminalWidth(w io.Writer) int {
	if !IsTerminal(w) {
		return 0
	}
	width, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil || width < 0 {
		return 0
	}
	return width
}

func displayWidth(s string) int { return text.StringWidthWithoutEscSequences(s) }

// shorten cuts s to width columns of a terminal, the last of which is … if
// anything was cut.
func shorten(s string, width int) string {
	if displayWidth(s) <= width {
		return s
	}
	var b strings.Builder
	used := 1
	for _, r := range s {
		used += text.RuneWidth(r)
		if used > width {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// minWidth is what a shortened column keeps.
const minWidth = 8

// fit returns the widths that columns get when all of them are to stand side by
// side in width: the widest of those that may shrink shrinks first.
func fit(natural []int, shrinks []bool, width int) []int {
	widths := append([]int(nil), natural...)
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for over := total - width; over > 0; over-- {
		widest := -1
		for i, w := range widths {
			if shrinks[i] && w > minWidth && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}
