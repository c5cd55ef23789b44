package backfill

import (
	"cmp"
	"time"

	"midden/internal/cowrie"
)

// sums looks whether what is kept of days is what their sessions add up to, and of files what their
// sightings do.
func (v *verifier) sums() error {
	err := v.db.WrongFileSums(v.ctx, func(shasum string, damage error) error {
		g := Gap{What: "sums", Where: "file " + shasum, Expected: 1, Detail: "what is kept of it is not what its sightings add up to"}
		if damage != nil {
			g.Detail = damage.Error()
		}
		return v.gap(g, &cowrie.Mend{Files: []string{shasum}})
	})
	if err != nil {
		return err
	}
	return v.db.WrongSums(v.ctx, func(w *cowrie.WrongSums) error {
		g := Gap{What: "sums", Where: w.Day.Std().Format(time.DateOnly), Expected: w.Counted, Found: w.Kept,
			Detail: "what is kept for reports is not what the sessions add up to"}
		if w.Damage != nil {
			g.Detail = w.Damage.Error()
		} else {
			g.Where += ", " + cmp.Or(w.Sensor, "no sensor")
		}
		return v.gap(g, &cowrie.Mend{Sums: []cowrie.Time{w.Day}})
	})
}
