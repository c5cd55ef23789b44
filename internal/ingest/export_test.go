package ingest

import (
	"context"
	"errors"
)

// Remembered returns how many files a load still keeps in mind when it ends.
func Remembered(ctx context.Context, log EventLog, o Options, paths ...string) (int, error) {
	l := newLoader(log, o)
	l.pipe = newPipeline(log, l.observe)
	err := l.run(ctx, paths)
	return len(l.seen.files) + len(l.unreadable), errors.Join(err, l.pipe.close())
}
