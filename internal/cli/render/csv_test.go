package render

import (
	"encoding/csv"
	"strings"
	"testing"
)

func TestCSVText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"root", "root"},
		{"'quoted'", "'quoted'"},
		{"a=1", "a=1"},
		{"=1+1", "'=1+1"},
		{"+1 555", "'+1 555"},
		{"-rf", "'-rf"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"  =1", "'  =1"},
		{`"=1`, `'"=1`},
		{"'=1", "''=1"},
		{"\u00a0\u200b“ =1", `'\u00a0\u200b“ =1`},
		{"\t=1", `'\x09=1`},
		{"\rx", `'\x0dx`},
		{"\x00=1", `'\x00=1`},
		{"＝1", "'＝1"},
		{"＋1", "'＋1"},
		{"－1", "'－1"},
		{"＠x", "'＠x"},
		{"﹣1", "'﹣1"},
		{"a\nb\x00c\u202e\xff", `a\x0ab\x00c\u202e\xff`},
		{"http://evil.com", "http://evil.com"},
	} {
		if got := csvText(c.in); got != c.want {
			t.Errorf("csvText(%q) = %s, want %s", c.in, got, c.want)
		}
	}
}

// A row of one empty cell must stay a row.
func TestCSVOneColumn(t *testing.T) {
	got := render(t, CSV, []Column{{Name: "a"}}, [][]any{{"x"}, {""}, {nil}, {"y"}})
	if want := "a\nx\n\"\"\n\"\"\ny\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Errorf("read back: %q, %v", rows, err)
	}
}
