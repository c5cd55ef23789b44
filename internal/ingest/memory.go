package ingest

import (
	"os"
	"runtime/debug"
)

// workingSet is about what a load has in use, what it knows of files left out.
const workingSet = 16 << 20

// Room for garbage, in percent of what is in use: where a server has the cache of the
// database, there may be more of it.
const (
	room       = 100
	roomRemote = 150
)

// leaveRoom has the garbage collector leave room for garbage in proportion to
// what makes some: not to known, the bytes that tell of files, and stay. It is
// next to nothing that changes if there are few of them.
func leaveRoom(percent, known int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(max(1, int(percent*workingSet/(workingSet+known))))
	}
}
