package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"midden/internal/backfill"
	"midden/internal/cli/render"
	"midden/internal/plain"
	"midden/internal/store"
	"midden/internal/telemetry"
)

func (a *app) verifyCmd() *cobra.Command {
	repair := false
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare files, sightings and counts with the events that they come from",
		Long: `Reads every event again, works out what files and sightings there must be, and
compares them with those that are stored: by count and digest, range by range,
and one by one where a range differs. It also counts the lines of every source,
the events of every segment, what reports count of each day and sensor (events,
failed transfers, logins), and what is kept of the sessions of days and of files with
many sightings. Each gap is named; without one there is no output. With --repair the
ranges that differ are put right.

It looks at the database as it is when it begins; others may go on writing. Ends
with 5 if there is a gap that was not put right.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.verify(cmd.Context(), repair)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "put right what differs")
	return cmd
}

func (a *app) verify(ctx context.Context, repair bool) error {
	db, err := a.openFor(ctx, repair)
	if err != nil {
		return err
	}
	defer db.Close()
	watch := a.watch("verify", "verify", "")
	defer watch.close(nil, false)
	o := backfill.VerifyOptions{Observe: func(bytes, of int64) {
		watch.update(telemetry.Status{Counts: telemetry.Counts{BytesDone: bytes, BytesTotal: of}})
	}}
	if repair {
		release, err := db.Hold("verify --repair")
		if err != nil {
			return err
		}
		defer release()
		o.Mend = db.Mend
	}
	out := render.New(a.stdout, a.format, []render.Column{
		{Name: "what"}, {Name: "range"}, {Name: "expected", Kind: render.Int}, {Name: "found", Kind: render.Int},
		{Name: "repaired", Kind: render.Bool}, {Name: "detail"},
	})
	var v *backfill.Verification
	var repaired int64
	for range maxPasses {
		if v, err = a.verifyOnce(ctx, db, o, out, repaired > 0); err != nil {
			return err
		}
		repaired += v.Mended
		if v.Mended == 0 {
			break
		}
		a.log.Info("looking again, since something was put right", "repaired", v.Mended)
	}
	watch.close(nil, false)
	if err := out.Close(); err != nil {
		return err
	}
	a.hint("compared %s raw events and %s segments of %s sources with %s sightings of %s files and the counts of %s days in %s",
		plain.Count(v.RawEvents), plain.Count(v.Segments), plain.Count(v.Sources), plain.Count(v.Sightings),
		plain.Count(v.Files), plain.Count(v.Days), plain.Duration(v.Elapsed))
	if v.Pending > 0 {
		a.hint("%s raw events are not backfilled yet: \"midden backfill run\" does them", plain.Count(v.Pending))
	}
	if v.Uncompared > 0 {
		a.hint("of %s days events were dropped or cannot be read; what is counted of them was not compared", plain.Count(v.Uncompared))
	}
	if v.Orphans > 0 {
		a.hint("of %s sightings the event was deleted or dropped; they stay", plain.Count(v.Orphans))
	}
	left := v.Gaps
	if left > 0 {
		again := ""
		if !repair {
			again = ": \"midden verify --repair\" puts right what can be"
		}
		return &exit{exitDiffers, fmt.Errorf("%d gaps%s", left, again)}
	}
	if repaired > 0 {
		a.hint("%d gaps were put right", repaired)
	}
	return nil
}

// maxPasses is how often what was put right is looked at again: what differs
// even then cannot be put right.
const maxPasses = 4

// verifyOnce verifies the database as it is now, and prints the gaps; those that
// cannot be put right only the first time.
func (a *app) verifyOnce(ctx context.Context, db *store.Store, o backfill.VerifyOptions, out *render.Writer, again bool) (*backfill.Verification, error) {
	snapshot, err := db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snapshot.Close()
	return backfill.Verify(ctx, snapshot, o, func(g backfill.Gap) error {
		if again && !g.Mended {
			return nil
		}
		return out.Row(g.What, g.Where, g.Expected, g.Found, g.Mended, g.Detail)
	})
}
