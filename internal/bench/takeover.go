package bench

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"
)

// TakeOver is bringing a database of cowrieprocessor to midden's version. Each of its steps
// is measured once but for the backfill.
type TakeOver struct {
	RawEvents, Bytes                 int64
	Migrate, Backfill, Again, Verify Usage
	MigrateDisk                      int64 // bytes that it adds
	Sightings, Files, SightingsAgain int64
	Compact, VerifySegments          Usage
	Compacted                        int64 // bytes
	Reading, Beside                  Metrics
}

func (b *bench) takeOver(ctx context.Context) error {
	return b.within("takeover", func(dir string) error {
		page := TakeOver{RawEvents: int64(b.RawEvents)}
		old, migrated := filepath.Join(dir, "old.sqlite"), filepath.Join(dir, "migrated.sqlite")
		b.say("takeover: writing a database of cowrieprocessor with %d raw events", b.RawEvents)
		if _, _, err := (program{name: b.Midden, args: []string{"-q", "synth", "--events", strconv.Itoa(b.RawEvents), "--sensors", "4",
			"--cowrieprocessor", old}}).output(ctx); err != nil {
			return err
		}
		var err error
		if page.Bytes, err = size(old); err != nil {
			return err
		}
		if page.Migrate, err = b.midden(old, "migrate").run(ctx); err != nil {
			return err
		}
		after, err := size(old)
		if err != nil {
			return err
		}
		page.MigrateDisk = after - page.Bytes
		if _, err := (program{name: "cp", args: []string{old, migrated}}).run(ctx); err != nil {
			return err
		}

		backfill := b.midden(old, "backfill", "run", "-o", "json")
		var sum struct{ Sightings, Files int64 }
		r := runs{}
		err = b.inRounds("takeover: backfill", func() error {
			if err := removeDatabase(old); err != nil {
				return err
			}
			for _, p := range []program{{name: "cp", args: []string{migrated, old}}, {name: "sync"}} {
				if _, err := p.run(ctx); err != nil {
					return err
				}
			}
			out, u, err := backfill.output(ctx)
			if err != nil {
				return err
			}
			r.add("backfill", u)
			return json.Unmarshal([]byte(out), &sum)
		})
		if err != nil {
			return err
		}
		page.Backfill, page.Sightings, page.Files = r.of("backfill"), sum.Sightings, sum.Files
		out, u, err := backfill.output(ctx)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &sum); err != nil {
			return err
		}
		page.Again, page.SightingsAgain = u, sum.Sightings

		b.say("takeover: verify and compact")
		for _, step := range []struct {
			into *Usage
			args []string
		}{
			{&page.Verify, []string{"verify"}},
			{&page.Compact, []string{"compact", "--yes"}},
			{&page.VerifySegments, []string{"verify"}},
		} {
			p := b.midden(old, step.args...)
			p.fine = 0
			if *step.into, err = p.run(ctx); err != nil {
				return err
			}
		}
		if page.Compacted, err = size(old); err != nil {
			return err
		}
		if err := removeDatabase(old); err != nil {
			return err
		}

		b.say("takeover: reading, and loading beside a backfill")
		if page.Reading, err = b.goBench(ctx, "./internal/backfill", "Reading", "5x", "MIDDEN_BENCH_DB="+migrated); err != nil {
			return err
		}
		if page.Beside, err = b.goBench(ctx, "./internal/backfill", "Beside", "1x", "MIDDEN_BENCH_DB="+migrated); err != nil {
			return err
		}
		b.page.TakeOver = &page
		return nil
	})
}
