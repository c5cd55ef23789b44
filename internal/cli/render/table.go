package render

import (
	"io"

	pretty "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// gap is how many spaces stand between two columns of a table.
const gap = 2

// maxHeld is how many rows a table holds, to know how wide its columns are. A longer one
// is written in parts, each with its own widths and its own head.
const maxHeld = 10_000

// table collects rows, and writes them when all of a part are known.
type table struct {
	w       io.Writer
	columns []Column
	width   int // of the terminal; 0: nothing is shortened
	cells   [][]string
	filled  []bool // whether any row has a value, by column
}

func (t *table) row(values []value) error {
	if t.filled == nil {
		t.filled = make([]bool, len(t.columns))
	}
	cells := make([]string, len(values))
	for i, c := range t.columns {
		if !c.OnlyData {
			cells[i] = human(c.Kind, values[i])
			t.filled[i] = t.filled[i] || values[i] != nil
		}
	}
	if t.cells = append(t.cells, cells); len(t.cells) < maxHeld {
		return nil
	}
	return t.end()
}

func (t *table) flush() error { return nil }

func (t *table) end() error {
	if len(t.cells) == 0 {
		return nil
	}
	defer func() { t.cells, t.filled = nil, nil }()
	lines := make([][]string, 1+len(t.cells))
	var right, shrinks []bool
	for i, c := range t.columns {
		if c.OnlyData || c.Optional && !t.filled[i] {
			continue
		}
		lines[0] = append(lines[0], c.title())
		for row, cells := range t.cells {
			lines[row+1] = append(lines[row+1], cells[i])
		}
		right = append(right, c.Kind.right())
		shrinks = append(shrinks, c.Kind.shortens())
	}
	if len(lines[0]) == 0 {
		return nil
	}
	if t.width > 0 {
		shortenAll(lines, shrinks, t.width)
	}
	_, err := io.WriteString(t.w, align(lines, right))
	return err
}

// shortenAll shortens the cells that may be, so that the lines fit into width.
func shortenAll(lines [][]string, shrinks []bool, width int) {
	natural := make([]int, len(shrinks))
	for _, line := range lines {
		for i, cell := range line {
			natural[i] = max(natural[i], displayWidth(cell))
		}
	}
	widths := fit(natural, shrinks, width)
	for _, line := range lines {
		for i := range line {
			if widths[i] < natural[i] {
				line[i] = shorten(line[i], widths[i])
			}
		}
	}
}

// align sets the lines in columns, with nothing around and between them but
// spaces, and none at the end of a line.
func align(lines [][]string, right []bool) string {
	tw := pretty.NewWriter()
	style := pretty.Style{Name: "calm", Box: pretty.BoxStyle{PaddingRight: "  "}}
	tw.SetStyle(style)
	tw.SuppressTrailingSpaces()
	configs := make([]pretty.ColumnConfig, len(right))
	for i := range right {
		configs[i] = pretty.ColumnConfig{Number: i + 1, Align: text.AlignLeft}
		if right[i] {
			configs[i].Align = text.AlignRight
		}
	}
	tw.SetColumnConfigs(configs)
	for _, line := range lines {
		row := make(pretty.Row, len(line))
		for i, cell := range line {
			row[i] = cell
		}
		tw.AppendRow(row)
	}
	return tw.Render() + "\n"
}
