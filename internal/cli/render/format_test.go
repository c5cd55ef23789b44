package render

import (
	"strings"
	"testing"
)

func TestParseFormat(t *testing.T) {
	for _, s := range []string{"table", "json", "jsonl", "csv"} {
		if f, err := ParseFormat(s); err != nil || string(f) != s {
			t.Errorf("ParseFormat(%q) = %q, %v", s, f, err)
		}
	}
	for _, s := range []string{"", "JSON", "xml", "\x1b[2J"} {
		_, err := ParseFormat(s)
		if err == nil {
			t.Errorf("ParseFormat(%q) is taken", s)
			continue
		}
		for _, name := range []string{"table", "json", "jsonl", "csv"} {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("ParseFormat(%q): %v; it does not name %s", s, err, name)
			}
		}
		if strings.Contains(err.Error(), "\x1b") {
			t.Errorf("ParseFormat(%q): %q is not escaped", s, err)
		}
	}
}
