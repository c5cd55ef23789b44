package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"midden/internal/plain"
)

// NewLogger returns a logger that writes one line a message to w: as JSON with
// times in UTC and durations in seconds, or for people, as
//
//	15:04:05 level message key=value …
//
// with the local time of day. Both are harmless on a terminal. For people, URLs
// are made unclickable too, and a value with spaces stands in double quotes.
func NewLogger(w io.Writer, level slog.Level, json bool) *slog.Logger {
	out := &sink{w: w}
	if json {
		return slog.New(&jsonHandler{newJSONHandler(out, level), out})
	}
	return slog.New(&textHandler{out: out, level: level})
}

// sink is where the lines of a logger, and of all loggers made from it, go.
type sink struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes one line.
func (s *sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(line)
}

// divert sends lines that went to from to another writer.
func (s *sink) divert(from, to io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == from {
		s.w = to
	}
}

// sinkOf returns the sink of a logger that NewLogger made, or nil.
func sinkOf(log *slog.Logger) *sink {
	switch h := log.Handler().(type) {
	case *textHandler:
		return h.out
	case *jsonHandler:
		return h.out
	}
	return nil
}

// jsonHandler is the standard one; it remembers its sink.
type jsonHandler struct {
	slog.Handler
	out *sink
}

func newJSONHandler(out *sink, level slog.Level) slog.Handler {
	return slog.NewJSONHandler(escapedJSON{out}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Value.Kind() {
			case slog.KindTime:
				a.Value = slog.StringValue(a.Value.Time().UTC().Format(time.RFC3339Nano))
			case slog.KindDuration:
				a.Value = slog.Float64Value(a.Value.Duration().Seconds())
			}
			return a
		},
	})
}

func (h *jsonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &jsonHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h *jsonHandler) WithGroup(name string) slog.Handler {
	return &jsonHandler{h.Handler.WithGroup(name), h.out}
}

// escapedJSON passes lines of JSON on, with what acts on a terminal as \u.
type escapedJSON struct{ w io.Writer }

func (e escapedJSON) Write(line []byte) (int, error) {
	if _, err := e.w.Write(plain.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// textHandler writes lines for people.
type textHandler struct {
	out    *sink
	level  slog.Level
	prefix string // of keys: the groups that are open, each with a dot
	attrs  string // what With added, written already
}

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	if !r.Time.IsZero() {
		b = r.Time.AppendFormat(b, "15:04:05 ")
	}
	b = append(b, levelName(r.Level)...)
	b = append(b, ' ')
	b = append(b, harmless(r.Message)...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.prefix, a)
		return true
	})
	b = append(b, '\n')
	_, err := h.out.Write(b)
	return err
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	b := []byte(h.attrs)
	for _, a := range attrs {
		b = appendAttr(b, h.prefix, a)
	}
	n.attrs = string(b)
	return &n
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.prefix += name + "."
	return &n
}
