package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"testing"
)

// TestCSVKeepsJSON: lists inside of a record can be read by a JSON parser.
func TestCSVKeepsJSON(t *testing.T) {
	var out bytes.Buffer
	w := New(&out, CSV, []Column{{Name: "list"}})
	if err := w.Row(json.RawMessage("[\n {\"a\": \"\\u001b[31m=1+1\\n\u202e\"}\n]")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	if err := json.Unmarshal([]byte(rows[1][0]), &list); err != nil {
		t.Fatalf("%s: %v", rows[1][0], err)
	}
	if got, want := list[0]["a"], "\x1b[31m=1+1\n\u202e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if bytes.ContainsRune([]byte(rows[1][0]), '\u202e') {
		t.Error("an invisible character stands in the cell")
	}
}
