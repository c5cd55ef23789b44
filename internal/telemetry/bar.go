package telemetry

import (
	"fmt"
	"strings"
	"time"

	"midden/internal/plain"
)

// view is what there is to show at a moment.
type view struct {
	unit string
	Counts
	rates
	left      time.Duration
	leftKnown bool
}

// bar draws the view in one line of at most width columns:
//
//	load  [=====>    ]  42%  1.2 GiB/3.0 GiB  58 MiB/s  ETA 3m20s  3/10 files  1,234 events
//
// What is not known is left out; what does not fit is, from the right.
func (v view) bar(width int) string {
	part, known := v.fraction()
	parts := []string{plain.Escape(v.unit)}
	if known {
		parts = append(parts, fmt.Sprintf("%3d%%", int(part*100)))
	}
	if v.BytesDone > 0 || v.BytesTotal > 0 {
		size := plain.Bytes(v.BytesDone)
		if v.BytesTotal > 0 {
			size += "/" + plain.Bytes(v.BytesTotal)
		}
		parts = append(parts, size, plain.Bytes(int64(v.rates.bytes))+"/s")
	}
	if v.leftKnown {
		parts = append(parts, "ETA "+plain.Duration(v.left.Round(time.Second)))
	}
	switch {
	case v.FilesTotal > 0:
		parts = append(parts, plain.Count(v.FilesDone)+"/"+plain.Count(v.FilesTotal)+" files")
	case v.FilesDone > 0:
		parts = append(parts, plain.Count(v.FilesDone)+" files")
	}
	if v.Events > 0 {
		parts = append(parts, plain.Count(v.Events)+" events")
	}
	if v.DeadLetters > 0 {
		parts = append(parts, plain.Count(v.DeadLetters)+" dead letters")
	}

	const narrowest, widest = 10, 30
	length := func() int { return len([]rune(strings.Join(parts, "  "))) }
	for len(parts) > 1 && length() > width {
		parts = parts[:len(parts)-1]
	}
	if room := min(width-length()-2, widest); known && room >= narrowest {
		parts = append([]string{parts[0], gauge(part, room)}, parts[1:]...)
	}
	line := []rune(strings.Join(parts, "  "))
	return string(line[:min(len(line), max(width, 0))])
}

// gauge draws [===>  ] in width columns.
func gauge(part float64, width int) string {
	inner := width - 2
	full := int(part * float64(inner))
	body := strings.Repeat("=", full)
	if full < inner {
		body += ">" + strings.Repeat(" ", inner-full-1)
	}
	return "[" + body + "]"
}

// size is a number of bytes: 1.5 KiB in a line for people, a number in JSON.
type size int64

func (s size) String() string { return plain.Bytes(int64(s)) }

// pace is a number of bytes per second.
type pace int64

func (p pace) String() string { return plain.Bytes(int64(p)) + "/s" }

// attrs is the view as the keys and values of a log line.
func (v view) attrs() []any {
	a := []any{"phase", v.unit}
	if part, known := v.fraction(); known {
		a = append(a, "percent", int(part*100))
	}
	if v.FilesDone > 0 || v.FilesTotal > 0 {
		a = append(a, "files", v.FilesDone)
	}
	if v.FilesTotal > 0 {
		a = append(a, "files_total", v.FilesTotal)
	}
	if v.BytesDone > 0 || v.BytesTotal > 0 {
		a = append(a, "bytes", size(v.BytesDone))
		if v.BytesTotal > 0 {
			a = append(a, "bytes_total", size(v.BytesTotal))
		}
		a = append(a, "bytes_per_second", pace(v.rates.bytes))
	}
	if v.leftKnown {
		a = append(a, "eta", v.left.Round(time.Second))
	}
	return append(a, "lines", v.Lines, "events", v.Events,
		"duplicates", v.Duplicates, "dead_letters", v.DeadLetters)
}
