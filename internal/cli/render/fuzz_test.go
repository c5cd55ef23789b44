package render

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

var seeds = []string{
	"", "root", "\x00", "a\nb", "\r", "\t", "\x1b]8;;http://a.b\x07x\x1b]8;;\x07", "\x1b]52;c;eA==\x07", "\u009b2J", "\x9b2J",
	"\u202egpj.exe", "\u200b", "\u2028", "\xff\xfe", "\xed\xa0\x80", `\x1b`, `\\`, "=cmd|' /C calc'!A1", "+1", "-1", "@a",
	"\t=1", " \"=1", "＝1", "'", `"`, ",", ";", `""`, `\.`, "http://a.b/c", `{"a":[1e999,"\ud800"]}`, `[{"a":"\u202e"},-1]`, "-5", "密码🦀",
	"A\u0301\u0301\u0301\u0301\u0301\u0301", "<script>&", "%s%n",
}

func addSeeds(f *testing.F) {
	for i, s := range seeds {
		f.Add(s, seeds[(i+7)%len(seeds)])
	}
}

// Each value stands where attackers' text may: as text, as a hash, in a list, as
// raw JSON, and in a row of its own.
var hostileColumns = []Column{
	{Name: "text"}, {Name: "url", Kind: URL}, {Name: "hash", Kind: Hash}, {Name: "n", Kind: Int},
	{Name: "list"}, {Name: "raw"}, {Name: "when", Kind: Time},
}

func hostileRows(a, b string) [][]any {
	return [][]any{
		{a, b, a, -1, []string{a, b}, json.RawMessage(a), a},
		{b, a, b, nil, []string{b}, json.RawMessage(b), nil},
	}
}

var liveURL = regexp.MustCompile(`(?i)(https?|ftps?)://`)

func checkTable(t *testing.T, a, b string) {
	t.Helper()
	for _, width := range []int{0, 60, 200} {
		out := render(t, Table, hostileColumns, hostileRows(a, b), Width(width))
		checkShown(t, out)
		if n := strings.Count(out, "\n"); n != 3 {
			t.Errorf("%d lines for 2 rows:\n%s", n, out)
		}
		if m := liveURL.FindString(out); m != "" {
			t.Errorf("%s is left in\n%s", m, out)
		}
		if width == 200 {
			hash := max(text.StringWidthWithoutEscSequences(tableText(a)), text.StringWidthWithoutEscSequences(tableText(b)))
			for line := range strings.Lines(out) {
				w := text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, "\n"))
				if hash < 40 && w > width { // hash and time stay whole
					t.Errorf("%d columns wide, not %d: %s", w, width, line)
				}
			}
		}
	}
}

// checkShown says what a terminal would do more with s than show it.
func checkShown(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		switch {
		case r == '\n':
		case r < 0x20, 0x7f <= r && r <= 0x9f:
			t.Errorf("control %U in %q", r, s)
		case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
			t.Errorf("bidi %U in %q", r, s)
		case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs):
			t.Errorf("invisible %U in %q", r, s)
		}
	}
}

func checkCSV(t *testing.T, a, b string) {
	t.Helper()
	out := render(t, CSV, hostileColumns, hostileRows(a, b))
	checkShown(t, out)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll() // checks the number of fields
	if err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if len(rows) != 3 || len(rows[0]) != len(hostileColumns) {
		t.Fatalf("%d rows of %d fields:\n%s", len(rows), len(rows[0]), out)
	}
	for _, row := range rows {
		for i, cell := range row {
			if hostileColumns[i].Name == "n" || hostileColumns[i].Name == "raw" && json.Valid([]byte(cell)) && strings.HasPrefix(cell, "-") {
				continue // numbers stay numbers
			}
			if strings.HasPrefix(cell, "'") {
				continue
			}
			if c := strings.TrimLeft(cell, " \"'"); c != "" && strings.ContainsAny(c[:1], "=+-@\t\r\n") ||
				strings.HasPrefix(c, "＝") || strings.HasPrefix(c, "＋") || strings.HasPrefix(c, "－") || strings.HasPrefix(c, "＠") {
				t.Errorf("a formula starts: %q", cell)
			}
		}
	}
	if rows[1][3] != "-1" {
		t.Errorf("the number -1 is %q", rows[1][3])
	}
}

func checkJSON(t *testing.T, a, b string) {
	t.Helper()
	type row struct {
		Text, URL, Hash string
		N               *int
		List            []string
		Raw             json.RawMessage
		When            *string
	}
	check := func(got []row) {
		t.Helper()
		if len(got) != 2 {
			t.Fatalf("%d rows", len(got))
		}
		fixA, fixB := string([]rune(a)), string([]rune(b)) // the same where they are UTF-8
		for i, want := range [][3]string{{fixA, fixB, a}, {fixB, fixA, b}} {
			g := got[i]
			if g.Text != want[0] || g.URL != want[1] || g.Hash != want[0] || g.List[0] != want[0] {
				t.Errorf("row %d: %+v, want %q", i, g, want)
			}
			if raw := string(g.Raw); utf8.ValidString(want[2]) && json.Valid([]byte(want[2])) {
				if compact(t, raw) != compact(t, want[2]) {
					t.Errorf("raw %q became %q", want[2], raw)
				}
			} else if !json.Valid(g.Raw) || !utf8.ValidString(raw) {
				t.Errorf("raw %q became %q", want[2], raw)
			}
		}
		if got[0].N == nil || *got[0].N != -1 || got[1].N != nil || got[1].When != nil {
			t.Errorf("numbers and nulls: %+v", got)
		}
	}

	var rows []row
	out := render(t, JSON, hostileColumns, hostileRows(a, b))
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if !utf8.ValidString(out) {
		t.Errorf("not UTF-8: %q", out)
	}
	check(rows)

	out = render(t, JSONL, hostileColumns, hostileRows(a, b))
	rows = rows[:0]
	for line := range strings.Lines(out) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in\n%s", err, line)
		}
		rows = append(rows, r)
	}
	check(rows)

	// Without raw JSON, which is exact, JSON is as harmless as a table.
	checkShown(t, render(t, JSON, hostileColumns[:2], [][]any{{a, b}}))
}

func compact(t *testing.T, s string) string {
	t.Helper()
	text, ok := rawText(json.RawMessage(s))
	if !ok {
		t.Fatalf("no JSON: %q", s)
	}
	return text
}

func FuzzTable(f *testing.F) { addSeeds(f); f.Fuzz(checkTable) }

func FuzzCSV(f *testing.F) { addSeeds(f); f.Fuzz(checkCSV) }

func FuzzJSON(f *testing.F) { addSeeds(f); f.Fuzz(checkJSON) }

// TestNaughtyStrings takes the big list of naughty strings, which is not kept in
// this repository: from $MIDDEN_TEST_DATA, or a directory beside the checkout.
func TestNaughtyStrings(t *testing.T) {
	dir := os.Getenv("MIDDEN_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, "hostile", "blns.base64.json")
	list, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("NOT TESTED with the big list of naughty strings: %v; set MIDDEN_TEST_DATA", err)
	}
	var encoded []string
	if err := json.Unmarshal(list, &encoded); err != nil {
		t.Fatal(err)
	}
	if len(encoded) < 500 {
		t.Fatalf("only %d strings in %s", len(encoded), path)
	}
	for _, e := range encoded {
		s, err := base64.StdEncoding.DecodeString(e)
		if err != nil {
			t.Fatal(err)
		}
		checkTable(t, string(s), "x")
		checkCSV(t, string(s), "x")
		checkJSON(t, string(s), "x")
	}
}
