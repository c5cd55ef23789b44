package render

import (
	"encoding/csv"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// hostile is what the fuzz tests start from.
var hostile = []string{
	"", "-", "a\nb", "\x1b]8;;http://a.b\x07c", "\u202egpj.exe", "\x9b31m\u009b", "\xff\xfe", "http://a.b/c",
	"=cmd|' /C calc'!A0", "\t=1", "\"=1", "＝1", `\x1b`, `\`, "a,b\r\n\"c\"", "\u2028\u2029\ufeff", "\x00", "\ufffd", "<&>", "e\u0301",
}

func addHostile(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, hostile[len(hostile)-1-i], i*10)
	}
}

var clickable = regexp.MustCompile(`(?i)(?:https?|ftp):/`)

func FuzzTable(f *testing.F) {
	addHostile(f)
	f.Fuzz(func(t *testing.T, a, b string, width int) {
		var out strings.Builder
		w := newWriter(&out, Table, []Column{{Name: "a"}, {Name: "n", Kind: Int}, {Name: "b", Kind: URL}}, width%200)
		must(t, w.Row(a, 1, b))
		must(t, w.Row(b, nil, []string{a, b}))
		must(t, w.Close())
		must(t, Record(&out, Table, []Field{{Name: "a", Value: a}, {Name: "b", Value: json.RawMessage(b)}}))

		s := out.String()
		if n := strings.Count(s, "\n"); n != 5 {
			t.Errorf("%d lines: %q", n, s)
		}
		if !utf8.ValidString(s) {
			t.Errorf("not UTF-8: %q", s)
		}
		for _, r := range s {
			if r < 0x20 && r != '\n' || 0x7f <= r && r <= 0x9f || 0x200b <= r && r <= 0x200f ||
				0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0xfeff || r == 0x061c {
				t.Errorf("%U in %q", r, s)
			}
		}
		if m := clickable.FindString(s); m != "" {
			t.Errorf("%s in %q", m, s)
		}
		if strings.Contains(s, " \n") {
			t.Errorf("spaces at the end of a line: %q", s)
		}
	})
}

var formula = regexp.MustCompile(`^[\s"'‘’“”]*[=+\-@\t\r＝＋－＠]`)

func FuzzCSV(f *testing.F) {
	addHostile(f)
	f.Fuzz(func(t *testing.T, a, b string, _ int) {
		out := output(t, CSV, []Column{{Name: "a"}, {Name: "n", Kind: Int}, {Name: "b"}}, []any{a, -1, b}, []any{[]string{b, a}, nil, a})
		records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil || len(records) != 3 {
			t.Fatalf("%d records, %v, of %q", len(records), err, out)
		}
		if strings.Count(out, "\n") != 3 {
			t.Errorf("a line end in a cell: %q", out)
		}
		if records[1][1] != "-1" {
			t.Errorf("a number became %q", records[1][1])
		}
		for _, cell := range []string{records[1][2], records[2][0], records[2][2]} {
			if formula.MatchString(cell) && !strings.HasPrefix(cell, "'") {
				t.Errorf("cell %q starts a formula", cell)
			}
		}
		if cell := records[1][0]; cell != "'"+Escape(a) && (cell != Escape(a) || formula.MatchString(a)) {
			t.Errorf("%q became %q", a, cell)
		}
	})
}

func FuzzJSON(f *testing.F) {
	addHostile(f)
	f.Add("9e555", "", 0)
	f.Fuzz(func(t *testing.T, a, b string, _ int) {
		type row struct {
			A    string
			N    int
			B    *string
			List []string
			Raw  json.RawMessage // a number in it may be too large for Go
		}
		columns := []Column{{Name: "a"}, {Name: "n"}, {Name: "b"}, {Name: "list"}, {Name: "raw"}}
		values := []any{a, 7, &b, []string{a, b}, json.RawMessage(a)}
		check := func(form string, got row) {
			// encoding/json does not tell which bytes it replaced; [] of runes does the same.
			a, b := string([]rune(a)), string([]rune(b))
			if got.A != a || got.N != 7 || got.B == nil || *got.B != b || len(got.List) != 2 || got.List[0] != a || got.List[1] != b {
				t.Errorf("%s: %q, %q came back as %+v", form, a, b, got)
			}
		}

		var rows []row
		must(t, json.Unmarshal([]byte(output(t, JSON, columns, values, values)), &rows))
		if len(rows) != 2 {
			t.Fatalf("%d rows", len(rows))
		}
		check("json", rows[1])

		line := output(t, JSONL, columns, values)
		if strings.Count(line, "\n") != 1 || !utf8.ValidString(line) {
			t.Errorf("not one line of UTF-8: %q", line)
		}
		var one row
		must(t, json.Unmarshal([]byte(line), &one))
		check("jsonl", one)

		var out strings.Builder
		fields := make([]Field, len(columns))
		for i, c := range columns {
			fields[i] = Field{Name: c.Name, Value: values[i]}
		}
		must(t, Record(&out, JSON, fields))
		var record row
		must(t, json.Unmarshal([]byte(out.String()), &record))
		check("record", record)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
