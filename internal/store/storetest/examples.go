package storetest

import (
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"

	"midden/internal/ingest"
)

// Examples returns the name of a new database with the example logs in it, and with
// made-up verdicts: of the files by their hashes, one is malicious and was here before
// VirusTotal had it, one is known and harmless, one is unknown.
func Examples(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	logs := filepath.Join(filepath.Dir(here), "..", "..", "..", "examples", "logs")
	name := Name(t)
	s := Open(t, name)
	_, err := ingest.Load(t.Context(), s, []string{logs}, ingest.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	db := Connect(t, name)
	for _, statement := range []string{
		`UPDATE files SET enrichment_status = 'known', vt_malicious = 41, vt_total = 63, vt_classification = 'trojan.mirai/gafgyt', vt_first_seen = '2026-03-30T02:00:00.000000Z',
			vt_checked_at = '2026-03-30T12:00:00.000000Z' WHERE shasum = (SELECT shasum FROM files ORDER BY shasum LIMIT 1)`,
		`UPDATE files SET enrichment_status = 'known', vt_malicious = 0, vt_total = 60, vt_first_seen = '2025-03-30T02:00:00.000000Z',
			vt_checked_at = '2026-03-30T12:00:00.000000Z' WHERE shasum = (SELECT shasum FROM files ORDER BY shasum LIMIT 1 OFFSET 1)`,
		`UPDATE files SET enrichment_status = 'unknown', vt_checked_at = '2026-03-30T12:00:00.000000Z' WHERE shasum = (SELECT shasum FROM files ORDER BY shasum LIMIT 1 OFFSET 2)`,
		`INSERT INTO file_verdicts (shasum, source, observed_at, known, malicious, total, classification)
			SELECT shasum, 'virustotal', '2026-03-29T12:00:00.000000Z', TRUE, 3, 60, 'trojan.mirai' FROM files WHERE vt_malicious = 41`,
		`INSERT INTO file_verdicts (shasum, source, observed_at, known, malicious, total, classification)
			SELECT shasum, 'virustotal', '2026-03-29T13:00:00.000000Z', TRUE, 41, 63, 'trojan.mirai/gafgyt' FROM files WHERE vt_malicious = 41`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return name
}
