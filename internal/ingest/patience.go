package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"midden/internal/cowrie"
)

// patient is an event log that may not be available for a while: what fails for
// that reason is tried again.
type patient struct {
	EventLog
	patience time.Duration   // since it was available last
	stopped  <-chan struct{} // a run that is being stopped waits no longer
	log      *slog.Logger
}

// How long it waits between two attempts.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// try calls f until it does not say that the event log is not available, patience
// ends, or the run is stopped.
func (p *patient) try(f func() error) error {
	start, pause := time.Now(), firstPause
	for {
		err := f()
		if !errors.Is(err, cowrie.ErrUnavailable) || time.Since(start)+pause > p.patience {
			return err
		}
		p.log.Warn("trying again", "in", pause, "reason", err)
		select {
		case <-p.stopped:
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// A batch is stored whole or not at all, with the positions of its sources. One of
// which it is not known whether it was stored is stored again: if it is there, its
// sources have moved.
func (p *patient) Append(ctx context.Context, chunks []*cowrie.Chunk) (tally cowrie.Tally, moved []*cowrie.Source, err error) {
	err = p.try(func() (err error) {
		tally, moved, err = p.EventLog.Append(ctx, chunks)
		return err
	})
	return tally, moved, err
}

func (p *patient) Sources(ctx context.Context, fingerprint string) (list []cowrie.Source, err error) {
	err = p.try(func() (err error) {
		list, err = p.EventLog.Sources(ctx, fingerprint)
		return err
	})
	return list, err
}

func (p *patient) File(ctx context.Context, path string) (state *cowrie.FileState, err error) {
	err = p.try(func() (err error) {
		state, err = p.EventLog.File(ctx, path)
		return err
	})
	return state, err
}

func (p *patient) ClaimSource(ctx context.Context, fingerprint string) (claimed bool, err error) {
	err = p.try(func() (err error) {
		claimed, err = p.EventLog.ClaimSource(ctx, fingerprint)
		return err
	})
	return claimed, err
}
