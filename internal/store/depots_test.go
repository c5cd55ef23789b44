package store_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/storetest"
)

// contentOf makes the n-th content.
func contentOf(n int) *cowrie.Content {
	return &cowrie.Content{Shasum: fmt.Sprintf("%064x", n+1), SHA1: fmt.Sprintf("%040x", n+1), MD5: fmt.Sprintf("%032x", n+1),
		Size: int64(n + 1), MimeType: "text/plain", Head: []byte{byte(n)}, Entropy: 1.5}
}

// foundAt is the n-th content under a name, with a time of that many seconds.
func foundAt(name string, n int, seconds int64) cowrie.Found {
	c := contentOf(n)
	at := cowrie.NoTime
	if seconds > 0 {
		at = cowrie.Time(seconds * 1e6)
	}
	return cowrie.Found{DepotEntry: cowrie.DepotEntry{Name: name, FileID: cowrie.FileID{Inode: uint64(n), Size: c.Size, ModTime: seconds * 1e9},
		Shasum: c.Shasum}, SeenAt: at, Content: c}
}

// addFound adds to a depot of a sensor what was found, with the tally that is
// wanted of it.
func (db *database) addFound(t *testing.T, sensor string, want cowrie.ScanTally, found ...cowrie.Found) *cowrie.Depot {
	t.Helper()
	d, err := db.Depot(t.Context(), "/downloads of "+sensor, sensor)
	if err != nil {
		t.Fatal(err)
	}
	got, err := db.AddFound(t.Context(), d, found)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the tally is %+v, want %+v", got, want)
	}
	if d, err = db.Depot(t.Context(), d.Path, d.Sensor); err != nil {
		t.Fatal(err)
	}
	return d
}

// times are first_seen, last_seen, sighting_count, disk_only and the sightings on
// disk of the n-th content.
func (db *database) times(t *testing.T, n int) string {
	t.Helper()
	var text string
	err := db.asTexts(t).QueryRow(`SELECT concat_ws(' ', coalesce(substr(first_seen, 18, 2), '-'), coalesce(substr(last_seen, 18, 2), '-'), sighting_count, disk_only,
		(SELECT group_concat(coalesce(sensor, '-') || coalesce(substr(seen_at, 18, 2), '-'), ',' ORDER BY sensor NULLS FIRST) FROM file_sightings s
			WHERE s.shasum = f.shasum AND kind = 'disk')) FROM files f WHERE shasum = ?`, contentOf(n).Shasum).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// copyOf opens a copy of a database that was closed.
func copyOf(t *testing.T, db *database) *database {
	t.Helper()
	return open(t, storetest.Copy(t, db.path))
}

func TestDepot(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	d := db.addFound(t, "one", cowrie.ScanTally{})
	if d.Entries != 0 || d.ID == 0 || d.Archive != (cowrie.FileID{}) {
		t.Errorf("a new depot is %+v", d)
	}
	// Names are any bytes, and numbers go to their ends.
	names := []string{"a", "\xff\xfe", "a\nb", "\x1b[31m", strings.Repeat("n", 255), "sub/\u202e", "'; DROP TABLE depots; --", "A"}
	found := []cowrie.Found{}
	for i, name := range names {
		found = append(found, foundAt(name, i, int64(i+1)))
	}
	found[0].FileID = cowrie.FileID{Inode: math.MaxUint64, Size: math.MaxInt64, ModTime: math.MinInt64}
	found[1].Content, found[1].Shasum, found[1].Problem = nil, "", "permission denied"
	found = append(found, foundAt("unnoted", 20, 5))
	found[len(found)-1].Unnoted = true
	d = db.addFound(t, "one", cowrie.ScanTally{Files: 8, Sightings: 8, Facts: 8}, found...)
	if d.Entries != int64(len(names)) {
		t.Errorf("%d entries are noted, want %d", d.Entries, len(names))
	}
	var all []string
	byName := map[string]cowrie.DepotEntry{}
	for i := range names {
		byName[names[i]] = found[i].DepotEntry
	}
	err := db.EachDepotEntry(t.Context(), d, func(e *cowrie.DepotEntry) error {
		all = append(all, e.Name)
		if *e != byName[e.Name] {
			t.Errorf("%q is %+v, want %+v", e.Name, e, byName[e.Name])
		}
		return nil
	})
	if err != nil || !slices.Equal(all, slices.Sorted(slices.Values(names))) {
		t.Errorf("the entries are %q, %v", all, err)
	}
	some, err := db.DepotEntries(t.Context(), d, []string{"a", "\xff\xfe", "gone", "\xff"})
	if want := map[string]cowrie.DepotEntry{"a": byName["a"], "\xff\xfe": byName["\xff\xfe"]}; err != nil || !cmp.Equal(want, some) {
		t.Errorf("(-want +got):\n%s%v", cmp.Diff(want, some), err)
	}
	// The same path of another sensor is another depot; so is another path.
	if other := db.addFound(t, "two", cowrie.ScanTally{}); other.ID == d.ID || other.Entries != 0 {
		t.Errorf("another depot is %+v", other)
	}
	if err := db.Forget(t.Context(), d, []string{"a", "\xff\xfe", "gone"}); err != nil {
		t.Fatal(err)
	}
	if err := db.Forget(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	archive := cowrie.FileID{Inode: math.MaxUint64, Size: 5, ModTime: -1}
	if err := db.Scanned(t.Context(), d, archive); err != nil {
		t.Fatal(err)
	}
	if d = db.addFound(t, "one", cowrie.ScanTally{}); d.Entries != int64(len(names))-2 || d.Archive != archive {
		t.Errorf("the depot is %+v", d)
	}
	if err := db.Scanned(t.Context(), d, cowrie.FileID{}); err != nil {
		t.Fatal(err)
	}
	if d = db.addFound(t, "one", cowrie.ScanTally{}); d.Archive != (cowrie.FileID{}) {
		t.Errorf("the depot is %+v", d)
	}
	var depots []string
	if err := db.Depots(t.Context(), func(d *cowrie.Depot) error { depots = append(depots, d.Path); return nil }); err != nil ||
		!slices.Equal(depots, []string{"/downloads of one", "/downloads of two"}) {
		t.Errorf("the depots are %q, %v", depots, err)
	}
	// A file is not gone because its entry is.
	if got := db.times(t, 0); got != "01 01 1 1 one01" {
		t.Errorf("the file of a forgotten entry is %s", got)
	}
}

// TestDiskSightings: of several copies the earliest counts, whatever order they
// come in, in one batch or in several, of one sensor or of more.
func TestDiskSightings(t *testing.T) {
	t.Parallel()
	new1, again := cowrie.ScanTally{Files: 1, Sightings: 1, Facts: 1}, cowrie.ScanTally{}
	db := newDatabase(t)
	db.addFound(t, "one", new1, foundAt("a", 1, 20), foundAt("b", 1, 30), foundAt("c", 1, 25))
	check := func(want string) {
		t.Helper()
		if got := db.times(t, 1); got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
	check("20 20 1 1 one20")
	db.addFound(t, "one", again, foundAt("d", 1, 40))
	check("20 20 1 1 one20")
	db.addFound(t, "one", again, foundAt("e", 1, 50), foundAt("f", 1, 10))
	check("10 10 1 1 one10")
	db.addFound(t, "one", again, foundAt("g", 1, 0)) // it does not say when
	check("10 10 1 1 one10")
	other := cowrie.ScanTally{Sightings: 1}
	db.addFound(t, "two", other, foundAt("a", 1, 30))
	check("10 30 2 1 one10,two30")
	db.addFound(t, "two", again, foundAt("b", 1, 5))
	check("05 10 2 1 one10,two05")
	db.addFound(t, "one", again, foundAt("h", 1, 3))
	check("03 05 2 1 one03,two05")
	db.addFound(t, "", other, foundAt("a", 1, 59))
	check("03 59 3 1 -59,one03,two05")
	db.addFound(t, "", again, foundAt("b", 1, 1))
	check("01 05 3 1 -01,one03,two05")

	// One that says no time gets one later.
	db.addFound(t, "one", new1, foundAt("x", 2, 0))
	if got := db.times(t, 2); got != "- - 1 1 one-" {
		t.Errorf("without a time it is %s", got)
	}
	db.addFound(t, "one", again, foundAt("y", 2, 7))
	if got := db.times(t, 2); got != "07 07 1 1 one07" {
		t.Errorf("with a time it is %s", got)
	}

	// In any order it ends the same.
	list := []struct {
		sensor string
		found  cowrie.Found
	}{{"one", foundAt("a", 3, 20)}, {"one", foundAt("b", 3, 10)}, {"two", foundAt("a", 3, 15)}, {"one", foundAt("c", 3, 0)}, {"two", foundAt("b", 3, 5)}}
	var first string
	empty := newDatabase(t)
	if err := empty.Close(); err != nil {
		t.Fatal(err)
	}
	for turn := 0; turn < len(list); turn += 2 {
		for _, backwards := range []bool{false, true} {
			order := slices.Concat(list[turn:], list[:turn])
			if backwards {
				slices.Reverse(order)
			}
			db := copyOf(t, empty)
			for _, o := range order {
				d, err := db.Depot(t.Context(), "/d", o.sensor)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.AddFound(t.Context(), d, []cowrie.Found{o.found}); err != nil {
					t.Fatal(err)
				}
			}
			if dump := storetest.Dump(t, db.Store, db.sql); first == "" {
				first = dump
			} else if dump != first {
				t.Fatalf("in another order it ends otherwise:\n%s", cmp.Diff(first, dump))
			}
		}
	}
}

// TestAddFoundMany adds more at once than a statement takes values.
func TestAddFoundMany(t *testing.T) {
	t.Parallel()
	const n = 2200
	db := newDatabase(t)
	found := make([]cowrie.Found, n)
	names := make([]string, n)
	for i := range found {
		names[i] = fmt.Sprint("f", i)
		found[i] = foundAt(names[i], i%(n/2), int64(1+i))
	}
	d := db.addFound(t, "one", cowrie.ScanTally{Files: n / 2, Sightings: n / 2, Facts: n / 2}, found...)
	if d.Entries != n {
		t.Errorf("%d entries, want %d", d.Entries, n)
	}
	noted, err := db.DepotEntries(t.Context(), d, names)
	if err != nil || len(noted) != n || noted["f2199"] != found[2199].DepotEntry {
		t.Errorf("%d of %d entries are noted, %v", len(noted), n, err)
	}
	db.addFound(t, "one", cowrie.ScanTally{}, found...)
	if err := db.Forget(t.Context(), d, names); err != nil {
		t.Fatal(err)
	}
	if d = db.addFound(t, "one", cowrie.ScanTally{}); d.Entries != 0 {
		t.Errorf("%d entries are left", d.Entries)
	}
}

// TestAddFoundFails: what cannot be stored as a whole is not stored at all.
func TestAddFoundFails(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.addFound(t, "one", cowrie.ScanTally{Files: 1, Sightings: 1, Facts: 1}, foundAt("a", 1, 20))
	before := storetest.Dump(t, db.Store, db.sql)
	if _, err := db.sql.Exec(storetest.Dialect(
		`CREATE TRIGGER fault BEFORE INSERT ON depot_entries WHEN NEW.name = x'62' BEGIN SELECT RAISE(ABORT, 'a fault'); END`,
		`DO $$ BEGIN
			CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a fault''; END';
			CREATE TRIGGER fault BEFORE INSERT ON depot_entries FOR EACH ROW WHEN (NEW.name = 'b') EXECUTE FUNCTION fault();
		END $$`)); err != nil {
		t.Fatal(err)
	}
	d, err := db.Depot(t.Context(), "/downloads of one", "one")
	if err != nil {
		t.Fatal(err)
	}
	tally, err := db.AddFound(t.Context(), d, []cowrie.Found{foundAt("c", 3, 20), foundAt("b", 2, 20), foundAt("a", 1, 5)})
	if err == nil || !strings.Contains(err.Error(), "a fault") || tally != (cowrie.ScanTally{}) {
		t.Errorf("%+v, %v", tally, err)
	}
	if got := storetest.Dump(t, db.Store, db.sql); got != before {
		t.Errorf("half of it is stored:\n%s", cmp.Diff(before, got))
	}
}

// TestCaptures compares logs with disks, sensor by sensor.
func TestCaptures(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	lists := func(sensor string) (missing, unlogged string) {
		t.Helper()
		list := func(each func(f func(*store.Capture) error) error) string {
			t.Helper()
			var got []string
			if err := each(func(c *store.Capture) error {
				text := fmt.Sprint(strings.TrimLeft(c.Shasum, "0"), "@", c.Sensor, "*", c.Sightings)
				if c.Size != nil {
					text += fmt.Sprint(" ", *c.Size, " ", c.MimeType)
				}
				got = append(got, text)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return strings.Join(got, ", ")
		}
		return list(func(f func(*store.Capture) error) error { return db.Missing(t.Context(), sensor, f) }),
			list(func(f func(*store.Capture) error) error { return db.Unlogged(t.Context(), sensor, f) })
	}
	want := func(sensor, missing, unlogged string) {
		t.Helper()
		if m, u := lists(sensor); m != missing || u != unlogged {
			t.Errorf("of %q are missing %q, want %q; unlogged %q, want %q", sensor, m, missing, u, unlogged)
		}
	}
	load := func(n int, sensor string, second int) {
		t.Helper()
		if _, err := db.sql.Exec(`INSERT INTO files (shasum, first_seen, last_seen, sighting_count, created_at, updated_at) VALUES ($1, $2, $2, 1, '2026-01-01', '2026-01-01')
			ON CONFLICT (shasum) DO UPDATE SET disk_only = FALSE`, contentOf(n).Shasum, cowrie.Time(int64(second)*1e6).String()); err != nil {
			t.Fatal(err)
		}
		if _, err := db.sql.Exec(`INSERT INTO file_sightings (shasum, session_id, sensor, kind, seen_at, sighting_key) VALUES ($1, $2, nullif($3, ''), 'download', $4, $5)`,
			contentOf(n).Shasum, fmt.Sprint("s", n, second), sensor, cowrie.Time(int64(second)*1e6).String(), fmt.Appendf(nil, "%016d", n*100+second)); err != nil {
			t.Fatal(err)
		}
	}
	want("", "", "")
	load(1, "one", 1)
	load(1, "one", 2)
	load(2, "one", 3)
	load(2, "two", 4)
	load(3, "", 5)
	load(4, "three", 6)
	want("", "", "") // nobody looked at a disk
	scanned := func(sensor string, list ...cowrie.Found) {
		t.Helper()
		d, err := db.Depot(t.Context(), "/downloads of "+sensor, sensor)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.AddFound(t.Context(), d, list); err != nil {
			t.Fatal(err)
		}
		if err := db.Scanned(t.Context(), d, cowrie.FileID{}); err != nil {
			t.Fatal(err)
		}
	}
	scanned("one", foundAt("x", 2, 9), foundAt("y", 5, 10))
	want("", "4@*1, 2@one*2", "6@one*1 6 text/plain")
	want("one", "2@one*2", "6@one*1 6 text/plain")
	want("two", "", "") // of which no disk was scanned
	want("three", "", "")
	want("four", "", "")
	scanned("two", foundAt("y", 5, 11))
	want("", "4@*1, 3@two*1, 2@one*2", "6@two*1 6 text/plain, 6@one*1 6 text/plain")
	want("two", "3@two*1", "6@two*1 6 text/plain")
	// A disk of no sensor may be any's.
	scanned("", foundAt("z", 1, 12))
	want("", "5@three*1, 4@*1, 3@two*1", "6@two*1 6 text/plain, 6@one*1 6 text/plain")
	scanned("", foundAt("z3", 3, 12))
	want("", "5@three*1, 3@two*1", "6@two*1 6 text/plain, 6@one*1 6 text/plain")
}

// TestCapturesBeforeTheEnd: of a depot that was not read to its end, nobody can
// say what is missing.
func TestCapturesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.exec(t, `INSERT INTO files (shasum, sighting_count, created_at, updated_at) VALUES ($1, 1, '2026-01-01', '2026-01-01')`, contentOf(1).Shasum)
	db.exec(t, `INSERT INTO file_sightings (shasum, session_id, sensor, kind, sighting_key) VALUES ($1, 's', 'one', 'download', $2)`, contentOf(1).Shasum, []byte{0})
	missing := func() (n int) {
		t.Helper()
		if err := db.Missing(t.Context(), "", func(*store.Capture) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	d := db.addFound(t, "one", cowrie.ScanTally{Files: 1, Sightings: 1, Facts: 1}, foundAt("x", 2, 9))
	if n := missing(); n != 0 {
		t.Errorf("%d captures are missing where the scan did not come to its end", n)
	}
	if err := db.Scanned(t.Context(), d, cowrie.FileID{}); err != nil {
		t.Fatal(err)
	}
	if n := missing(); n != 1 {
		t.Errorf("%d captures are missing, want 1", n)
	}
}

// TestEmptyOnDisk: the empty file is known for what it is.
func TestEmptyOnDisk(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	f := foundAt("x", 1, 9)
	f.Shasum, f.Content = cowrie.EmptyShasum, &cowrie.Content{Shasum: cowrie.EmptyShasum, SHA1: "s", MD5: "m"}
	db.addFound(t, "one", cowrie.ScanTally{Files: 1, Sightings: 1, Facts: 1}, f)
	var status string
	if err := db.sql.QueryRow(`SELECT enrichment_status || ' ' || file_size FROM files`).Scan(&status); err != nil || status != "ignored 0" {
		t.Errorf("it is %s, %v", status, err)
	}
}

// TestDepotPaths: a path may be as long as a system allows, and have any byte in it.
func TestDepotPaths(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	rng, long := rand.New(rand.NewPCG(1, 2)), []byte("/")
	for len(long) < 4095 {
		long = append(long, byte(1+rng.IntN(255))) // does not compress
	}
	ids := map[int64]bool{}
	for _, path := range []string{string(long), string(long[:4094]), `/a\000b`, "/a\xffb", "/a\\xffb"} {
		for range 2 {
			d, err := db.Depot(t.Context(), path, "dmz")
			if err != nil {
				t.Fatalf("%.20q: %v", path, err)
			}
			ids[d.ID] = true
		}
	}
	if len(ids) != 5 {
		t.Errorf("five paths are %d depots", len(ids))
	}
}
