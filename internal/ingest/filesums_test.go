package ingest_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"midden/internal/backfill"
	"midden/internal/cowrie"
	"midden/internal/store"
	"midden/internal/store/storetest"
)

// facts are what is told of a file, counted one value at a time by the test.
func (db *database) facts(t *testing.T, shasum string) *store.FileFacts {
	t.Helper()
	f := &store.FileFacts{}
	values := func(column string) (list []store.Count) {
		for _, row := range storetest.Rows(t, db.sql, `SELECT `+column+`, count(*) FROM file_sightings
			WHERE shasum = '`+shasum+`' AND `+column+` <> '' GROUP BY `+column) {
			var n int64
			fmt.Sscan(row[1], &n)
			list = append(list, store.Count{Value: row[0], Count: n})
		}
		slices.SortFunc(list, func(a, b store.Count) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
		})
		return list
	}
	first := func(list []store.Count) []store.Count { return list[:min(len(list), 10)] }
	addresses, sensors := values("src_ip"), values("sensor")
	f.Sessions, f.Addresses, f.Sensors = int64(len(values("session_id"))), int64(len(addresses)), int64(len(sensors))
	f.TopAddresses, f.TopSensors = first(addresses), first(sensors)
	f.Names, f.Paths, f.URLs, f.Kinds = first(values("filename")), first(values("destfile")), first(values("download_url")), first(values("kind"))
	return f
}

// TestFileFacts: what is told of a file is what its sightings say, whether they are few, become many, or
// are many, and whatever happens to them.
func TestFileFacts(t *testing.T) {
	db, dir := newDatabase(t), t.TempDir()
	often, seldom := strings.Repeat("a", 64), strings.Repeat("b", 64)
	rnd := rand.New(rand.NewPCG(1, 2))
	n := 0
	event := func(shasum string) string {
		n++
		session := rnd.IntN(900) // some bring it several times, and in several logs
		detail := fmt.Sprintf(`"eventid":"cowrie.session.file_download","url":"http://h%d.invalid/x","destfile":"/tmp/%d"`, rnd.IntN(15), rnd.IntN(15))
		if rnd.IntN(3) == 0 {
			detail = fmt.Sprintf(`"eventid":"cowrie.session.file_upload","filename":"n%d"`, rnd.IntN(15))
		}
		return fmt.Sprintf(`{%s,"session":"%08x","src_ip":"192.0.2.%d","sensor":"s%d","shasum":"%s","outfile":"d/%[5]s","timestamp":"2026-01-%02dT00:00:%02d.%06dZ"}`,
			detail, session, session%200, session%3, shasum, 1+n%20, n%60, n)
	}
	check := func(when string, kept bool) {
		t.Helper()
		for _, shasum := range []string{often, seldom} {
			got, err := db.FileFacts(t.Context(), shasum)
			if want := db.facts(t, shasum); err != nil || fmt.Sprint(*got) != fmt.Sprint(*want) {
				t.Errorf("%s: %.1s: %+v, %v, want %+v", when, shasum, got, err, want)
			}
		}
		storetest.Sums(t, db.Store)
		files := storetest.Rows(t, db.sql, `SELECT DISTINCT shasum FROM file_sums`)
		if want := [][]string{{often}}; kept && !reflect.DeepEqual(files, want) || !kept && len(files) > 0 {
			t.Errorf("%s: kept are sums of %q", when, files)
		}
	}
	logs := 0
	load := func(events int, more ...string) {
		t.Helper()
		for range events {
			more = append(more, event(often))
		}
		logs++
		db.load(t, write(t, filepath.Join(dir, fmt.Sprintf("%02d.json", logs)), []byte(strings.Join(more, "\n")+"\n")))
	}
	load(900, event(seldom))
	check("few", false)
	load(150)
	check("many", true)
	for range 17 { // more than twice what becomes one piece
		load(40, event(seldom))
	}
	check("more", true)
	if rows := storetest.Rows(t, db.sql, `SELECT level, count(*) FROM file_sums GROUP BY level ORDER BY level`); len(rows) != 2 {
		t.Errorf("pieces by level: %q", rows)
	}
	db.load(t, write(t, filepath.Join(dir, "again", "x.json"), []byte(event(often)+"\n")), dir)
	check("again", true)

	depot, err := db.Depot(t.Context(), dir, "s1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddFound(t.Context(), depot, []cowrie.Found{{DepotEntry: cowrie.DepotEntry{Name: often}, SeenAt: 0, Content: &cowrie.Content{Shasum: often}}}); err != nil {
		t.Fatal(err)
	}
	check("on disk", true)

	// What is wrong is found and put right.
	repaired := func() (gaps int) {
		snapshot, err := db.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer snapshot.Close()
		_, err = backfill.Verify(t.Context(), snapshot, backfill.VerifyOptions{Mend: db.Mend}, func(backfill.Gap) error {
			gaps++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return gaps
	}
	for name, damage := range map[string]string{
		"a lost sighting": `DELETE FROM file_sightings WHERE id = (SELECT min(id) FROM file_sightings WHERE shasum = '` + often + `')`,
		"lost sums":       `DELETE FROM file_sums`,
		"a lost piece":    `DELETE FROM file_sums WHERE level = 0 AND piece = 0`,
		"damaged sums":    `UPDATE file_sums SET body = ` + storetest.Dialect(`x'00'`, `'\x00'`),
	} {
		if _, err := db.sql.ExecContext(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		if repaired() == 0 {
			t.Errorf("%s: not found", name)
		}
		check(name, true)
	}
	// An answer is right even if nobody has looked.
	if _, err := db.sql.ExecContext(t.Context(), `UPDATE file_sums SET body = `+storetest.Dialect(`x'00'`, `'\x00'`)); err != nil {
		t.Fatal(err)
	}
	got, err := db.FileFacts(t.Context(), often)
	if want := db.facts(t, often); err != nil || fmt.Sprint(*got) != fmt.Sprint(*want) {
		t.Errorf("damaged: %+v, %v, want %+v", got, err, want)
	}
	load(3)
	load(3)
	for range 8 { // merging them, the loader sees it
		load(1)
	}
	check("loaded over damage", true)
}
