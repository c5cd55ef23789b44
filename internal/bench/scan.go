package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// Scan is scanning captured files.
type Scan struct {
	Files, Bytes, SmallFiles           int64
	Sums, Large, Archive, Small, Again Usage // Sums: sha256sum on all processors
}

// MB are the bytes of the large files, in millions.
func (s *Scan) MB() int64 { return s.Bytes / 1_000_000 }

func (b *bench) scan(ctx context.Context) error {
	return b.within("scan", func(dir string) error {
		large, small, archive := filepath.Join(dir, "large"), filepath.Join(dir, "small"), filepath.Join(dir, "large.tgz")
		b.say("scan: writing %d MB in files of 64 KB to 16 MB, and %d small files", b.Megabytes, b.Entries)
		page := Scan{SmallFiles: int64(b.Entries)}
		var err error
		if page.Files, page.Bytes, err = writeCaptures(large, int64(b.Megabytes)<<20); err != nil {
			return err
		}
		if err := writeScripts(small, b.Entries); err != nil {
			return err
		}
		db := func(name string) string { return filepath.Join(dir, name) }
		r := runs{}
		if err := b.inRounds("scan", func() error {
			sums := program{name: "sh", args: []string{"-c", fmt.Sprintf("find large -type f -print0 | xargs -0 -n 1 -P %d sha256sum", runtime.NumCPU())}, dir: dir}
			if err := r.measure(ctx, "sums", sums); err != nil {
				return err
			}
			if err := removeDatabase(db("large.db")); err != nil {
				return err
			}
			return r.measure(ctx, "large", b.midden(db("large.db"), "scan", large))
		}); err != nil {
			return err
		}
		page.Sums, page.Large = r.of("sums"), r.of("large")
		if _, err := (program{name: "tar", args: []string{"czf", archive, "large"}, dir: dir}).run(ctx); err != nil {
			return err
		}
		if page.Archive, err = b.midden(db("archive.db"), "scan", archive).run(ctx); err != nil {
			return err
		}
		if page.Small, err = b.midden(db("small.db"), "scan", small).run(ctx); err != nil {
			return err
		}
		if page.Again, err = b.midden(db("small.db"), "scan", small).repeat(ctx, b.Rounds); err != nil {
			return err
		}
		b.page.Scan = &page
		return nil
	})
}

// writeCaptures writes files of 64 KB to 16 MB, of which no two are the same.
func writeCaptures(dir string, bytes int64) (files, written int64, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, 0, err
	}
	content := rand.NewChaCha8([32]byte{})
	block := make([]byte, 64<<10)
	for ; written < bytes; files++ {
		file, err := os.Create(filepath.Join(dir, fmt.Sprint(files)))
		if err != nil {
			return files, written, err
		}
		for range 1 << (files % 9) {
			if written >= bytes {
				break
			}
			content.Read(block)
			n, err := file.Write(block)
			if err != nil {
				return files, written, err
			}
			written += int64(n)
		}
		if err := file.Close(); err != nil {
			return files, written, err
		}
	}
	return files, written, nil
}

func writeScripts(dir string, n int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), fmt.Appendf(nil, "#!/bin/sh\necho %d\n", i), 0o644); err != nil {
			return err
		}
	}
	return nil
}
