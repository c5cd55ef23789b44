package ingest

import (
	"runtime/debug"
	"testing"
)

// TestLeaveRoom: what is known of files needs no room for garbage, unless the user says how much.
func TestLeaveRoom(t *testing.T) {
	for _, c := range []struct {
		env         string
		room, known int64
		want        int
	}{
		{"", room, 0, 100},
		{"", room, workingSet / 100, 99},
		{"", room, 3 * workingSet, 25},
		{"", room, 1 << 40, 1},
		{"", roomRemote, 0, 150},
		{"", roomRemote, 3 * workingSet, 37},
		{"80", room, 3 * workingSet, 100},
	} {
		t.Setenv("GOGC", c.env)
		debug.SetGCPercent(100)
		leaveRoom(c.room, c.known)
		if got := debug.SetGCPercent(100); got != c.want {
			t.Errorf("GOGC=%s, %d bytes are known: %d %%, not %d", c.env, c.known, got, c.want)
		}
	}
}
