package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midden/internal/store/storetest"
	"midden/internal/synth"
	"midden/internal/synth/cowrieprocessor"
)

// query is a statement of docs/queries.md.
type query struct {
	text   string
	engine string // of SQLite or PostgreSQL alone; "" is both; "before": of cowrieprocessor's tables
}

// queries reads the statements out of the page. Whose a statement is says the line
// above it.
func queries(t *testing.T) (list []query) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "queries.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```sql\n")
	for i, block := range blocks[1:] {
		text, _, closed := strings.Cut(block, "```")
		if !closed {
			t.Fatalf("a statement without an end: %s", text)
		}
		q := query{text: strings.TrimSuffix(strings.TrimSpace(text), ";")}
		for words, engine := range map[string]string{"On SQLite:": "sqlite", "On PostgreSQL:": "postgres", "Before:": "before"} {
			if strings.HasSuffix(strings.TrimSpace(blocks[i]), words) {
				q.engine = engine
			}
		}
		list = append(list, q)
	}
	return list
}

// rows counts the rows of a statement.
func rows(t *testing.T, db *sql.DB, text string) int {
	t.Helper()
	tx, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	r, err := tx.Query(text)
	if err != nil {
		t.Errorf("%v:\n%s", err, text)
		return 0
	}
	defer r.Close()
	n := 0
	for r.Next() {
		n++
	}
	if err := r.Err(); err != nil {
		t.Errorf("%v:\n%s", err, text)
	}
	return n
}

// TestQueries runs every statement of docs/queries.md on the example logs: each finds
// something.
func TestQueries(t *testing.T) {
	db := storetest.Connect(t, storetest.Examples(t))
	ran := 0
	for _, q := range queries(t) {
		if q.engine != "" && q.engine != storetest.Dialect("sqlite", "postgres") {
			continue
		}
		if ran++; rows(t, db, q.text) == 0 {
			t.Errorf("nothing is found by\n%s", q.text)
		}
	}
	if ran < 20 {
		t.Errorf("%d statements", ran)
	}
}

// TestQueriesBefore runs those that the page replaces on what they were made for.
func TestQueriesBefore(t *testing.T) {
	storetest.OnSQLite(t)
	path := filepath.Join(t.TempDir(), "cowrieprocessor.sqlite")
	if _, err := cowrieprocessor.Write(t.Context(), path, cowrieprocessor.Options{Logs: synth.Options{Seed: 1, Events: 3000}}); err != nil {
		t.Fatal(err)
	}
	db := storetest.Connect(t, path)
	ran := 0
	for _, q := range queries(t) {
		if q.engine != "before" {
			continue
		}
		if ran++; rows(t, db, q.text) == 0 {
			t.Errorf("nothing is found by\n%s", q.text)
		}
	}
	if ran < 4 {
		t.Errorf("%d statements", ran)
	}
}
