package telemetry

import (
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	half := view{
		unit:   "load",
		Counts: Counts{FilesDone: 3, FilesTotal: 10, BytesDone: 1 << 30, BytesTotal: 2 << 30, Events: 1234567},
		rates:  rates{bytes: 58 << 20}, left: 200*time.Second + 300*time.Millisecond, leftKnown: true,
	}
	unknown := view{unit: "follow", Counts: Counts{FilesDone: 2, BytesDone: 512, Events: 5, DeadLetters: 1}}
	files := view{unit: "scan", Counts: Counts{FilesDone: 10, FilesTotal: 10}}
	over := view{unit: "load", Counts: Counts{BytesDone: 30, BytesTotal: 10}, leftKnown: true}
	for _, c := range []struct {
		v     view
		width int
		want  string
	}{
		{half, 200, "load  [==============>             ]   50%  1.0 GiB/2.0 GiB  58 MiB/s  ETA 3m20s  3/10 files  1,234,567 events"},
		{half, 100, "load  [=========>        ]   50%  1.0 GiB/2.0 GiB  58 MiB/s  ETA 3m20s  3/10 files  1,234,567 events"},
		{half, 60, "load   50%  1.0 GiB/2.0 GiB  58 MiB/s  ETA 3m20s  3/10 files"},
		{half, 12, "load   50%"},
		{half, 3, "loa"},
		{half, 0, ""},
		{half, -1, ""},
		{unknown, 80, "follow  512 B  0 B/s  2 files  5 events  1 dead letters"},
		{files, 80, "scan  [============================]  100%  10/10 files"},
		{over, 80, "load  [============================]  100%  30 B/10 B  0 B/s  ETA 0s"},
		{view{unit: "x\x1b"}, 80, `x\x1b`},
	} {
		if got := c.v.bar(c.width); got != c.want {
			t.Errorf("width %d:\n got %s\nwant %s", c.width, got, c.want)
		}
	}
}
