package enrich

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
	"midden/internal/enrich/virustotal"
)

// Store is where it stands about which files to ask, and where answers go.
type Store interface {
	// Seed makes lookups for a further source.
	Seed(ctx context.Context, source string) error
	// Unscheduled, NewLookups and DueLookups call f for lookups; see each.
	Unscheduled(ctx context.Context, source string, f func(cowrie.Lookup) error) error
	NewLookups(ctx context.Context, q cowrie.LookupQuery, f func(cowrie.Lookup) error) error
	DueLookups(ctx context.Context, q cowrie.LookupQuery, f func(cowrie.Lookup) error) error
	// Claim takes a file until a time; false if somebody else has it.
	Claim(ctx context.Context, l *cowrie.Lookup, now, until time.Time) (bool, error)
	Release(ctx context.Context, source, shasum string) error
	Schedule(ctx context.Context, source string, due map[string]cowrie.Time) error
	Postpone(ctx context.Context, source, shasum string, due cowrie.Time) error
	// Answered stores an answer and when to ask again, also others, in one
	// transaction.
	Answered(ctx context.Context, v cowrie.Verdict, due cowrie.Time, also map[string]cowrie.Time) error
	Failed(ctx context.Context, source, shasum, reason string, again cowrie.Time) error
	// Reserve counts a request before it is made, if the limits allow it.
	Reserve(ctx context.Context, account string, now time.Time, lim cowrie.Limits, keep int64) (cowrie.Grant, error)
	// Arrived counts a request that was long on its way as made when it was answered.
	Arrived(ctx context.Context, account string, reserved, now time.Time) error
	// Refund takes back a request of which the source never heard.
	Refund(ctx context.Context, account string, reserved time.Time) error
	Told(ctx context.Context, account string, now time.Time, lim cowrie.Limits, usedDay, usedMonth int64) error
	Limits(ctx context.Context, account string) (cowrie.Limits, cowrie.Time, bool, error)
}

// Source answers about files.
type Source interface {
	// Name is under which its verdicts are kept.
	Name() string
	// File asks about a file. Any error is a *source.Error.
	File(ctx context.Context, shasum string) (source.Answer, error)
}

// metered is a source that tells how much may be asked.
type metered interface {
	Quotas(ctx context.Context) (virustotal.Quotas, error)
	// Clock returns the time by the source's own clock; false if it was not heard
	// of yet.
	Clock() (time.Time, bool)
}

// PublicLimits are those of a public key of VirusTotal.
var PublicLimits = cowrie.Limits{Minute: 4, Day: 500, Month: 15500}

// Options say how to ask.
type Options struct {
	Account string // names the key in the ledger, and is no secret
	Policy  Policy
	// Limits, where they are not 0, are tighter than those that the source tells.
	Limits cowrie.Limits
	// KeptForNew is the share of a day's requests that is left for files that were
	// never asked about, from 0 to 1.
	KeptForNew float64
	Ignore     func(shasum string) bool // files that are not to be asked about; nil: none
	// Spares are sources that are not asked about files which this one knows as
	// good, for as long as the policy says.
	Spares []string
	// After returns the sources that are to be asked about a file before this one;
	// nil: none.
	After   func() []string
	Answers *Answers      // where answers are kept as files, too; nil: nowhere
	Limit   int64         // requests at the most; 0: as many as there are files
	Since   cowrie.Time   // files seen then or later
	MaxWait time.Duration // for quota, at one time
	Follow  bool          // stay, and ask as files come in
	Log     *slog.Logger
	Observe func(Summary) // if not nil, is told after every answer
	Now     func() time.Time
}

// Summary tells what a run did.
type Summary struct {
	Asked   int64 // requests
	Known   int64 // answers with a report
	Unknown int64 // answers that the file is not known
	Failed  int64 // requests that brought no answer; they come again, or are listed
	Ignored int64
	Cached  int64 // answers that were kept, so that no request was made
	// At is the time by the source when the run ended.
	At time.Time
	// Waits is why the run ended before all was asked; nil if it did not.
	Waits *QuotaError
}

// QuotaError says that a quota is used up.
type QuotaError struct {
	Period cowrie.QuotaPeriod // "" if the source said so, which does not say which
	Until  time.Time
	// Share: what is left of the day is kept for new files.
	Share bool
}

func (e *QuotaError) Error() string {
	what := "the quota"
	switch {
	case e.Share:
		what = "what the day has for files that were asked about before"
	case e.Period != "":
		what += " of the " + string(e.Period)
	}
	return fmt.Sprintf("%s is used up until %s", what, e.Until.UTC().Format(time.RFC3339))
}

// ErrNoAnswers says that a source answers nothing at all: asking on would wear
// out the patience of every file.
var ErrNoAnswers = errors.New("does not answer")

// How a run asks.
const (
	batch        = 2048
	lease        = 5 * time.Minute
	maxWorkers   = 16
	outage       = 5 // requests in a row without an answer
	minute       = time.Minute
	maxBackoff   = 24 * time.Hour
	followPause  = 30 * time.Second
	turnPause    = 2 * time.Second // while another source is asked first
	longestSleep = 5 * time.Minute
	outagePause  = 5 * time.Minute
	maxAttempts  = 20
	ignoredFor   = day // until it is looked whether a file is ignored still
	quotaRetries = 3   // times that the source says that its quota is used up, in a row
)

// Run asks about the files that are due. What is stored when it ends, for
// whatever reason, is what was answered.
func Run(ctx context.Context, db Store, source Source, o Options) (Summary, error) {
	return (&running{Options: o, db: db, source: source}).end(ctx)
}

// end runs to the end.
func (r *running) end(ctx context.Context) (Summary, error) {
	err := r.run(ctx)
	r.ended.Store(true)
	var quota *QuotaError
	if errors.As(err, &quota) {
		r.sum.Waits, err = quota, nil
	}
	r.sum.At = r.clock()
	return r.sum, err
}

type running struct {
	Options
	db     Store
	source Source
	down   atomic.Bool // it does not answer: one file is asked about at a time
	ended  atomic.Bool

	limits cowrie.Limits // that count: the source's, or tighter ones

	mu      sync.Mutex
	sum     Summary
	silent  int // requests in a row without an answer
	refused int // rounds in a row that the source ended for its quota
	// Until when requests are left for new files alone.
	shareUntil time.Time
	workers    int
	told       bool  // that the cache cannot be written
	untilNew   int64 // of a day, left for new files
}

// answers reports whether a source that this one spares has to wait for it.
func (r *running) answers(source string) bool {
	return slices.Contains(r.Spares, source) && !r.down.Load() && !r.ended.Load()
}

// clock is the time by the source, whose quota it is; before that was heard of,
// by this machine.
func (r *running) clock() time.Time {
	if from, ok := r.source.(metered); ok {
		if t, ok := from.Clock(); ok {
			return t
		}
	}
	return r.Now()
}

func (r *running) run(ctx context.Context) error {
	if err := r.askQuotas(ctx); err != nil {
		return err
	}
	for {
		if err := r.schedule(ctx); err != nil {
			return err
		}
		n, err := r.round(ctx)
		var quota *QuotaError
		switch {
		case errors.As(err, &quota):
			if quota.Period == "" { // the source said so, of itself
				if r.refused++; r.refused > quotaRetries { // it is not the minute's
					quota.Until = dayEnd(r.clock())
				}
			}
			wait := quota.Until.Sub(r.clock())
			if !r.Follow && wait > r.MaxWait {
				return err
			}
			// Not for too long: the quota may grow, and others may say something.
			if err := r.wait(ctx, min(wait, longestSleep)); err != nil {
				return err
			}
			if wait > longestSleep {
				if err := r.askQuotas(ctx); err != nil {
					return err
				}
			}
			continue
		case errors.Is(err, ErrNoAnswers) && r.Follow:
			r.Log.Warn("no answers; asking again in a while", "pause", outagePause, "error", err)
			if err := r.wait(ctx, outagePause); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case n > 0:
			continue
		case r.done():
			return nil
		case !r.Follow && r.shareSpent():
			return &QuotaError{Period: cowrie.PerDay, Until: r.shareUntil, Share: true}
		case !r.Follow:
			return nil
		}
		pause := followPause
		if r.After != nil && len(r.After()) > 0 {
			pause = turnPause
		}
		if err := r.wait(ctx, pause); err != nil {
			return err
		}
	}
}

// shareSpent reports whether the day has requests left for new files alone.
func (r *running) shareSpent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock().Before(r.shareUntil)
}

// done reports whether all was asked that may be. It is for between rounds: within
// one, no more files are looked at than may be asked about.
func (r *running) done() bool { return r.Limit > 0 && r.sum.Asked >= r.Limit }

func (r *running) wait(ctx context.Context, d time.Duration) error {
	return source.Sleep(ctx, max(d, 10*time.Millisecond))
}

// askQuotas finds out what may be asked: by the source, or what it said last, or
// what a public key may.
func (r *running) askQuotas(ctx context.Context) error {
	r.limits, r.workers = r.Limits, maxWorkers
	if from, ok := r.source.(metered); ok {
		if err := r.askMetered(ctx, from); err != nil {
			return err
		}
	}
	r.untilNew = int64(r.KeptForNew * float64(r.limits.Day))
	// As many at once as a slow answer needs to keep up with the minute.
	if r.limits.Minute > 0 {
		r.workers = int(min(max(r.limits.Minute/15, 1), maxWorkers))
	}
	return nil
}

func (r *running) askMetered(ctx context.Context, from metered) error {
	lim := PublicLimits
	known, _, ok, err := r.db.Limits(ctx, r.Account)
	if err != nil {
		return err
	}
	if ok {
		lim = known
	}
	q, err := from.Quotas(ctx)
	var failed *source.Error
	switch {
	case err == nil:
		lim = PublicLimits // for what it does not tell
		if a, told := q.Hour.Tightest(); told {
			lim.Minute = max(1, a.Allowed/60)
		}
		var usedDay, usedMonth int64
		if allowed, used, told := byUser(q.Day); told {
			lim.Day, usedDay = allowed, used
		}
		if allowed, used, told := byUser(q.Month); told {
			lim.Month, usedMonth = allowed, used
		}
		if err := r.db.Told(ctx, r.Account, r.clock(), lim, usedDay, usedMonth); err != nil {
			return err
		}
	case errors.As(err, &failed) && failed.Kind == source.KeyRefused:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		r.Log.Warn("the quotas are not known now; those that were told last, or of a public key, count", "error", err)
	}
	r.limits = Tighter(r.Limits, lim)
	return nil
}

// Tighter returns the tighter one of each of two limits.
func Tighter(a, b cowrie.Limits) cowrie.Limits {
	return cowrie.Limits{Minute: tighter(a.Minute, b.Minute), Day: tighter(a.Day, b.Day), Month: tighter(a.Month, b.Month)}
}

// byUser returns a quota by what the user has used: so much, and what is left of
// the share that binds.
func byUser(q virustotal.Quota) (allowed, used int64, told bool) {
	tightest, told := q.Tightest()
	used = max(0, tightest.Used)
	if q.User.Allowed >= 0 {
		used = max(0, q.User.Used)
	}
	return max(1, used+max(0, tightest.Allowed-max(0, tightest.Used))), used, told
}

// tighter returns the smaller of two limits; 0 is none.
func tighter(a, b int64) int64 {
	switch {
	case a <= 0:
		return b
	case b <= 0:
		return a
	}
	return min(a, b)
}

// schedule reckons when to ask about files of which something was said by others:
// an old cache, or the events of Cowrie's own plugin.
func (r *running) schedule(ctx context.Context) error {
	if err := r.db.Seed(ctx, r.source.Name()); err != nil {
		return err
	}
	for {
		due := map[string]cowrie.Time{}
		enough := errors.New("enough")
		err := r.db.Unscheduled(ctx, r.source.Name(), func(l cowrie.Lookup) error {
			due[l.Shasum] = r.Policy.Due(&l)
			if len(due) >= 5000 {
				return enough
			}
			return nil
		})
		if err != nil && err != enough {
			return err
		}
		if len(due) == 0 {
			return nil
		}
		if err := r.db.Schedule(ctx, r.source.Name(), due); err != nil {
			return err
		}
	}
}

// round asks about some files, those that were never asked about first, and
// returns how many it looked at.
func (r *running) round(ctx context.Context) (n int, err error) {
	if r.done() {
		return 0, nil
	}
	q := cowrie.LookupQuery{Source: r.source.Name(), Now: r.clock(), Since: r.Since, Limit: batch}
	if r.down.Load() {
		q.Limit = 1
	}
	if r.After != nil {
		q.After = r.After()
	}
	var list []cowrie.Lookup
	collect := func(l cowrie.Lookup) error {
		list = append(list, l)
		return nil
	}
	if err := r.db.NewLookups(ctx, q, collect); err != nil {
		return 0, err
	}
	if q.Limit -= len(list); q.Limit > 0 && !r.shareSpent() {
		if err := r.db.DueLookups(ctx, q, collect); err != nil {
			return 0, err
		}
	}
	if r.Limit > 0 { // the first ones are those that are worth most
		list = list[:min(int64(len(list)), r.Limit-r.sum.Asked)]
	}
	// What has been asked is stored, even if another one has failed meanwhile.
	var worst error
	inner, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.SetLimit(r.workers)
	for i := range list {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error {
			if inner.Err() != nil {
				return nil
			}
			if err := r.look(ctx, inner, &list[i]); err != nil {
				stop()
				r.mu.Lock()
				defer r.mu.Unlock()
				worst = worse(worst, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return len(list), worst
}

// worse returns the error that says more: that a quota is used up is the least,
// and that something was ended because of another one is none at all.
func worse(a, b error) error {
	var quota *QuotaError
	if a == nil || errors.As(a, &quota) || errors.Is(a, context.Canceled) && !errors.As(b, &quota) {
		return b
	}
	return a
}

// look asks about a file. What is claimed is asked about as long as round goes on;
// the request itself ends with ctx alone.
func (r *running) look(ctx, round context.Context, l *cowrie.Lookup) error {
	now := r.clock()
	if round.Err() != nil {
		return nil
	}
	if claimed, err := r.db.Claim(ctx, l, now, now.Add(lease)); err != nil || !claimed {
		return err
	}
	if r.Ignore != nil && r.Ignore(l.Shasum) {
		r.count(func(s *Summary) { s.Ignored++ })
		return r.db.Postpone(ctx, l.Source, l.Shasum, cowrie.FromStd(now.Add(ignoredFor)))
	}
	// It may be new in the queue, and known by others.
	if due := r.Policy.Due(l); l.State == cowrie.LookupNew && l.AnsweredAt != cowrie.NoTime && due > cowrie.FromStd(now) {
		return r.db.Postpone(ctx, l.Source, l.Shasum, due)
	}
	if done, err := r.kept(ctx, l, now); done || err != nil {
		return err
	}
	keep := int64(0)
	if l.State != cowrie.LookupNew {
		keep = r.untilNew
	}
	reserved, sent := r.clock(), time.Now()
	grant, err := r.db.Reserve(ctx, r.Account, reserved, r.limits, keep)
	if err != nil || !grant.OK {
		// Whoever stops, and for whatever reason, gives back what it has taken.
		err = errors.Join(err, r.db.Release(context.WithoutCancel(ctx), l.Source, l.Shasum))
		switch {
		case err != nil:
			return err
		case keep > 0 && grant.Period == cowrie.PerDay: // new files may still be asked about
			r.mu.Lock()
			defer r.mu.Unlock()
			r.shareUntil = grant.Until.Std()
			return nil
		}
		return &QuotaError{Period: grant.Period, Until: grant.Until.Std()}
	}
	r.count(func(s *Summary) { s.Asked++ })
	answer, err := r.source.File(ctx, l.Shasum)
	after := context.WithoutCancel(ctx) // what was answered is stored
	var failed *source.Error
	if errors.As(err, &failed) && failed.Unsent {
		return r.unsent(after, l, reserved, err)
	}
	if now := r.clock(); time.Since(sent) > time.Second || !dayEnd(now).Equal(dayEnd(reserved)) {
		if err := r.db.Arrived(after, r.Account, reserved, now); err != nil {
			return err
		}
	}
	if err != nil {
		return r.failed(after, l, err)
	}
	v := answer.Verdict
	answeredAt := r.clock()
	v.ObservedAt = cowrie.FromStd(answeredAt)
	if answer.Known {
		v.Body = answer.Body
		r.keep(&v)
	}
	also := map[string]cowrie.Time{}
	if answer.Good {
		for _, other := range r.Spares {
			also[other] = cowrie.FromStd(answeredAt.Add(r.Policy.Good))
		}
	}
	then := answered(*l, &v, answer.Known)
	if err := r.db.Answered(after, v, r.Policy.Due(&then), also); err != nil {
		return err
	}
	r.mu.Lock()
	r.silent, r.refused = 0, 0
	r.mu.Unlock()
	r.down.Store(false)
	r.count(func(s *Summary) {
		if answer.Known {
			s.Known++
		} else {
			s.Unknown++
		}
	})
	return nil
}

// kept takes an answer that is kept and not old yet.
func (r *running) kept(ctx context.Context, l *cowrie.Lookup, now time.Time) (done bool, err error) {
	if r.Answers == nil {
		return false, nil
	}
	v, ok := r.Answers.Get(l.Shasum)
	if !ok || v.ObservedAt <= l.AnsweredAt {
		return false, nil
	}
	then := answered(*l, &v, true)
	due := r.Policy.Due(&then)
	if due <= cowrie.FromStd(now) {
		return false, nil
	}
	r.count(func(s *Summary) { s.Cached++ })
	return true, r.db.Answered(ctx, v, due, nil)
}

// keep keeps an answer. It comes before the database has it: if it ends between
// the two, no request was in vain.
func (r *running) keep(v *cowrie.Verdict) {
	if r.Answers == nil {
		return
	}
	if err := r.Answers.Put(v); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.told {
			r.told = true
			r.Log.Warn("the cache cannot be written; answers are stored in the database alone", "error", err)
		}
	}
}

func (r *running) count(f func(*Summary)) {
	r.mu.Lock()
	f(&r.sum)
	sum := r.sum
	r.mu.Unlock()
	if r.Observe != nil {
		r.Observe(sum)
	}
}

// failed does what an error asks for. Only what concerns the file alone is noted
// with it.
func (r *running) failed(ctx context.Context, l *cowrie.Lookup, err error) error {
	var e *source.Error
	if !errors.As(err, &e) {
		return errors.Join(err, r.db.Release(ctx, l.Source, l.Shasum))
	}
	switch e.Kind {
	case source.Stopped, source.KeyRefused:
		return errors.Join(err, r.db.Release(ctx, l.Source, l.Shasum))
	case source.QuotaSpent:
		if err := r.db.Release(ctx, l.Source, l.Shasum); err != nil {
			return err
		}
		return &QuotaError{Until: r.clock().Add(cmp.Or(e.RetryAfter, minute))}
	case source.Permanent, source.TooLarge, source.Forbidden:
		r.count(func(s *Summary) { s.Failed++ })
		r.Log.Warn("not asked about again", "shasum", l.Shasum, "error", err)
		return r.db.Failed(ctx, l.Source, l.Shasum, err.Error(), cowrie.NoTime)
	}
	r.count(func(s *Summary) { s.Failed++ })
	again := cowrie.FromStd(r.clock().Add(backoff(l.Failures, e.RetryAfter)))
	if l.Failures+1 >= maxAttempts {
		again = cowrie.NoTime
	}
	r.Log.Debug("no answer", "shasum", l.Shasum, "error", err)
	if err := r.db.Failed(ctx, l.Source, l.Shasum, err.Error(), again); err != nil {
		return err
	}
	return r.noAnswer(err)
}

// unsent takes back a request that did not leave: nothing is said of the file, and
// nothing is used up.
func (r *running) unsent(ctx context.Context, l *cowrie.Lookup, reserved time.Time, cause error) error {
	r.count(func(s *Summary) { s.Asked-- })
	err := errors.Join(r.db.Refund(ctx, r.Account, reserved), r.db.Release(ctx, l.Source, l.Shasum))
	if err != nil {
		return err
	}
	return r.noAnswer(cause)
}

// noAnswer counts requests without an answer: after some in a row it is the source
// that is down.
func (r *running) noAnswer(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent++; r.silent < outage && !r.down.Load() {
		return nil
	}
	r.silent = 0
	r.down.Store(true)
	name := r.source.Name()
	if e, ok := errors.AsType[*source.Error](err); ok {
		name = e.Source
	}
	return fmt.Errorf("%s %w: %w", name, ErrNoAnswers, err)
}

func dayEnd(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
}

// backoff returns how long to wait after so many requests without an answer: a
// minute, two, four …, give or take half of it, and not less than was asked for.
func backoff(failures int, asked time.Duration) time.Duration {
	wait := min(minute<<min(failures, 12), maxBackoff)
	wait = wait/2 + rand.N(wait)
	return max(min(wait, maxBackoff), asked)
}
