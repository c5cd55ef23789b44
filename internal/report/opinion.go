package report

import (
	"cmp"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// opinion is what VirusTotal says of a file, all in all.
type opinion struct {
	asked, known     bool
	malicious, total int // engines; -1 if it does not know the file
	label            string
	first            cowrie.Time // when it got the file; NoTime if it does not say
	observed         cowrie.Time // when it said so
}

// newOpinion sums up what was said of a file: what files show of it (docs/schema.md,
// file_verdicts), reckoned here because a report may be of a moment that is past.
func newOpinion(history []cowrie.Verdict) opinion {
	o := opinion{malicious: -1, total: -1, first: cowrie.NoTime, observed: cowrie.NoTime}
	if len(history) == 0 {
		return o
	}
	last := cowrie.NoTime
	for i := range history {
		last = max(last, history[i].ObservedAt)
		o.first = cowrie.Earliest(o.first, history[i].FirstSubmission)
	}
	// The latest analysis counts, which is not always what was said last. That the file is not
	// known counts if nothing was said later.
	rank := func(v *cowrie.Verdict) int {
		switch {
		case v.Known():
			return 1
		case v.ObservedAt == last:
			return 0
		}
		return 2
	}
	analysed := func(v *cowrie.Verdict) cowrie.Time {
		if v.AnalysedAt != cowrie.NoTime {
			return v.AnalysedAt
		}
		return v.ObservedAt
	}
	latest := slices.MinFunc(history, func(x, y cowrie.Verdict) int {
		return cmp.Or(cmp.Compare(rank(&x), rank(&y)), cmp.Compare(analysed(&y), analysed(&x)),
			cmp.Compare(y.ObservedAt, x.ObservedAt), strings.Compare(x.Source, y.Source))
	})
	o.asked, o.known, o.malicious, o.total, o.observed = true, latest.Known(), latest.Malicious, latest.Total, latest.ObservedAt
	if latest.Malicious == 0 {
		return o // what nobody flags any more has no label
	}
	at := cowrie.NoTime
	for i := range history { // of one time the first source, in the order in which they come
		if v := &history[i]; v.Classification != "" && v.ObservedAt > at {
			o.label, at = v.Classification, v.ObservedAt
		}
	}
	return o
}

// maliciousSince is when the file was called malicious for the first time; NoTime if never.
func maliciousSince(history []cowrie.Verdict) cowrie.Time {
	for i := range history {
		if history[i].Malicious > 0 {
			return history[i].ObservedAt
		}
	}
	return cowrie.NoTime
}
