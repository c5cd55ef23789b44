package enrich

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

// memory keeps verdicts as the store does.
type memory struct {
	known   map[string]cowrie.Verdict
	batches []int
	fail    error // of every batch
}

func (m *memory) AddVerdicts(ctx context.Context, verdicts []cowrie.Verdict) (added int64, err error) {
	if m.fail != nil {
		return 0, m.fail
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if m.known == nil {
		m.known = map[string]cowrie.Verdict{}
	}
	m.batches = append(m.batches, len(verdicts))
	for _, v := range verdicts {
		key := fmt.Sprintln(v.Shasum, v.Source, v.ObservedAt)
		if _, ok := m.known[key]; !ok {
			m.known[key] = v
			added++
		}
	}
	return added, nil
}

// hashOf makes a hash out of a name.
func hashOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// answer is a body about a file.
func answer(shasum string, malicious int) string {
	return fmt.Sprintf(`{"data":{"id":%q,"type":"file","attributes":{"sha256":%[1]q,"last_analysis_date":1700000000,`+
		`"last_analysis_stats":{"malicious":%d,"undetected":20,"timeout":9}}}}`, shasum, malicious)
}

// written is when the entries of a test's cache were written.
var written = time.Date(2025, 3, 4, 5, 6, 7, 123456789, time.UTC)

// put writes an entry below dir and returns its path.
func put(t testing.TB, dir, path, body string) string {
	t.Helper()
	path = filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	at(t, path, written)
	return path
}

func at(t testing.TB, path string, mtime time.Time) {
	t.Helper()
	if err := os.Chtimes(path, mtime, mtime); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// importAll imports directories and checks what must hold of every summary.
func importAll(t testing.TB, db Verdicts, log *slog.Logger, dirs ...string) CacheSummary {
	t.Helper()
	c, err := OpenCaches(dirs)
	must(t, err)
	defer c.Close()
	sum, err := c.Import(t.Context(), db, CacheOptions{Log: log})
	must(t, err)
	var passed int64
	for reason, n := range sum.Reasons {
		passed += n
		if !slices.Contains(Reasons, reason) {
			t.Errorf("the reason %q is not listed", reason)
		}
	}
	if passed != sum.PassedOver || sum.Entries != sum.Read+sum.PassedOver {
		t.Errorf("entries are not accounted for: %+v", sum)
	}
	return sum
}

// digestPath and treePath are the third layout, in its two forms.
func digestPath(key string) string {
	d := hashOf(key)
	return "virustotal/" + d[:2] + "/" + d + ".json"
}

func treePath(shasum string) string {
	return "virustotal/" + shasum[:2] + "/" + shasum[2:4] + "/" + shasum[4:6] + "/" + shasum[6:8] + "/" + shasum + ".json"
}

func TestImportLayouts(t *testing.T) {
	dir := t.TempDir()
	a, b, c, d, e := hashOf("a"), hashOf("b"), hashOf("c"), hashOf("d"), hashOf("e")
	paths := map[string]string{
		a: put(t, dir, a, answer(a, 41)),
		b: put(t, dir, "vt_"+b+".json", `{"data": {"id": "`+b+`", "type": "file", "attributes": {
			"last_analysis_stats": {"_on_change_callback": {}, "data": {"malicious": 3, "undetected": 60, "timeout": 1}},
			"first_submission_date": "2023-07-22 04:26:40+00:00", "type_description": null}}}`),
		c: put(t, dir, digestPath("file:"+c), answer(c, 5)),
		d: put(t, dir, treePath(d), answer(d, 6)),
		e: put(t, dir, strings.ToUpper(e), answer(strings.ToUpper(e), 7)),
	}
	later := put(t, dir, "vt_"+a+".json", answer(a, 42)) // the same file, asked about again
	at(t, later, written.Add(time.Hour))
	// What other services have, and what is no entry of any.
	for _, path := range []string{"dshield_192.0.2.1.json", "uh_192.0.2.1", "spur_192.0.2.1.json", "192.0.2.2", "notes.txt",
		strings.Replace(digestPath("192.0.2.3"), "virustotal", "dshield", 1), "virustotal/" + a + ".json",
		"virustotal/00/" + b + ".json", "virustotal_unknown/" + digestPath("x")[11:], a + ".tmp", "vt_short.json",
		strings.Replace(treePath(d), "virustotal", "hibp", 1), b[1:]} {
		put(t, dir, path, answer(a, 1))
	}

	db := &memory{}
	sum := importAll(t, db, nil, dir)
	if sum.Read != 6 || sum.Added != 6 || sum.Known() != 0 || sum.PassedOver != 13 || sum.Reasons[ReasonOtherService] != 13 {
		t.Errorf("%+v", sum)
	}
	for shasum, malicious := range map[string]int{a: 41, b: 3, c: 5, d: 6, e: 7} {
		body, err := os.ReadFile(paths[shasum])
		must(t, err)
		want := cowrie.NewVerdict(shasum, cowrie.SourceVirusTotal, cowrie.FromStd(written))
		want.Malicious, want.Undetected, want.Total, want.Body = malicious, 20, malicious+20, body
		if shasum == b {
			want.Undetected, want.Total = 60, 63
			want.FirstSubmission = cowrie.FromStd(time.Unix(1690000000, 0))
		} else {
			want.AnalysedAt = cowrie.FromStd(time.Unix(1700000000, 0))
		}
		got := db.known[fmt.Sprintln(shasum, cowrie.SourceVirusTotal, "2025-03-04T05:06:07.123456Z")]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	if v := db.known[fmt.Sprintln(a, cowrie.SourceVirusTotal, "2025-03-04T06:06:07.123456Z")]; v.Malicious != 42 {
		t.Errorf("what was said later is %+v", v)
	}

	// Again adds nothing, nor does a part of it under its own name.
	if sum := importAll(t, db, nil, dir); sum.Read != 6 || sum.Added != 0 || sum.Known() != 6 {
		t.Errorf("again: %+v", sum)
	}
	sum = importAll(t, db, nil, filepath.Join(dir, "virustotal"), filepath.Join(dir, "virustotal", digestPath("file:" + c)[11:13]))
	if sum.Read != 3 || sum.Added != 0 {
		t.Errorf("parts: %+v", sum)
	}
	if len(db.known) != 6 {
		t.Errorf("%d verdicts", len(db.known))
	}
}

func TestImportPoisoned(t *testing.T) {
	base := t.TempDir()
	dir, outside := filepath.Join(base, "cache"), filepath.Join(base, "outside")
	good := hashOf("good")
	secret := hashOf("secret")
	put(t, dir, good, answer(good, 1))
	put(t, outside, secret, answer(secret, 2))
	put(t, outside, treePath(secret), answer(secret, 2))

	n := 0
	want := map[Reason]int64{}
	poison := func(why Reason, body string) string {
		n++
		want[why]++
		shasum := hashOf(fmt.Sprint(why, n))
		return put(t, dir, shasum, strings.ReplaceAll(body, "HASH", shasum))
	}
	whole := answer("HASH", 3)
	poison(ReasonEmpty, "")
	poison(ReasonEmpty, "\n\n")
	poison(ReasonTruncated, whole[:len(whole)/2])
	poison(ReasonTruncated, whole+whole)
	poison(ReasonNotJSON, "<html><body>502 Bad Gateway</body></html>")
	poison(ReasonNotJSON, strings.Repeat("\x00", 4096))
	poison(ReasonNotJSON, "\x7fELF\x02\x01\x01")
	poison(ReasonOtherHash, answer(good, 3))
	poison(ReasonErrorAnswer, `{"error":{"code":"NotFoundError","message":"not found"}}`)
	poison(ReasonErrorAnswer, `{"error":{"code":"QuotaExceededError","message":"\u001b]0;x\u0007"}}`)
	poison(ReasonNoHash, `{}`)
	poison(ReasonNoHash, strings.Replace(whole, `"file"`, `"url"`, 1))
	poison(ReasonNoVerdict, `{"data":{"id":"HASH","type":"file","attributes":{"size":5}}}`)
	poison(ReasonAbsurd, answer("HASH", -1))
	at(t, poison(ReasonWrongTime, whole), time.Now().Add(time.Hour))
	at(t, poison(ReasonWrongTime, whole), time.Now().AddDate(20, 0, 0))
	at(t, poison(ReasonWrongTime, whole), time.Unix(-1, 0))
	huge := poison(ReasonTooLarge, whole)
	must(t, os.Truncate(huge, 1<<40))
	must(t, os.Truncate(poison(ReasonTooLarge, whole), maxEntry+1))
	must(t, os.Truncate(poison(ReasonTruncated, whole), maxEntry)) // the largest: an answer with zero bytes behind it

	// In the other layouts a name is a hash, too, but where it is a key's.
	put(t, dir, "vt_"+hashOf("x")+".json", answer(good, 3))
	put(t, dir, treePath(hashOf("x")), answer(good, 3))
	want[ReasonOtherHash] += 2

	// Links, pipes and sockets, whatever they are called or lead to.
	link := func(target, path string) {
		want[ReasonNotRegular]++
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
		must(t, os.Symlink(target, filepath.Join(dir, path)))
	}
	link(filepath.Join(outside, secret), secret)
	link("../outside/"+secret, "vt_"+secret+".json")
	link(good, hashOf("a link inside"))
	link("/dev/zero", hashOf("a device"))
	link(hashOf("nowhere"), hashOf("dangling"))
	link(hashOf("loop"), hashOf("loop"))
	link(".", "again")
	link("../..", "sub/up")
	link("../outside/virustotal", "virustotal/"+secret[:2])
	must(t, syscall.Mkfifo(filepath.Join(dir, hashOf("pipe")), 0o644))
	socket, err := net.Listen("unix", filepath.Join(dir, "vt"))
	must(t, err)
	defer socket.Close()
	want[ReasonNotRegular] += 2
	if syscall.Mknod(filepath.Join(dir, hashOf("null")), syscall.S_IFCHR|0o644, 1<<8|3) == nil { // as root only
		want[ReasonNotRegular]++
	}
	must(t, os.MkdirAll(filepath.Join(dir, hashOf("a directory")), 0o755))

	var log bytes.Buffer
	db := &memory{}
	sum := importAll(t, db, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), dir)
	if diff := cmp.Diff(want, sum.Reasons); diff != "" {
		t.Errorf("reasons (-want +got)\n%s", diff)
	}
	if sum.Read != 1 || len(db.known) != 1 {
		t.Errorf("%+v, %d verdicts", sum, len(db.known))
	}
	if lines := strings.Count(log.String(), "level=DEBUG msg=\"passed over\""); int64(lines) != sum.PassedOver {
		t.Errorf("%d lines about %d entries", lines, sum.PassedOver)
	}
	for _, text := range []string{"about another file", "NotFoundError", "not a regular file", "in the future"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q", text)
		}
	}
}

// TestEntryChanged: what was a file when its directory was read may be anything
// by the time it is opened. Nobody waits for a pipe or leaves the cache.
func TestEntryChanged(t *testing.T) {
	base := t.TempDir()
	shasum := hashOf("a")
	put(t, base, "outside", answer(shasum, 1))
	dir := filepath.Join(base, "cache")
	must(t, os.Mkdir(dir, 0o755))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	must(t, os.Mkdir(filepath.Join(dir, "directory"), 0o755))
	must(t, os.Symlink("../outside", filepath.Join(dir, "link")))
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	for path, want := range map[string]Reason{
		"pipe": ReasonNotRegular, "directory": ReasonNotRegular, "link": ReasonUnreadable, "none": gone,
	} {
		f, err := entry{root, path, shasum}.open()
		if err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		} else if got := reasonOf(err); got != want {
			t.Errorf("%s: %q, want %q: %v", path, got, want, err)
		}
	}
}

// TestImportSlightlyAhead: clocks differ by minutes.
func TestImportSlightlyAhead(t *testing.T) {
	dir := t.TempDir()
	at(t, put(t, dir, hashOf("a"), answer(hashOf("a"), 1)), time.Now().Add(2*time.Minute))
	at(t, put(t, dir, hashOf("b"), answer(hashOf("b"), 1)), time.Unix(0, 0))
	if sum := importAll(t, &memory{}, nil, dir); sum.Added != 2 {
		t.Errorf("%+v", sum)
	}
}

func TestImportUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	put(t, dir, hashOf("a"), answer(hashOf("a"), 1))
	must(t, os.Chmod(put(t, dir, hashOf("b"), answer(hashOf("b"), 1)), 0))
	closed := filepath.Dir(put(t, dir, treePath(hashOf("c")), answer(hashOf("c"), 1)))
	must(t, os.Chmod(closed, 0))
	defer os.Chmod(closed, 0o755)
	var log bytes.Buffer
	sum := importAll(t, &memory{}, slog.New(slog.NewTextHandler(&log, nil)), dir)
	if sum.Added != 1 || sum.PassedOver != 2 || sum.Reasons[ReasonUnreadable] != 2 {
		t.Errorf("%+v", sum)
	}
	if strings.Count(log.String(), `level=WARN msg="cannot be read"`) != 2 || !strings.Contains(log.String(), `reason="permission denied"`) {
		t.Errorf("log: %s", log.String())
	}
	if _, err := OpenCaches([]string{closed}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a closed cache: %v", err)
	}
}

func TestOpenCaches(t *testing.T) {
	dir := t.TempDir()
	file := put(t, dir, "file", "x")
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o644))
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file or directory",
		file:                       "not a directory",
		pipe:                       "not a directory",
	} {
		_, err := OpenCaches([]string{dir, path})
		if err == nil || err.Error() != "open the cache "+path+": "+want {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A link that is named is meant.
	put(t, dir, "cache/"+hashOf("a"), answer(hashOf("a"), 1))
	must(t, os.Symlink("cache", filepath.Join(dir, "link")))
	if sum := importAll(t, &memory{}, nil, filepath.Join(dir, "link")); sum.Added != 1 {
		t.Errorf("%+v", sum)
	}
}

// TestImportMany: more than a portion of a directory, and than a batch.
func TestImportMany(t *testing.T) {
	dir := t.TempDir()
	const files = 2*portion + 345
	for i := range files {
		shasum := hashOf(fmt.Sprint(i))
		path := shasum
		if i%2 == 0 {
			path = treePath(shasum)
		}
		put(t, dir, path, answer(shasum, i%60))
	}
	deep := strings.Repeat("d/", maxDepth+5)
	put(t, dir, deep+hashOf("deep"), answer(hashOf("deep"), 1))
	put(t, dir, deep[:2*maxDepth]+hashOf("not too deep"), answer(hashOf("not too deep"), 1))
	db := &memory{}
	sum := importAll(t, db, nil, dir)
	if sum.Added != files+1 || sum.PassedOver != 1 || len(db.known) != files+1 {
		t.Errorf("%+v", sum)
	}
	if slices.Max(db.batches) > batchVerdicts {
		t.Errorf("batches of %v", db.batches)
	}
}

// largest keeps nothing but how many bytes a batch had.
type largest struct{ bytes int }

func (l *largest) AddVerdicts(_ context.Context, verdicts []cowrie.Verdict) (int64, error) {
	size := 0
	for _, v := range verdicts {
		size += len(v.Body)
	}
	l.bytes = max(l.bytes, size)
	return int64(len(verdicts)), nil
}

// TestImportLarge: entries as large as they may be, among small ones. They come
// in batches that are bounded by bytes, and nobody waits for ever.
func TestImportLarge(t *testing.T) {
	dir := t.TempDir()
	space := strings.Repeat(" ", maxEntry)
	for i := range 20 {
		shasum := hashOf(fmt.Sprint(i))
		body := answer(shasum, 1)
		if i%8 == 0 {
			body += space[len(body):]
		}
		put(t, dir, shasum, body)
	}
	db := &largest{}
	if sum := importAll(t, db, nil, dir); sum.Added != 20 {
		t.Errorf("%+v", sum)
	}
	if db.bytes < maxEntry || db.bytes >= batchBytes+maxEntry {
		t.Errorf("a batch of %d MiB", db.bytes>>20)
	}
}

// many makes a cache of small entries.
func many(t *testing.T, files int) (dir string) {
	dir = t.TempDir()
	for i := range files {
		shasum := hashOf(fmt.Sprint(i))
		put(t, dir, shasum, answer(shasum, 1))
	}
	return dir
}

func TestImportStopped(t *testing.T) {
	const files = 4*batchVerdicts + 100
	c, err := OpenCaches([]string{many(t, files)})
	must(t, err)
	defer c.Close()
	ctx, stop := context.WithCancel(t.Context())
	db := &memory{}
	seen := int64(0)
	sum, err := c.Import(ctx, db, CacheOptions{Observe: func(s CacheSummary) {
		if s.Entries <= seen {
			t.Errorf("%d entries after %d", s.Entries, seen)
		}
		seen = s.Entries
		stop()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if sum.Read < batchVerdicts || sum.Read == files || sum.Added != sum.Read || len(db.known) != int(sum.Read) {
		t.Errorf("%+v, %d verdicts", sum, len(db.known))
	}
	if again, err := c.Import(ctx, db, CacheOptions{}); !errors.Is(err, context.Canceled) || again.Read != 0 {
		t.Errorf("with an ended context: %+v, %v", again, err)
	}
	rest, err := c.Import(t.Context(), db, CacheOptions{})
	must(t, err)
	if rest.Read != files || rest.Known() != sum.Read || len(db.known) != files {
		t.Errorf("the rest: %+v", rest)
	}
}

func TestImportStoreFails(t *testing.T) {
	c, err := OpenCaches([]string{many(t, 3*batchVerdicts)})
	must(t, err)
	defer c.Close()
	broken := errors.New("disk full")
	if sum, err := c.Import(t.Context(), &memory{fail: broken}, CacheOptions{}); !errors.Is(err, broken) || sum.Read != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}
