package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseMetrics(t *testing.T) {
	t.Parallel()
	got, err := parseMetrics(`goos: linux
goarch: amd64
BenchmarkDue-2   	       3	    712345 ns/op
BenchmarkMonth/cold 	       1	1500000000 ns/op	   1000000 events
BenchmarkReading-16        	       5	         0.7900 reading/shell	         1.300 sense/shell
PASS
ok  	midden/internal/enrich	1.234s
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Metrics{"Due ns/op": 712345, "Month/cold ns/op": 1.5e9, "Month/cold events": 1e6, "Reading reading/shell": 0.79, "Reading sense/shell": 1.3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d, err := got.Time("Due"); err != nil || d != 712345*time.Nanosecond {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := got.Of("Ask lookups/s"); err == nil {
		t.Error("a value that is not there")
	}
	if _, err := parseMetrics("PASS\nok  	midden/internal/enrich	1.234s\n"); err == nil {
		t.Error("no benchmark ran, and nobody was told")
	}
}

func TestParseTraces(t *testing.T) {
	t.Parallel()
	got, err := parseTraces(`File: bench.test
Type: cpu
Duration: 1.2s, Total samples = 100ms (8.3%)
-----------+-------------------------------------------------------
      60ms   runtime.memmove
             modernc.org/sqlite/lib._insertCell
             midden/internal/store.(*flush).sessions
-----------+-------------------------------------------------------
      10ms   strconv.ParseFloat
             midden/internal/cowrie.(*Event).parse
             midden/internal/ingest.(*loader).work
-----------+-------------------------------------------------------
      10ms   runtime.gcDrain
             runtime.systemstack
-----------+-------------------------------------------------------
      20ms   github.com/klauspost/compress/zstd.(*betterFastEncoder).Encode
             midden/internal/store.Seal
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Share{{"SQLite", 60}, {"zstd", 20}, {noRoom, 10}, {"making sense of events (`internal/cowrie`)", 10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := parseTraces("File: bench.test\n"); err == nil {
		t.Error("no samples, and nobody was told")
	}
}
