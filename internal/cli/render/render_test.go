package render

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var moment = time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 2*60*60))

type state string

// everyValue has each type of value that a row may hold.
var everyValue = []struct {
	name             string
	kind             Kind
	value            any
	table, json, csv string
}{
	{"text", Text, "a\nb <&> http://a.b/", `a\x0ab <&> hxxp://a[.]b/`, `"a\nb <&> http://a.b/"`, `a\x0ab <&> http://a.b/`},
	{"text_pointer", Text, ptr("x"), "x", `"x"`, "x"},
	{"no_text", Text, (*string)(nil), "-", "null", ""},
	{"none", Text, nil, "-", "null", ""},
	{"named", Text, state("done"), "done", `"done"`, "done"},
	{"formula", Text, "-1", "-1", `"-1"`, "'-1"},
	{"comma", Text, `a,"b"`, `a,"b"`, `"a,\"b\""`, `"a,""b"""`},
	{"int", Int, -5, "-5", "-5", "-5"},
	{"int64", Int, int64(math.MinInt64), "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
	{"int_pointer", Int, ptr(int64(7)), "7", "7", "7"},
	{"uint64", Int, uint64(math.MaxUint64), "18446744073709551615", "18446744073709551615", "18446744073709551615"},
	{"float", Int, -0.25, "-0.25", "-0.25", "-0.25"},
	{"big_float", Int, 1e21, "1000000000000000000000", "1000000000000000000000", "1000000000000000000000"},
	{"not_a_number", Int, math.NaN(), "-", "null", ""},
	{"bool", Bool, true, "yes", "true", "true"},
	{"bool_pointer", Bool, ptr(false), "no", "false", "false"},
	{"time", Time, moment, "2024-05-06T05:08:09.123456Z", `"2024-05-06T05:08:09.123456Z"`, "2024-05-06T05:08:09.123456Z"},
	{"no_time", Time, time.Time{}, "-", "null", ""},
	{"size", Bytes, int64(1536), "1.5 KiB", "1536", "1536"},
	{"duration", Duration, 90*time.Second + 50*time.Millisecond, "1m30s", "90.05", "90.05"},
	{"shortest", Duration, -time.Nanosecond, "-1ns", "-0.000000001", "-0.000000001"},
	{"seconds", Duration, 3.5, "3.5s", "3.5", "3.5"},
	{"whole_seconds", Duration, int64(200), "3m20s", "200", "200"},
	{"list", Text, []string{"=a", "b,\x1b"}, `=a, b,\x1b`, `["=a","b,\u001b"]`, `"'=a, b,\x1b"`},
	{"no_list", Text, []string(nil), "", "[]", ""},
	{"raw", Text, json.RawMessage("{\"b\": 1e999,\n\"b\": \"\\ud800<\"}"), `{"b": 1e999,\x0a"b": "\\ud800<"}`, `{"b":1e999,"b":"\ud800<"}`, `"{""b"":1e999,""b"":""\ud800<""}"`},
	{"bad_raw", Text, json.RawMessage("{"), "{", `"{"`, "{"},
	{"no_raw", Text, json.RawMessage(nil), "-", "null", ""},
	{"null_string", Text, sql.NullString{String: "s", Valid: true}, "s", `"s"`, "s"},
	{"null_int", Int, sql.NullInt32{Int32: -3, Valid: true}, "-3", "-3", "-3"},
	{"null_time", Time, sql.NullTime{Time: moment, Valid: true}, "2024-05-06T05:08:09.123456Z", `"2024-05-06T05:08:09.123456Z"`, "2024-05-06T05:08:09.123456Z"},
	{"null_any", Bool, sql.Null[bool]{V: true, Valid: true}, "yes", "true", "true"},
	{"null_null", Bytes, sql.NullInt64{}, "-", "null", ""},
}

func ptr[T any](v T) *T { return &v }

func TestValues(t *testing.T) {
	for _, c := range everyValue {
		t.Run(c.name, func(t *testing.T) {
			columns := []Column{{Name: c.name, Title: "X", Kind: c.kind}, {Name: "z"}}
			row := []any{c.value, "z"}
			for f, want := range map[Format]string{
				Table: strings.TrimRight(c.table, " "),
				JSON:  "[\n{\"" + c.name + `":` + c.json + ",\"z\":\"z\"}\n]\n",
				JSONL: `{"` + c.name + `":` + c.json + `,"z":"z"}` + "\n",
				CSV:   c.name + ",z\n" + c.csv + ",z\n",
			} {
				got := output(t, f, columns, row)
				if f == Table {
					_, got, _ = strings.Cut(got, "\n")
					got = strings.TrimSpace(strings.TrimSuffix(got, "z\n"))
				}
				if got != want {
					t.Errorf("%s:\n got %q\nwant %q", f, got, want)
				}
			}
		})
	}
}

func output(t *testing.T, f Format, columns []Column, rows ...[]any) string {
	t.Helper()
	var b bytes.Buffer
	w := New(&b, f, columns)
	for _, row := range rows {
		if err := w.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var people = []Column{
	{Name: "src_ip"}, {Name: "event_count", Title: "EVENTS", Kind: Int},
	{Name: "id", OnlyData: true}, {Name: "detail", Kind: URL},
}

func TestTableLayout(t *testing.T) {
	got := output(t, Table, people,
		[]any{"10.0.0.1", 1200, 1, "ls"},
		[]any{"密码", 7, 2, "http://a.b/ "},
		[]any{"2001:db8::1", nil, 3, nil})
	want := `SRC IP       EVENTS  DETAIL
10.0.0.1       1200  ls
密码              7  hxxp://a[.]b/
2001:db8::1       -  -
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLongTable: a table of many rows is written in parts while they come, each as a table of its own.
func TestLongTable(t *testing.T) {
	var b strings.Builder
	w := New(&b, Table, []Column{{Name: "n", Kind: Int}, {Name: "note", Optional: true}, {Name: "a"}})
	var want strings.Builder
	for i := range 2 * maxHeld {
		var note any
		switch {
		case i == 0:
			want.WriteString("   N  NOTE  A\n")
		case i == maxHeld:
			want.WriteString("    N  A\n")
		}
		if i < maxHeld {
			note = "x"
			fmt.Fprintf(&want, "%4d  x     a\n", i)
		} else {
			fmt.Fprintf(&want, "%5d  a\n", i)
		}
		if b.Len() > 0 != (i >= maxHeld) {
			t.Fatalf("%d bytes are written with row %d", b.Len(), i)
		}
		if err := w.Row(i, note, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), b.String()); diff != "" {
		t.Errorf("-want +got:\n%.2000s", diff)
	}
}

func TestTableFitsTerminal(t *testing.T) {
	columns := []Column{{Name: "a"}, {Name: "hash", Kind: Hash}, {Name: "b", Kind: URL}}
	row := []any{strings.Repeat("a", 30), strings.Repeat("f", 20), strings.Repeat("密", 30)}
	for width, want := range map[int]string{
		0:   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  ffffffffffffffffffff  密密密密密密密密密密密密密密密密密密密密密密密密密密密密密密",
		200: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  ffffffffffffffffffff  密密密密密密密密密密密密密密密密密密密密密密密密密密密密密密",
		64:  "aaaaaaaaaaaaaaaaaaa…  ffffffffffffffffffff  密密密密密密密密密…",
		5:   "aaaaaaa…  ffffffffffffffffffff  密密密…",
	} {
		var b bytes.Buffer
		w := newWriter(&b, Table, columns, width)
		if err := errors.Join(w.Row(row...), w.Close()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if got := lines[len(lines)-1]; got != want {
			t.Errorf("width %d:\n got %s\nwant %s", width, got, want)
		}
		if width >= 64 {
			for _, l := range lines {
				if n := displayWidth(l); n > width {
					t.Errorf("width %d: a line of %d columns: %s", width, n, l)
				}
			}
		}
	}
}

func TestNoRows(t *testing.T) {
	for f, want := range map[Format]string{Table: "", JSON: "[]\n", JSONL: "", CSV: "src_ip,event_count,id,detail\n"} {
		if got := output(t, f, people); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

func TestRecord(t *testing.T) {
	fields := []Field{
		{Name: "session_id", Value: "=1\n"},
		{Name: "size", Title: "Size on disk", Kind: Bytes, Value: int64(2048)},
		{Name: "names", Value: []string{"a", "b"}},
		{Name: "long", Value: strings.Repeat("x", 300)},
	}
	long := strings.Repeat("x", 300)
	for f, want := range map[Format]string{
		Table: "Session id:    =1\\x0a\nSize on disk:  2.0 KiB\nNames:         a, b\nLong:          " + long + "\n",
		JSON:  "{\n  \"session_id\": \"=1\\n\",\n  \"size\": 2048,\n  \"names\": [\"a\",\"b\"],\n  \"long\": \"" + long + "\"\n}\n",
		JSONL: `{"session_id":"=1\n","size":2048,"names":["a","b"],"long":"` + long + "\"}\n",
		CSV:   "session_id,size,names,long\n'=1\\x0a,2048,\"a, b\"," + long + "\n",
	} {
		var b bytes.Buffer
		if err := Record(&b, f, fields); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", f, got, want)
		}
	}
	for f, want := range map[Format]string{Table: "", JSON: "{}\n", JSONL: "{}\n"} {
		var b bytes.Buffer
		if err := Record(&b, f, nil); err != nil || b.String() != want {
			t.Errorf("%s, no fields: %q, %v", f, b.String(), err)
		}
	}
}

func TestFormulas(t *testing.T) {
	for _, s := range []string{
		"=1", "+1", "-1", "@a", "\tx", "\rx", " \r", " =1", "\n=1", "\"=1", "'=1", "\"'  @a", "＝1", "＋1", "－1", "＠a",
		"\u00a0=1", "\u200b=1", "\ufeff=1", "\x00=1", "“=1",
	} {
		if got := csvText(s); got != "'"+Escape(s) {
			t.Errorf("csvText(%q) = %q", s, got)
		}
	}
	for _, s := range []string{"", "a=1", "1-2", "http://a.b/?c=d", `\=1`, "a\tb", "'a'"} {
		if got := csvText(s); got != Escape(s) {
			t.Errorf("csvText(%q) = %q", s, got)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, s := range []string{"table", "json", "jsonl", "csv"} {
		if f, err := ParseFormat(s); err != nil || string(f) != s {
			t.Errorf("ParseFormat(%s) = %s, %v", s, f, err)
		}
	}
	_, err := ParseFormat("x\x1b")
	if want := `unknown output format "x\x1b": want table, json, jsonl or csv`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRefusedRowLeavesNoTrace(t *testing.T) {
	for f, want := range map[Format]string{
		Table: "A\nx\n", JSON: "[\n{\"a\":\"x\"}\n]\n", JSONL: "{\"a\":\"x\"}\n", CSV: "a\nx\n",
	} {
		var b bytes.Buffer
		w := New(&b, f, []Column{{Name: "a"}})
		if err := w.Row(); err == nil {
			t.Errorf("%s: no error for a missing value", f)
		}
		if err := w.Row(make(chan int)); err == nil {
			t.Errorf("%s: no error for a channel", f)
		}
		if err := errors.Join(w.Row("x"), w.Close(), w.Close()); err != nil {
			t.Error(err)
		}
		if err := w.Row("y"); err == nil {
			t.Errorf("%s: a row after Close", f)
		}
		if got := b.String(); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

// full takes some bytes and then fails, like a full disk.
type full struct{ room int }

var errFull = errors.New("no space")

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.room {
		return 0, errFull
	}
	f.room -= len(b)
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	for _, f := range []Format{Table, JSON, JSONL, CSV} {
		w := New(&full{}, f, people)
		for range 10000 {
			if w.Row("1.2.3.4", 5, 1, "some text that fills the buffer") != nil {
				break
			}
		}
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("%s: Close: %v", f, err)
		}
		if err := Record(&full{}, f, []Field{{Name: "a", Value: 1}}); !errors.Is(err, errFull) {
			t.Errorf("%s: Record: %v", f, err)
		}
	}
}

func TestFlush(t *testing.T) {
	for f, want := range map[Format]string{JSON: "[\n{\"a\":1}", JSONL: "{\"a\":1}\n", CSV: "a\n1\n"} {
		var b bytes.Buffer
		w := New(&b, f, []Column{{Name: "a"}})
		if err := errors.Join(w.Row(1), w.Flush()); err != nil || b.String() != want {
			t.Errorf("%s: got %q, %v, want %q", f, b.String(), err, want)
		}
	}
}

func TestDeepRawJSON(t *testing.T) {
	deep := json.RawMessage(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000))
	out := output(t, JSONL, []Column{{Name: "a"}}, []any{deep})
	var got struct{ A string }
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.A != string(deep) {
		t.Errorf("deep JSON is not kept as text: %v", err)
	}
}

func TestCSVEmptyCellIsARecord(t *testing.T) {
	out := output(t, CSV, []Column{{Name: "a"}}, []any{nil}, []any{"x"}, []any{""})
	got, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if want := [][]string{{"a"}, {""}, {"x"}, {""}}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
