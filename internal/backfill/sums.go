package backfill

import (
	"cmp"
	"time"

	"midden/internal/cowrie"
)

// sums looks whether what is kept of days for reports is what their sessions add up to.
func (v *verifier) sums() error {
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
