package elastic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"midden/internal/cowrie"
)

// Store is where changes come from.
type Store interface {
	Publishing(context.Context) (*cowrie.Publishing, error)
	SetPublishing(context.Context, *cowrie.Publishing) error
	Outbox(ctx context.Context, through int64, max int) ([]*cowrie.Change, error)
	Scan(ctx context.Context, kind, after string, max int) ([]*cowrie.Change, error)
	Published(ctx context.Context, p *cowrie.Publishing, answers []cowrie.Answer) error
}

// Publisher tells a cluster what is in a database. Of those that publish from one
// database, one at a time is to run: its caller sees to that.
type Publisher struct {
	Store  Store
	Client *Client
	Prefix string
	Log    *slog.Logger
	// Follow: stay, and tell of changes as they come.
	Follow bool
	// Rebuild: tell all that there is again, of files in a new index.
	Rebuild bool
	// Batch is how many bytes a request has; 0 is DefaultBatch.
	Batch int
	// Now and Sleep are the clock, and stand in for it in tests.
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
	// Observe, if not nil, is called after each request that was answered.
	Observe func(Summary)

	names   names
	state   *cowrie.Publishing
	unsure  int64 // changes up to this revision may have been sent by one who was killed
	limit   int   // bytes of a request now
	most    int   // bytes of a request that the server takes
	wait    time.Duration
	waited  time.Duration // since there was progress
	summary Summary
}

// DefaultBatch is how many bytes a request has.
const DefaultBatch = 6 << 20

// rows is how many changes are read at once: as many as make a request of nearly that
// size. The texts of one take 20 KB at the most.
const rows = 5000

// Requests are not made smaller than this, but for one document that is larger.
const leastBatch = 64 << 10

// How long to wait for a cluster that does not answer or has too much to do: from one
// request to the next, and in all without any progress, unless it follows.
const (
	firstWait   = time.Second
	longestWait = time.Minute
	patience    = 5 * time.Minute
)

// every is how often the outbox is looked into.
const every = 2 * time.Second

// Summary is what was told.
type Summary struct {
	Sightings, Files, Verdicts, Reports int64
	Deleted                             int64
	Unchanged                           int64 // verdicts that say what the one before did
	Refused                             int64
	Requests, Bytes                     int64
}

// Why nothing is published.
var (
	ErrNotInstalled = errors.New(`run "midden elastic install" first`)
	ErrOtherCluster = errors.New(`"midden elastic publish --rebuild" tells this one everything`)
	ErrOtherPrefix  = errors.New(`"midden elastic publish --rebuild" tells everything under the new one`)
	ErrOthersFiles  = errors.New(`give this database a prefix of its own (elastic.prefix), or replace them with "midden elastic publish --rebuild"`)
)

// Run tells the cluster what it was not told yet: all that there is the first time,
// later what has changed. Stopped at any point, the next one goes on where it was.
func (p *Publisher) Run(ctx context.Context) (Summary, error) {
	p.names, p.most = names(p.Prefix), p.Batch
	if p.most == 0 {
		p.most = DefaultBatch
	}
	p.limit = p.most
	if err := p.again(ctx, func() error { return p.begin(ctx) }); err != nil {
		return p.summary, err
	}
	p.calm()
	for {
		err := p.pass(ctx)
		switch {
		case p.Follow && errors.Is(err, cowrie.ErrUnavailable): // the database will be back
			err = p.pause(ctx, err)
		case err == nil && p.Follow:
			p.calm()
			err = p.Sleep(ctx, every)
		}
		if err != nil || !p.Follow {
			return p.summary, err
		}
	}
}

// save notes how far it is.
func (p *Publisher) save(ctx context.Context, change func(*cowrie.Publishing)) error {
	state := *p.state
	change(&state)
	err := p.Store.SetPublishing(ctx, &state)
	if err == nil {
		p.state = &state
	}
	return err
}

// begin finds out where it is.
func (p *Publisher) begin(ctx context.Context) error {
	info, err := p.Client.Info(ctx)
	if err != nil {
		return err
	}
	for _, place := range p.names.places() {
		index, _, err := p.Client.writeIndex(ctx, place)
		if err == nil && index == "" {
			err = fmt.Errorf("there is no %s %s in %s: %w", place.Kind, place.Name, info, ErrNotInstalled)
		}
		if err != nil {
			return err
		}
	}
	if p.state, err = p.Store.Publishing(ctx); err != nil {
		return err
	}
	switch {
	case p.Rebuild:
		err = p.rebuild(ctx, info)
	case p.state == nil:
		err = p.first(ctx, info)
	case p.state.Cluster != info.Cluster:
		err = fmt.Errorf("what this database was published to is another cluster than %q, or it was wiped: %w", info.Name, ErrOtherCluster)
	case p.state.Prefix != p.Prefix:
		err = fmt.Errorf("this database was published under the prefix %q: %w", p.state.Prefix, ErrOtherPrefix)
	}
	if err == nil {
		p.unsure = p.state.InFlight
	}
	return err
}

func (p *Publisher) start(info *Info, index string) *cowrie.Publishing {
	return &cowrie.Publishing{Cluster: info.Cluster, Prefix: p.Prefix, Scan: cowrie.Scans[0], Index: index, StartedAt: cowrie.FromStd(p.Now())}
}

// first begins to publish. Files of another database are not mixed with those of this
// one: of which of them a state is newer nobody could tell.
func (p *Publisher) first(ctx context.Context, info *Info) error {
	var answer struct{ Count int64 }
	if err := p.Client.do(ctx, http.MethodGet, "/"+p.names.files()+"/_count", nil, &answer); err != nil {
		return err
	}
	if answer.Count > 0 {
		return fmt.Errorf("%s holds %d files that this database did not publish: %w", p.names.files(), answer.Count, ErrOthersFiles)
	}
	p.state = p.start(info, "")
	return p.Store.SetPublishing(ctx, p.state)
}

// rebuild begins to tell everything again.
func (p *Publisher) rebuild(ctx context.Context, info *Info) error {
	index, err := p.Client.nextFilesIndex(ctx, p.names)
	if err != nil {
		return err
	}
	left, state := "", p.start(info, index)
	if old := p.state; old != nil && old.Cluster == info.Cluster && old.Prefix == p.Prefix {
		left, state.InFlight = old.Index, old.InFlight
	}
	if err := p.Store.SetPublishing(ctx, state); err != nil {
		return err
	}
	p.state, p.Rebuild = state, false
	// One that a rebuild left which did not end; it may have come as far as the alias.
	_, seen, err := p.Client.writeIndex(ctx, place{Name: p.names.files(), first: index})
	if left == "" || err != nil || slices.Contains(seen, left) {
		return err
	}
	err = p.Client.do(ctx, http.MethodDelete, "/"+left, nil, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// pass tells what there is to tell now.
func (p *Publisher) pass(ctx context.Context) error {
	for p.state.Scan != "" {
		if err := p.scan(ctx); err != nil {
			return err
		}
	}
	for {
		list, err := p.Store.Outbox(ctx, math.MaxInt64, rows)
		if err != nil || len(list) == 0 {
			return err
		}
		// Before anything is sent it is noted that it may be.
		if last := list[len(list)-1].Revision; last > p.state.InFlight {
			if err := p.save(ctx, func(s *cowrie.Publishing) { s.InFlight = last }); err != nil {
				return err
			}
		}
		if err := p.tell(ctx, list, false); err != nil {
			return err
		}
	}
}

// scan tells of things that are read from a table.
func (p *Publisher) scan(ctx context.Context) error {
	kind := p.state.Scan
	if kind == cowrie.KindFile && p.state.Index != "" {
		if err := p.again(ctx, func() error { return p.makeIndex(ctx) }); err != nil {
			return err
		}
	}
	for {
		list, err := p.Store.Scan(ctx, kind, p.state.After, rows)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		if err := p.tell(ctx, list, true); err != nil {
			return err
		}
	}
	if kind == cowrie.KindFile && p.state.Index != "" {
		if err := p.again(ctx, func() error { return p.swap(ctx) }); err != nil {
			return err
		}
	}
	// What changed while it was read may have been told, and stand in the outbox, too.
	now, err := p.Store.Publishing(ctx)
	if err != nil {
		return err
	}
	p.unsure = now.Revision
	return p.save(ctx, func(s *cowrie.Publishing) {
		s.Scan, s.After, s.Index, s.InFlight = nextScan(kind), "", "", now.Revision
	})
}

func nextScan(kind string) string {
	for i, k := range cowrie.Scans {
		if k == kind && i+1 < len(cowrie.Scans) {
			return cowrie.Scans[i+1]
		}
	}
	return ""
}

// makeIndex makes the new index of files, if it is not there.
func (p *Publisher) makeIndex(ctx context.Context) error {
	err := p.Client.do(ctx, http.MethodPut, "/"+p.state.Index, nil, nil)
	var e *Error
	if errors.As(err, &e) && e.Type == "resource_already_exists_exception" {
		return nil
	}
	return err
}

// swap puts the new index of files in the place of the one before, which is deleted:
// in one step, so that nobody sees neither, or both.
func (p *Publisher) swap(ctx context.Context) error {
	_, before, err := p.Client.writeIndex(ctx, place{Name: p.names.files(), first: p.state.Index})
	if err != nil {
		return err
	}
	actions := []any{map[string]any{"add": map[string]any{"index": p.state.Index, "alias": p.names.files(), "is_write_index": true}}}
	for _, index := range before {
		if index != p.state.Index {
			actions = append(actions, map[string]any{"remove_index": map[string]any{"index": index}})
		}
	}
	return p.Client.do(ctx, http.MethodPost, "/_aliases", map[string]any{"actions": actions}, nil)
}

// again does something until it works or fails for a reason that does not pass.
func (p *Publisher) again(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}

// pause waits before something is tried again; longer, if it was in vain before. It
// returns the error if that would be in vain.
func (p *Publisher) pause(ctx context.Context, err error) error {
	if !IsPassing(err) && !errors.Is(err, cowrie.ErrUnavailable) {
		return err
	}
	if !p.Follow && p.waited >= patience {
		return fmt.Errorf("no progress in %v: %w", p.waited.Round(time.Second), err)
	}
	p.wait = min(max(2*p.wait, firstWait), longestWait)
	wait := p.wait/2 + rand.N(p.wait/2)
	p.Log.Warn("waiting", "for", wait.Round(time.Millisecond), "because", err)
	p.waited += wait
	return p.Sleep(ctx, wait)
}

func (p *Publisher) calm() { p.wait, p.waited = 0, 0 }
