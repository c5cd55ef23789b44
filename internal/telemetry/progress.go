package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// every is how often a line is logged where there is no bar.
const every = 10 * time.Second

// Progress shows how far a run is: a bar if stderr is a terminal, otherwise a
// log line every 10 s. It is an io.Writer of lines that must not tear the bar.
// All methods may be called from any goroutine; on a nil *Progress they do
// nothing.
type Progress struct {
	stderr io.Writer
	log    *slog.Logger
	unit   string
	now    func() time.Time

	mu     sync.Mutex // of the counts
	counts Counts
	meter  *meter

	out    sync.Mutex // of what is written
	closed bool
	bars   *mpb.Progress // nil if there is no bar
	bar    *mpb.Bar
	stop   chan struct{} // closed by Close
	lines  sync.WaitGroup
}

// NewProgress shows a run under the name of its unit, until Close. While a bar
// is shown, what a logger of NewLogger writes to the same stderr goes above it,
// and so does what is written to the Progress.
func NewProgress(stderr *os.File, log *slog.Logger, unit string) *Progress {
	p := newProgress(stderr, log, unit, time.Now)
	if term.IsTerminal(int(stderr.Fd())) && os.Getenv("TERM") != "dumb" {
		p.showBar()
		return p
	}
	ticker := time.NewTicker(every)
	p.logLines(ticker.C, ticker.Stop)
	return p
}

func newProgress(stderr io.Writer, log *slog.Logger, unit string, now func() time.Time) *Progress {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Progress{
		stderr: stderr, log: log, unit: unit, now: now,
		meter: newMeter(now()), stop: make(chan struct{}),
	}
}

func (p *Progress) showBar(options ...mpb.ContainerOption) {
	draw := func(w io.Writer, s decor.Statistics) error {
		// The last column stays free: some terminals wrap when it is written to.
		_, err := io.WriteString(w, p.view().bar(s.AvailableWidth-1))
		return err
	}
	p.bars = mpb.New(append(options, mpb.WithOutput(p.stderr))...)
	bar, err := p.bars.Add(0, mpb.BarFillerFunc(draw), mpb.BarFillerTrim())
	if err != nil {
		p.bars.Shutdown()
		p.bars = nil
		return
	}
	p.bar = bar
	if s := sinkOf(p.log); s != nil {
		s.divert(p.stderr, p)
	}
}

// logLines logs a line at each tick until Close, which calls done.
func (p *Progress) logLines(ticks <-chan time.Time, done func()) {
	p.lines.Go(func() {
		defer done()
		for {
			select {
			case <-ticks:
				p.log.Info("progress", p.view().attrs()...)
			case <-p.stop:
				return
			}
		}
	})
}

// Update says what the run did so far. It writes nothing itself.
func (p *Progress) Update(c Counts) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts = c
	p.meter.add(p.now(), c)
}

func (p *Progress) view() view {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := view{unit: p.unit, Counts: p.counts, rates: p.meter.at(p.now())}
	v.left, v.leftKnown = v.eta(v.rates.bytes)
	return v
}

// Printf writes one line, above the bar if there is one. What is no text in it,
// a line end in the middle too, is shown as an escape.
func (p *Progress) Printf(format string, args ...any) {
	if p == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	_, _ = p.Write([]byte(harmless(text) + "\n"))
}

// Write writes whole lines as they are, above the bar if there is one: at its
// next refresh, at the latest by Close. After Close it writes to stderr.
func (p *Progress) Write(b []byte) (int, error) {
	if p == nil || len(b) == 0 {
		return len(b), nil
	}
	p.out.Lock()
	defer p.out.Unlock()
	if p.bars == nil || p.closed {
		return p.stderr.Write(b)
	}
	lines := b
	if !bytes.HasSuffix(b, []byte("\n")) {
		lines = append(bytes.Clone(b), '\n')
	}
	if _, err := p.bars.Write(lines); err != nil {
		return p.stderr.Write(b)
	}
	return len(b), nil
}

// Close takes the bar away and waits for what the Progress runs. Closing twice
// is closing once.
func (p *Progress) Close() {
	if p == nil {
		return
	}
	p.end()
	if s := sinkOf(p.log); s != nil {
		// Not while p.out is held: a line may be on its way from s to p.
		s.divert(p, p.stderr)
	}
	p.lines.Wait()
}

func (p *Progress) end() {
	p.out.Lock()
	defer p.out.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	close(p.stop)
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}
