package cli

import (
	"bufio"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/plain"
	"midden/internal/store"
)

func (a *app) eventsCmd() *cobra.Command {
	var q store.EventFilter
	limit := 0
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Give the stored lines back, exactly",
		Long: `Writes stored events to standard output as JSON lines, each exactly as it stood in
its log, save on a terminal, where what acts on one is written as \u001b and the
like. The form is JSON lines, whatever -o says.`,
		Example: `  midden events --session 2e93710ba82b | jq .
  midden events --type 'cowrie.login.*' --since 24h
  midden events --file 8a68d1c0`,
		Args: noArgs,
	}
	since := newTimeFlag(cmd, "since", "at this time or later")
	until := newTimeFlag(cmd, "until", "before this time")
	f := cmd.Flags()
	f.StringVar(&q.Session, "session", "", "of this session")
	f.StringVar(&q.Type, "type", "", "with this eventid; it may end in *")
	f.StringVar(&q.Sensor, "sensor", "", "that name this sensor")
	f.StringVar(&q.Shasum, "file", "", "that brought or took this file: its SHA-256, or the beginning of it")
	f.IntVarP(&limit, "limit", "n", 0, "how many at the most; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q.Since, q.Until = since.t, until.t
		return a.events(cmd.Context(), q, limit)
	}
	return cmd
}

func (a *app) events(ctx context.Context, q store.EventFilter, limit int) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if q.Shasum != "" {
		f, err := db.FindFile(ctx, q.Shasum)
		if err != nil {
			return err
		}
		q.Shasum = f.Shasum
	}
	out := bufio.NewWriterSize(a.stdout, 1<<16)
	harmless, compact := render.IsTerminal(a.stdout), []byte(nil)
	n := 0
	err = db.Events(ctx, q, func(e *store.Event) error {
		n++
		text := e.Text
		if harmless {
			// White space between values may be a carriage return, which acts, too.
			compact = cowrie.Compact(compact[:0], text)
			text = plain.EscapeJSON(compact)
		}
		out.Write(text)
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
		if n == limit {
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return err
	}
	if n == 0 {
		a.hint("no event fits")
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return a.sayDropped(ctx, db, q)
}

// errEnough ends a walk over rows early.
var errEnough = errors.New("enough")
