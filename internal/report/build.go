package report

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"midden/internal/cowrie"
)

// builder makes one report. What is counted is added up by several goroutines, each in
// its order: nothing may depend on that.
type builder struct {
	Request
	view        View
	keep        func(ctx context.Context, day cowrie.Time, sums map[string][]byte) error // nil: nothing can be kept
	now, before *period

	mu     sync.Mutex // of all that follows, and of what the periods hold
	pairs  pairs
	files  fileSums
	shadow bool
	raw    int64
}

// period is a span and what was counted in it.
type period struct {
	span
	logged span // the same, as far as events go
	sums   sums
	log    logCounts
	seen   seenCounts
	said   said
}

func newPart(s span) *period { return &period{span: s, logged: s, sums: newSums()} }

func (b *builder) build(ctx context.Context) (*Document, error) {
	tasks := &tasks{}
	b.files.known = map[string]*file{}
	for _, p := range []*period{b.now, b.before} {
		if err := b.settle(ctx, p); err != nil {
			return nil, err
		}
		tasks.add(func(ctx context.Context) error { return b.verdicts(ctx, p) })
	}
	tasks.add(func(ctx context.Context) (err error) {
		b.shadow, err = b.view.Shadow(ctx)
		return err
	}, func(ctx context.Context) (err error) {
		b.raw, err = b.view.RawLeft(ctx)
		return err
	}, b.seenFiles, b.newBefore)
	if err := tasks.run(ctx, b.view.Readers()); err != nil {
		return nil, err
	}
	// What is said of a file is known now, for each of its sightings.
	for _, p := range []*period{b.now, b.before} {
		b.sessionTasks(tasks, p)
		b.logTasks(tasks, p)
	}
	b.seenTasks(tasks)
	if err := tasks.run(ctx, b.view.Readers()); err != nil {
		return nil, err
	}
	return b.document(ctx)
}

// settle finds out up to when events count. A moment behind the last event of its day is as
// good as the end of that day, of which the events need not be read.
func (b *builder) settle(ctx context.Context, p *period) error {
	day := cowrie.Day(p.To)
	if p.To == day || p.To != b.AsOf+1 {
		return nil
	}
	later := false
	err := b.view.SensorDays(ctx, cowrie.Span{From: day, To: day + cowrie.DayLength}, func(d *cowrie.SensorDay) error {
		later = later || d.Last >= p.To
		return nil
	})
	if !later {
		p.logged.To = min(day+cowrie.DayLength, p.days[len(p.days)-1])
	}
	return err
}

// tasks are what is still to be done, by several goroutines.
type tasks struct{ list []func(context.Context) error }

func (t *tasks) add(f ...func(context.Context) error) { t.list = append(t.list, f...) }

// run does them all, n at a time.
func (t *tasks) run(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(n)
	for _, f := range t.list {
		g.Go(func() error { return f(ctx) })
	}
	t.list = nil
	return g.Wait()
}

// batch hands values to f in portions, under the lock: asking the database for them goes
// on at the same time.
type batch[T any] struct {
	b      *builder
	f      func(T)
	values []T
}

func (l *batch[T]) add(v T) {
	if l.values = append(l.values, v); len(l.values) == cap(l.values) {
		l.flush()
	}
}

func (l *batch[T]) flush() {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	for _, v := range l.values {
		l.f(v)
	}
	l.values = l.values[:0]
}

func newBatch[T any](b *builder, f func(T)) *batch[T] {
	return &batch[T]{b: b, f: f, values: make([]T, 0, 1024)}
}
