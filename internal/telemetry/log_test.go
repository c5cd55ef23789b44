package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func line(t *testing.T, asJSON bool, level slog.Level, msg string, with func(*slog.Logger) *slog.Logger, args ...any) string {
	t.Helper()
	var b bytes.Buffer
	log := NewLogger(&b, slog.LevelDebug, asJSON)
	if with != nil {
		log = with(log)
	}
	r := slog.NewRecord(time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), level, msg, 0)
	r.Add(args...)
	if err := log.Handler().Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type secretive struct{}

func (secretive) LogValue() slog.Value { return slog.StringValue("[hidden]") }

func TestTextLines(t *testing.T) {
	for _, c := range []struct {
		name, want string
		level      slog.Level
		msg        string
		with       func(*slog.Logger) *slog.Logger
		args       []any
	}{
		{name: "plain", msg: "loading", want: "info loading"},
		{name: "levels", level: slog.LevelWarn, msg: "slow", args: []any{"n", 3}, want: "warn slow n=3"},
		{
			name: "types", level: slog.LevelDebug, msg: "m", want: `debug m b=true d=3m20s t=2024-05-06T07:08:09Z f=0.5 l="[a b]" n=<nil> s="1.5 KiB"`,
			args: []any{"b", true, "d", 200 * time.Second, "t", start, "f", 0.5, "l", []string{"a", "b"}, "n", nil, "s", size(1536)},
		},
		{
			name: "quotes", msg: "m", want: `info m a="" b="x y" c="k=v" d="say \x22hi\x22" e=it's`,
			args: []any{"a", "", "b", "x y", "c", "k=v", "d", `say "hi"`, "e", "it's"},
		},
		{
			name: "attackers", msg: "\x1b[2Jm", want: `info \x1b[2Jm file=a\x0a15:04:05\u202e err="get hxxp://a[.]b/: \xff" k\x0a=1`,
			args: []any{"file", "a\n15:04:05\u202e", "err", errors.New("get http://a.b/: \xff"), "k\n", 1},
		},
		{
			name: "groups", msg: "m", want: "info m run=7 db.path=x db.g.a=1 db.g.b=2 db.c=3",
			with: func(l *slog.Logger) *slog.Logger { return l.With("run", 7).WithGroup("db").With("path", "x") },
			args: []any{slog.Group("g", "a", 1, "b", 2), slog.Group("", "c", 3)},
		},
		{name: "valuer", msg: "m", args: []any{"key", secretive{}, slog.Attr{}, "p", (*secretive)(nil)}, want: "info m key=[hidden] p="},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := line(t, false, c.level, c.msg, c.with, c.args...)
			want := "07:08:09 " + c.want
			if c.name == "valuer" { // how slog words the panic of a nil value is its own business
				got = got[:min(len(got), len(want))]
			} else {
				want += "\n"
			}
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestJSONLines(t *testing.T) {
	with := func(l *slog.Logger) *slog.Logger { return l.With("run", 7).WithGroup("g") }
	got := line(t, true, slog.LevelWarn, "<m>\u009b", with, "file", "\xff\u202e\x1b", "d", 1500*time.Millisecond, "size", size(1536))
	want := `{"time":"2024-05-06T07:08:09Z","level":"WARN","msg":"<m>\u009b","run":7,"g":{"file":"\ufffd\u202e\u001b","d":1.5,"size":1536}}` + "\n"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestLevel(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var b bytes.Buffer
		log := NewLogger(&b, slog.LevelWarn, asJSON)
		log.Info("no")
		log.With("a", 1).Info("no")
		log.Warn("yes")
		if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "yes") {
			t.Errorf("json %t: %q", asJSON, got)
		}
	}
}

func FuzzLog(f *testing.F) {
	for _, s := range []string{"", "\n", "a b", "\x1b[0m", "\u202e", "\xff", `"`, "http://a.b", "\u0301"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, msg, value string) {
		got := line(t, false, slog.LevelInfo, msg, nil, value, value)
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\x7f\u009b\u202e\u2028") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%q, %q: %q", msg, value, got)
		}
		got = line(t, true, slog.LevelInfo, msg, nil, "v", value)
		var back struct{ Msg, V string }
		if err := json.Unmarshal([]byte(got), &back); err != nil || back.V != string([]rune(value)) || strings.ContainsAny(got, "\x1b\x7f\u009b\u202e\u2028") {
			t.Errorf("%q, %q: %q, %v", msg, value, got, err)
		}
	})
}
