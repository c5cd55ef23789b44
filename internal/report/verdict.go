package report

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// said is what VirusTotal began to say in a period, of whatever file.
type said struct {
	malicious map[string]opinion // files that were called malicious for the first time
	changed   map[string]change
}

type change struct{ was, is opinion }

// verdicts reads what was said of files up to the end of a period.
func (b *builder) verdicts(ctx context.Context, p *period) error {
	p.said = said{map[string]opinion{}, map[string]change{}}
	var history []cowrie.Verdict
	file := func() {
		if len(history) == 0 {
			return
		}
		shasum, is := history[0].Shasum, newOpinion(history)
		if at := maliciousSince(history); at >= p.From {
			p.said.malicious[shasum] = is
		}
		before, _ := slices.BinarySearchFunc(history, p.From, func(v cowrie.Verdict, at cowrie.Time) int { return cmp.Compare(v.ObservedAt, at) })
		if was := newOpinion(history[:before]); was.known && is.known && (was.malicious != is.malicious || was.label != is.label) {
			p.said.changed[shasum] = change{was, is}
		}
		if p == b.now {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.file(shasum).opinion = is
		}
		history = history[:0]
	}
	err := b.view.Verdicts(ctx, p.Span, func(v *cowrie.Verdict) error {
		if len(history) > 0 && history[0].Shasum != v.Shasum {
			file()
		}
		history = append(history, *v)
		return nil
	})
	file()
	return err
}

// ofSensor drops those files that the sensor of the report never saw, and learns what is
// known of the others.
func (b *builder) ofSensor(ctx context.Context, p *period) error {
	known := map[string]bool{}
	all := append(sortedKeys(p.said.malicious), sortedKeys(p.said.changed)...)
	err := b.view.FilesOf(ctx, all, b.Sensor, func(f *cowrie.SeenFile) error {
		known[f.Shasum] = true
		if p == b.now {
			b.file(f.Shasum).SeenFile = *f
		}
		return nil
	})
	if b.Sensor == "" {
		return err // what is said of a file that is nowhere counts, too
	}
	for _, shasum := range all {
		if !known[shasum] {
			delete(p.said.malicious, shasum)
			delete(p.said.changed, shasum)
		}
	}
	return err
}

// verdictSection is what a report says of verdicts.
func (b *builder) verdictSection() Verdicts {
	s := Verdicts{NewMaliciousTotal: int64(len(b.now.said.malicious)), ChangedTotal: int64(len(b.now.said.changed)),
		NewMalicious: []Verdict{}, Changed: []Verdict{}, Unknown: []Verdict{}, SeenBefore: []Verdict{}, RecentSubmissions: []Verdict{}}
	worst := func(is func(shasum string) opinion) func(x, y string) int {
		return func(x, y string) int {
			return cmp.Or(cmp.Compare(is(y).malicious, is(x).malicious), strings.Compare(x, y))
		}
	}
	malicious, changed := b.now.said.malicious, b.now.said.changed
	for _, shasum := range first(maxListed, slices.Values(sortedKeys(malicious)), worst(func(s string) opinion { return malicious[s] })) {
		s.NewMalicious = append(s.NewMalicious, b.file(shasum).verdict())
	}
	for _, shasum := range first(maxListed, slices.Values(sortedKeys(changed)), worst(func(s string) opinion { return changed[s].is })) {
		v := b.file(shasum).verdict()
		v.MaliciousWas, v.LabelWas = cowrie.Engines(changed[shasum].was.malicious), changed[shasum].was.label
		s.Changed = append(s.Changed, v)
	}
	list := func(fits func(*file) bool, order func(x, y *file) int) (list []Verdict) {
		list = []Verdict{}
		for _, f := range b.first(maxListed, fits, order) {
			list = append(list, f.verdict())
		}
		return list
	}
	unknown := func(f *file) bool { return f.status() == "unknown" }
	s.Unknown = list(unknown, func(x, y *file) int { return cmp.Compare(y.count(), x.count()) })
	s.SeenBefore = list((*file).seenBefore, func(x, y *file) int { return cmp.Compare(y.lead(), x.lead()) })
	s.RecentSubmissions = list(func(f *file) bool { return f.recent }, func(x, y *file) int { return cmp.Compare(y.first, x.first) })
	for _, f := range b.files.list {
		switch f.status() {
		case "unknown":
			s.UnknownTotal++
		case "pending", "failed":
			s.PendingTotal++
		}
		if f.seenBefore() {
			s.SeenBeforeTotal++
		}
	}
	return s
}

// seenBefore reports whether the file was here before VirusTotal had it.
func (f *file) seenBefore() bool {
	return f.first != cowrie.NoTime && f.First != cowrie.NoTime && f.lead() > 0
}

// lead is how much earlier the file was here.
func (f *file) lead() cowrie.Time { return f.first - f.First }

// verdict is what a report says of what is said of a file.
func (f *file) verdict() Verdict {
	v := Verdict{Shasum: f.Shasum, Name: f.Name, Classification: f.label, Malicious: cowrie.Engines(f.malicious), Total: cowrie.Engines(f.total),
		FirstSeen: f.First, VTFirstSeen: f.first, ObservedAt: f.observed}
	if f.first != cowrie.NoTime && f.First != cowrie.NoTime {
		seconds := int64(f.lead() / 1e6)
		v.Lead = &seconds
	}
	return v
}
