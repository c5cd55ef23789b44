package enrich

import (
	"time"

	"midden/internal/cowrie"
)

// Policy says how long an answer counts before it is asked for again.
type Policy struct {
	// Unknown are the waits after the first, second … answer in a row that a file
	// is not known; the last one goes for all that follow.
	Unknown []time.Duration
	// Young files, which we have known for less than YoungFor, are asked about
	// more often: engines learn of a new file within days.
	Young, YoungFor time.Duration
	// Malicious is for files that an engine flags, MaliciousLater when the first
	// one has flagged them for LaterAfter: what they are called hardly changes.
	Malicious, MaliciousLater, LaterAfter time.Duration
	// Other is for the rest.
	Other time.Duration
	// Good is how long other sources are not asked about a file that one knows as
	// good.
	Good time.Duration
}

const day = 24 * time.Hour

// DefaultPolicy is what counts if nobody says otherwise. Other is what
// cowrieprocessor had for all.
func DefaultPolicy() Policy {
	return Policy{
		Unknown: []time.Duration{time.Hour, 6 * time.Hour, day, 3 * day, 7 * day, 30 * day},
		Young:   day, YoungFor: 7 * day,
		Malicious: 30 * day, MaliciousLater: 90 * day, LaterAfter: 90 * day,
		Other: 30 * day,
	}
}

// ListPolicy is for a list of files that people publish: what stands in it stays,
// and what does not is rarely added.
func ListPolicy() Policy {
	return Policy{Unknown: []time.Duration{30 * day}, Malicious: 90 * day, MaliciousLater: 90 * day, Other: 90 * day, Good: 90 * day}
}

// Due returns when to ask about a file again of which something was said.
func (p *Policy) Due(l *cowrie.Lookup) cowrie.Time {
	answered := l.AnsweredAt.Std()
	wait := p.Other
	switch {
	case !l.Known && len(p.Unknown) > 0:
		wait = p.Unknown[min(max(l.Unknowns, 1), len(p.Unknown))-1]
	case p.young(answered, l.FirstSeen):
		wait = p.Young
	case l.Malicious > 0 && l.FlaggedAt != cowrie.NoTime && answered.Sub(l.FlaggedAt.Std()) >= p.LaterAfter:
		wait = p.MaliciousLater
	case l.Malicious > 0:
		wait = p.Malicious
	}
	return cowrie.FromStd(answered.Add(wait))
}

// young reports whether a file is. One that was seen in the future, by a sensor
// whose clock is wrong, would be for ever.
func (p *Policy) young(at time.Time, firstSeen cowrie.Time) bool {
	age := at.Sub(firstSeen.Std())
	return firstSeen != cowrie.NoTime && age > -day && age < p.YoungFor
}

// answered returns a lookup as it is with a further answer.
func answered(l cowrie.Lookup, v *cowrie.Verdict, known bool) cowrie.Lookup {
	l.AnsweredAt, l.Known, l.Malicious = v.ObservedAt, known, v.Malicious
	if known {
		l.Unknowns = 0
	} else {
		l.Unknowns++
	}
	if v.Malicious > 0 && l.FlaggedAt == cowrie.NoTime {
		l.FlaggedAt = v.ObservedAt
	}
	return l
}
