package faults

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Faults of the disk. SQLite reaches its files through a table of functions; these
// stand before the functions of the system and count what passes. A change is a
// write, a truncation, a flush, or a removal; an operation is a change or a read.
const (
	DiskKill   = "kill"   // the program dies in the middle of the Nth change
	DiskCut    = "cut"    // the power goes at the Nth change: what was not flushed may be there, or a part of it, or not
	DiskError  = "error"  // the Nth operation fails
	DiskErrors = "errors" // the Nth operation fails, and all after it
	DiskFull   = "full"   // from the Nth change on there is no room
)

// disk is the state of the one disk of this program.
var disk struct {
	sync.Mutex
	fault      string
	nth        int
	changes    int
	operations int
	system     *sqlite3.Tsqlite3_vfs
	methods    map[uintptr]*methods // by the table that they stand before
}

// methods are a table of functions of files, and the one that stands before it.
type methods struct {
	system *sqlite3.Tsqlite3_io_methods
	ours   *sqlite3.Tsqlite3_io_methods
}

// armDisk makes a faulty disk that of all databases which are opened from now on.
func armDisk(fault string, nth int) {
	switch fault {
	case DiskKill, DiskCut, DiskError, DiskErrors, DiskFull:
	default:
		refuse(Disk, fault)
	}
	disk.fault, disk.nth, disk.methods = fault, nth, map[uintptr]*methods{}
	tls := libc.NewTLS()
	defer tls.Close()
	disk.system = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	ours := copied(tls, disk.system)
	name, err := libc.CString("faulty")
	must(err)
	ours.FzName = name
	ours.FxOpen = code(openFile)
	ours.FxDelete = code(removeFile)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, address(ours), 1); rc != sqlite3.SQLITE_OK {
		panic(rc)
	}
}

// copied is a copy in SQLite's memory, in which alone the race detector lets it look.
func copied[T any](tls *libc.TLS, p *T) *T {
	c := at[T](libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*p))))
	*c = *p
	return c
}

// at is what stands at an address of SQLite's; address is the other way round.
func at[T any](p uintptr) *T          { return *(**T)(unsafe.Pointer(&p)) }
func address[T any](p *T) uintptr     { return uintptr(unsafe.Pointer(p)) }
func slice(p uintptr, n int32) []byte { return unsafe.Slice(at[byte](p), n) }

// code is what SQLite calls a function by; function is the other way round.
func code(f any) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&f))[1]
}

func function[F any](p uintptr) F {
	return *(*F)(unsafe.Pointer(&p))
}

func openFile(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](disk.system.FxOpen)(
		tls, address(disk.system), name, file, flags, outFlags)
	f := at[sqlite3.Tsqlite3_file](file)
	if rc != sqlite3.SQLITE_OK || f.FpMethods == 0 {
		return rc
	}
	disk.Lock()
	defer disk.Unlock()
	m := disk.methods[f.FpMethods]
	if m == nil {
		m = &methods{system: at[sqlite3.Tsqlite3_io_methods](f.FpMethods)}
		m.ours = copied(tls, m.system)
		m.ours.FxRead = code(readFile)
		m.ours.FxWrite = code(writeFile)
		m.ours.FxTruncate = code(truncateFile)
		m.ours.FxSync = code(syncFile)
		m.ours.FiVersion = 2 // no map of the file, which would lead around us
		disk.methods[f.FpMethods] = m
	}
	f.FpMethods = address(m.ours)
	disk.methods[f.FpMethods] = m
	if disk.fault == DiskCut && name != 0 {
		watch(file, libc.GoString(name))
	}
	return rc
}

// systemOf are the functions of the system for a file.
func systemOf(file uintptr) *sqlite3.Tsqlite3_io_methods {
	disk.Lock()
	defer disk.Unlock()
	return disk.methods[at[sqlite3.Tsqlite3_file](file).FpMethods].system
}

// meet counts an operation and returns how it fails: with rc, SQLITE_FULL, or not at
// all. Before a change that kills, half is called to do it in part.
func meet(change bool, rc int32, half func()) int32 {
	disk.Lock()
	defer disk.Unlock()
	disk.operations++
	if change {
		disk.changes++
	}
	switch {
	case disk.fault == DiskError && disk.operations == disk.nth,
		disk.fault == DiskErrors && disk.operations >= disk.nth:
		return rc
	case disk.fault == DiskFull && change && disk.changes >= disk.nth:
		return sqlite3.SQLITE_FULL
	case disk.fault == DiskKill && change && disk.changes == disk.nth:
		if half != nil {
			half()
		}
		die()
	case disk.fault == DiskCut && change && disk.changes == disk.nth:
		cutPower(disk.nth)
		die()
	}
	return sqlite3.SQLITE_OK
}

func removeFile(tls *libc.TLS, _, name uintptr, syncDir int32) int32 {
	if rc := meet(true, sqlite3.SQLITE_IOERR_DELETE, nil); rc != sqlite3.SQLITE_OK {
		return rc
	}
	if disk.fault == DiskCut {
		removed(libc.GoString(name))
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32) int32](disk.system.FxDelete)(tls, address(disk.system), name, syncDir)
}

type dataFunction = func(*libc.TLS, uintptr, uintptr, int32, int64) int32

func readFile(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	if rc := meet(false, sqlite3.SQLITE_IOERR_READ, nil); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[dataFunction](systemOf(file).FxRead)(tls, file, data, n, offset)
}

func writeFile(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	system := function[dataFunction](systemOf(file).FxWrite)
	half := func() { system(tls, file, data, n/2, offset) }
	if rc := meet(true, sqlite3.SQLITE_IOERR_WRITE, half); rc != sqlite3.SQLITE_OK {
		return rc
	}
	if disk.fault == DiskCut {
		changed(file, offset, slice(data, n))
	}
	return system(tls, file, data, n, offset)
}

func truncateFile(tls *libc.TLS, file uintptr, size int64) int32 {
	if rc := meet(true, sqlite3.SQLITE_IOERR_TRUNCATE, nil); rc != sqlite3.SQLITE_OK {
		return rc
	}
	if disk.fault == DiskCut {
		changed(file, size, nil)
	}
	return function[func(*libc.TLS, uintptr, int64) int32](systemOf(file).FxTruncate)(tls, file, size)
}

func syncFile(tls *libc.TLS, file uintptr, flags int32) int32 {
	if rc := meet(true, sqlite3.SQLITE_IOERR_FSYNC, nil); rc != sqlite3.SQLITE_OK {
		return rc
	}
	if disk.fault == DiskCut {
		flushed(file)
	}
	return function[func(*libc.TLS, uintptr, int32) int32](systemOf(file).FxSync)(tls, file, flags)
}
