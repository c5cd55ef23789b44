package enrich

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

// FuzzEntry reads entries of any content under each kind of name, and keeps again
// what is an answer.
func FuzzEntry(f *testing.F) {
	a := hashOf("a")
	for _, body := range []string{
		answer(a, 3), answer(hashOf("b"), 0), answer(a, 3)[:90], answer(a, 3) + "x", "", "null", "[]", "<html>", "\x1f\x8b",
		`{"error":{"code":"NotFoundError"}}`, `{"sha256":"` + strings.ToUpper(a) + `","last_analysis_stats":{"malicious":"1e99"}}`,
		`{"data":{"id":"` + a + `","attributes":{"sha256":"` + hashOf("b") + `","last_analysis_stats":{"malicious":1}}}}`,
	} {
		f.Add([]byte(body), int64(1_700_000_000_000_000))
		f.Add([]byte(body), int64(-1))
	}
	f.Fuzz(func(t *testing.T, body []byte, micros int64) {
		micros %= 1 << 52 // years that every file system knows
		kept, err := OpenAnswers(t.TempDir())
		must(t, err)
		defer kept.Close()
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		must(t, err)
		defer root.Close()
		for _, name := range []string{a, "vt_" + a + ".json", treePath(a), digestPath("a")} {
			at(t, put(t, dir, name, string(body)), time.UnixMicro(micros))
			shasum, ok := ofVirusTotal(append([]string{"", "cache"}, strings.Split(path.Dir(name), "/")...), path.Base(name))
			if !ok || shasum != a && name != digestPath("a") {
				t.Fatalf("%s is about %q, %v", name, shasum, ok)
			}
			var v cowrie.Verdict
			file, err := entry{root, name, shasum}.open()
			if err == nil {
				v, err = file.verdict()
				file.Close()
			}
			if err != nil {
				if why := reasonOf(err); why == gone || why == ReasonUnreadable || !slices.Contains(Reasons, why) {
					t.Errorf("%s: %v has the reason %q", name, err, why)
				}
				continue
			}
			if lower, ok := cowrie.Shasum([]byte(v.Shasum)); !ok || lower != v.Shasum || shasum != "" && v.Shasum != shasum ||
				v.ObservedAt != cowrie.Time(micros) || string(v.Body) != string(body) || v.Malicious < 0 {
				t.Errorf("%s: %+v", name, v)
			}
			must(t, kept.Put(&v))
			again, ok := kept.Get(v.Shasum)
			if diff := cmp.Diff(v, again); !ok || diff != "" {
				t.Errorf("%s comes back changed: %s", name, diff)
			}
		}
	})
}
