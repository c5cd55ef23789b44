package grafana

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"midden/internal/store/storetest"
)

// TestMain runs the tests on both engines.
func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// TestWritten: the dashboards in examples are those of the description.
func TestWritten(t *testing.T) {
	want, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "examples", "grafana")
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if string(got) != string(want[name]) {
			t.Errorf("%s is not what \"make docs\" writes", path)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing: \"make docs\" writes it", name)
	}
}

// written is what the tests read of a dashboard, by Grafana's names.
type written struct {
	UID    string
	Panels []struct {
		ID      int
		Title   string
		Type    string
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			RefID                   string
			Format, QueryType       string
			RawSQL                  string `json:"rawSql"`
			RawQueryText, QueryText string
			TimeColumns             []string
			Datasource              struct{ Type, UID string }
			EditorMode              string
			RawQuery                bool
		}
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
}

func dashboardsOf(t *testing.T, engine string) map[string]written {
	t.Helper()
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]written{}
	for name, body := range files {
		if filepath.Dir(name) != engine {
			continue
		}
		var d written
		if err := json.Unmarshal(body, &d); err != nil {
			t.Fatal(err)
		}
		out[name] = d
	}
	return out
}

// window is what Grafana is asked to show.
type window struct {
	from, to time.Time
	sensors  []string
}

var (
	macro    = regexp.MustCompile(`\$(__[a-zA-Z]+)\(([^)]*)\)`)
	variable = regexp.MustCompile(`\$(__[a-zA-Z_]+|\{[a-z:]+\})`)
)

// filled puts into a statement what Grafana and its data source put there, as they
// document it. Variables come first: they are the page's, macros the data source's.
func (w window) filled(t *testing.T, text string) string {
	t.Helper()
	text = variable.ReplaceAllStringFunc(text, func(name string) string {
		switch name {
		case "$__interval":
			return "6h"
		case "$__interval_ms":
			return "21600000"
		case "$__from":
			return strconv.FormatInt(w.from.UnixMilli(), 10)
		case "$__to":
			return strconv.FormatInt(w.to.UnixMilli(), 10)
		case "${sensor:sqlstring}":
			var list []string
			for _, s := range w.sensors {
				list = append(list, "'"+strings.ReplaceAll(s, "'", "''")+"'")
			}
			return strings.Join(list, ",")
		}
		return name
	})
	return macro.ReplaceAllStringFunc(text, func(call string) string {
		m := macro.FindStringSubmatch(call)
		if storetest.Dialect("sqlite", "postgres") == "sqlite" {
			t.Fatalf("%s: the SQLite data source has no such macro that takes a text", call)
		}
		const form = time.RFC3339Nano
		switch m[1] {
		case "__timeFilter":
			return fmt.Sprintf("%s BETWEEN '%s' AND '%s'", m[2], w.from.Format(form), w.to.Format(form))
		case "__timeFrom":
			return "'" + w.from.Format(form) + "'"
		case "__timeTo":
			return "'" + w.to.Format(form) + "'"
		case "__timeGroup":
			column, interval, _ := strings.Cut(m[2], ", ")
			every, err := time.ParseDuration(interval)
			if err != nil {
				t.Fatalf("%s: %v", call, err)
			}
			return fmt.Sprintf("floor(extract(epoch from %s)/%v)*%[2]v", column, every.Seconds())
		}
		t.Fatalf("Grafana has no macro %s", call)
		return ""
	})
}

func utc(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }

// table runs a statement and returns its columns and rows.
func table(t *testing.T, db *sql.DB, text string) (columns []string, rows [][]any) {
	t.Helper()
	r, err := db.Query(text)
	if err != nil {
		t.Errorf("%v:\n%s", err, text)
		return nil, nil
	}
	defer r.Close()
	if columns, err = r.Columns(); err != nil {
		t.Fatal(err)
	}
	for r.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := r.Scan(to...); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := r.Err(); err != nil {
		t.Errorf("%v:\n%s", err, text)
	}
	return columns, rows
}

func number64(t *testing.T, v any) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text(v), 64)
	if err != nil {
		t.Errorf("%v (%T) is no number", v, v)
	}
	return n
}

func text(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(v)
}

// TestDashboards runs every statement as Grafana would, on the example logs: each finds
// something, and is of the form that its panel takes.
func TestDashboards(t *testing.T) {
	engine := storetest.Dialect("sqlite", "postgresql")
	db := storetest.Connect(t, storetest.Examples(t))
	w := window{from: utc(1), to: utc(31)}
	uids := map[string]bool{}
	for name, d := range dashboardsOf(t, engine) {
		if uids[d.UID] || len(d.UID) > 40 {
			t.Errorf("%s has the uid %q", name, d.UID)
		}
		uids[d.UID] = true
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			_, rows := table(t, db, v.Definition)
			w.sensors = []string{"it's"}
			for _, row := range rows {
				w.sensors = append(w.sensors, text(row[0]))
			}
			if len(rows) < 3 {
				t.Errorf("%s: %s offers %q", name, v.Name, w.sensors)
			}
		}
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x > 23 {
						t.Fatalf("%s: %s lies on %s", name, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
			q := p.Targets[0]
			statement := q.RawSQL + q.RawQueryText
			if q.Datasource.Type != plugins[engine] || q.Datasource.UID != "${datasource}" || statement == "" || q.RawQueryText != q.QueryText {
				t.Errorf("%s: %s asks %+v", name, p.Title, q)
			}
			columns, rows := table(t, db, w.filled(t, statement))
			if len(rows) == 0 {
				t.Errorf("%s: %s shows nothing:\n%s", name, p.Title, w.filled(t, statement))
				continue
			}
			switch p.Type {
			case "stat":
				if len(rows) != 1 || len(columns) != 1 || number64(t, rows[0][0]) == 0 {
					t.Errorf("%s: %s shows %v", name, p.Title, rows)
				}
			case "timeseries":
				before := 0.0
				for _, row := range rows {
					at := number64(t, row[0])
					if columns[0] != "time" || at < before || at < float64(w.from.Unix()) || at > float64(w.to.Unix()) {
						t.Errorf("%s: %s has %v at %v after %v", name, p.Title, columns, at, before)
					}
					before = at
					number64(t, row[len(row)-1])
				}
			case "barchart":
				number64(t, rows[0][1])
			}
			for _, c := range q.TimeColumns {
				for i, column := range columns {
					if column != c || p.Type == "timeseries" {
						continue
					}
					if _, err := time.Parse(time.RFC3339Nano, text(rows[0][i])); err != nil {
						t.Errorf("%s: %s: %s is %v, which the data source takes for no time", name, p.Title, column, rows[0][i])
					}
				}
			}
		}
	}
	if len(uids) != 4 {
		t.Errorf("%d dashboards", len(uids))
	}
}

// TestEdges: what lies in two windows that meet is what lies in one over both.
func TestEdges(t *testing.T) {
	db := storetest.Connect(t, storetest.Examples(t))
	// What names no sensor is that of the sensor "".
	for _, statement := range []string{`UPDATE file_sightings SET sensor = NULL WHERE sensor = 'handmade'`, `UPDATE session_summaries SET matcher = NULL WHERE matcher = 'handmade'`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"", "handmade", "sensor-01", "sensor-02", "sensor-03"}
	plain := map[string]string{
		"Sightings": `SELECT count(*) FROM file_sightings WHERE kind <> 'disk'`,
		"Sessions":  `SELECT count(*) FROM session_summaries`,
		"Attempts":  `SELECT sum(login_attempts) FROM session_summaries`,
		"Events":    `SELECT sum(event_count) FROM session_summaries`,
	}
	for name, d := range dashboardsOf(t, storetest.Dialect("sqlite", "postgresql")) {
		for _, p := range d.Panels {
			if p.Type != "stat" || strings.Contains(p.Targets[0].RawSQL+p.Targets[0].RawQueryText, "DISTINCT") {
				continue
			}
			count := func(w window) float64 {
				_, rows := table(t, db, w.filled(t, p.Targets[0].RawSQL+p.Targets[0].RawQueryText))
				if rows[0][0] == nil {
					return 0
				}
				return number64(t, rows[0][0])
			}
			second := time.Second // the last one of a day, as Grafana has it
			whole := count(window{utc(27), utc(30).Add(-second), all})
			parts := count(window{utc(27), utc(28).Add(-second), all}) + count(window{utc(28), utc(30).Add(-second), all})
			if whole != parts || whole == 0 {
				t.Errorf("%s: %s: %v in all, %v in parts", name, p.Title, whole, parts)
			}
			sensors := 0.0
			for _, s := range all {
				sensors += count(window{utc(27), utc(30).Add(-second), []string{s}})
			}
			if whole != sensors {
				t.Errorf("%s: %s: %v in all, %v of all sensors", name, p.Title, whole, sensors)
			}
			if statement := plain[p.Title]; statement != "" {
				if _, rows := table(t, db, statement); number64(t, rows[0][0]) != whole {
					t.Errorf("%s: %s: %v, and by plain SQL %v", name, p.Title, whole, rows[0][0])
				}
				delete(plain, p.Title)
			}
		}
	}
	if len(plain) > 0 {
		t.Errorf("no panel is called %v", plain)
	}
}
