package enrich_test

import (
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/enrich"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	const hour, day = time.Hour, 24 * time.Hour
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	// ago is how long before the answer something was; never is NoTime.
	const never = -1
	moment := func(ago time.Duration) cowrie.Time {
		if ago == never {
			return cowrie.NoTime
		}
		return cowrie.FromStd(at.Add(-ago))
	}
	old := 100 * day
	for _, c := range []struct {
		what      string
		known     bool
		unknowns  int
		malicious int
		seen      time.Duration // by us, first
		flagged   time.Duration
		want      time.Duration
	}{
		{"unknown, and nobody has counted", false, 0, -1, old, never, hour},
		{"unknown once", false, 1, -1, old, never, hour},
		{"unknown twice", false, 2, -1, old, never, 6 * hour},
		{"unknown three times", false, 3, -1, old, never, day},
		{"unknown four times", false, 4, -1, old, never, 3 * day},
		{"unknown five times", false, 5, -1, old, never, 7 * day},
		{"unknown six times", false, 6, -1, old, never, 30 * day},
		{"unknown for ever", false, 1000, -1, old, never, 30 * day},
		{"unknown and young", false, 1, -1, hour, never, hour},
		{"unknown for long, but young", false, 6, -1, hour, never, 30 * day},
		{"unknown now, flagged before", false, 2, -1, old, 200 * day, 6 * hour},

		{"young and clean", true, 0, 0, 0, never, day},
		{"young and flagged", true, 0, 50, hour, hour, day},
		{"young until just now", true, 0, 0, 7*day - time.Microsecond, never, day},
		{"not young any more", true, 0, 0, 7 * day, never, 30 * day},
		{"seen at no time", true, 0, 0, never, never, 30 * day},
		{"seen at no time, flagged", true, 0, 9, never, 200 * day, 90 * day},

		{"clean", true, 0, 0, old, never, 30 * day},
		{"how many flag it is not known", true, 0, -1, old, never, 30 * day},
		{"flagged for the first time", true, 0, 1, old, 0, 30 * day},
		{"flagged, and nobody knows since when", true, 0, 1, old, never, 30 * day},
		{"flagged for 89 days", true, 0, 1, old, 90*day - time.Microsecond, 30 * day},
		{"flagged for 90 days", true, 0, 1, old, 90 * day, 90 * day},
		{"flagged once, clean now", true, 0, 0, old, 200 * day, 30 * day},
		{"seen in 1970", true, 0, 0, at.Sub(time.Unix(0, 0)), never, 30 * day},
		{"unknowns of before do not count", true, 5, 0, old, never, 30 * day},
	} {
		p := enrich.DefaultPolicy()
		l := cowrie.Lookup{State: cowrie.LookupNew, DueAt: cowrie.NoTime, FirstSeen: moment(c.seen), LastSeen: moment(0), AnsweredAt: moment(0),
			Known: c.known, Malicious: c.malicious, Unknowns: c.unknowns, FlaggedAt: moment(c.flagged)}
		before := l
		if got := p.Due(&l).Std().Sub(at); got != c.want {
			t.Errorf("%s: asked again after %v, want %v", c.what, got, c.want)
		}
		if l != before {
			t.Errorf("%s: it was changed", c.what)
		}
	}
	// Whoever writes a policy of his own may leave something out.
	p := enrich.Policy{Other: 3 * day}
	l := cowrie.Lookup{FirstSeen: moment(hour), AnsweredAt: moment(0), FlaggedAt: cowrie.NoTime, Malicious: -1}
	if got := p.Due(&l).Std().Sub(at); got != 3*day {
		t.Errorf("a policy without waits for unknown files: %v", got)
	}
}

// TestPolicyFromTheFuture: a file that a sensor with a wrong clock saw in 2099 does
// not cost a request a day until then.
func TestPolicyFromTheFuture(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	p := enrich.DefaultPolicy()
	l := cowrie.Lookup{FirstSeen: cowrie.FromStd(at.AddDate(73, 0, 0)), AnsweredAt: cowrie.FromStd(at), Known: true, FlaggedAt: cowrie.NoTime}
	if got := p.Due(&l).Std().Sub(at); got != 30*24*time.Hour {
		t.Errorf("asked again after %v", got)
	}
}
