package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"midden/internal/cowrie"
)

// Sessions are abnormal for one of three reasons.
//
// Many commands: cowrie.ManyCommands or more, and more than the upper quartile of the sessions
// with commands and three times the distance between the quartiles.
//
// Rare commands: rareCommands or more different ones that no other session of the period
// ran, and none of the period before. One alone is common: programs type random passwords. Where
// fewer than rareAmong sessions have commands at all, nothing is rare.
//
// A recent submission: it brought a file that VirusTotal got first less than RecentDays
// before.
const (
	rareCommands = 3
	rareAmong    = 20
)

// reasons are why sessions are abnormal.
type reasons struct {
	why map[string][]string
}

func (r *reasons) add(session, why string) {
	if r.why == nil {
		r.why = map[string][]string{}
	}
	r.why[session] = append(r.why[session], why)
}

func (b *builder) abnormalities(ctx context.Context) (Abnormalities, error) {
	a := Abnormalities{UncommonCommands: []string{}, Sessions: []Abnormal{}}
	var r reasons
	if err := b.many(ctx, &r); err != nil {
		return a, err
	}
	b.rare(&r)
	a.UncommonCommands = append(a.UncommonCommands, sortedKeys(r.why)...)
	a.RecentVT = b.files.recent.sessions()
	for _, id := range a.RecentVT {
		r.add(id, fmt.Sprintf("brought a file that VirusTotal got first less than %d days before", RecentDays))
	}
	var all []Abnormal
	err := b.view.SessionsOf(ctx, sortedKeys(r.why), func(s *cowrie.Session) error {
		all = append(all, Abnormal{Session: s.ID, Sensor: s.Sensor, SrcIP: s.SrcIP, First: s.First, Commands: s.Commands, Why: r.why[s.ID]})
		return nil
	})
	a.Sessions = first(maxListed, slices.Values(all), func(x, y Abnormal) int {
		return cmp.Or(cmp.Compare(len(y.Why), len(x.Why)), cmp.Compare(y.Commands, x.Commands), strings.Compare(x.Session, y.Session))
	})
	return a, err
}

// many finds the sessions with unusually many commands.
func (b *builder) many(ctx context.Context, r *reasons) error {
	s := &b.now.sums
	lower, upper := quantile(s.perSession, s.withCommands(), 1, 4), quantile(s.perSession, s.withCommands(), 3, 4)
	limit := max(cowrie.ManyCommands-1, upper+3*(upper-lower))
	return b.view.Busiest(ctx, b.now.Span, limit, maxListed, func(id string, commands int64) error {
		r.add(id, fmt.Sprintf("%d commands; three of four sessions with commands have %d or fewer", commands, upper))
		return nil
	})
}

// quantile returns how many commands a share of the sessions with commands has at the most.
func quantile(perSession map[int64]int64, sessions, share, of int64) int64 {
	below := int64(0)
	for _, n := range sortedKeys(perSession) {
		if n == 0 {
			continue
		}
		if below += perSession[n]; below*of >= sessions*share {
			return n
		}
	}
	return 0
}

// rare finds the sessions with rare commands.
func (b *builder) rare(r *reasons) {
	s := &b.now.sums
	if s.withCommands() < rareAmong {
		return
	}
	type own struct {
		session, command string
		n                int64
	}
	sessions := map[string]own{}
	for _, t := range s.typed {
		if t.sessions != 1 || b.before.sums.ran(t.command) {
			continue
		}
		o := sessions[t.session]
		if o.session, o.n = t.session, o.n+1; o.command == "" || t.command < o.command {
			o.command = t.command
		}
		sessions[t.session] = o
	}
	for _, o := range first(maxListed, func(yield func(own) bool) {
		for _, o := range sessions {
			if o.n >= rareCommands && !yield(o) {
				return
			}
		}
	}, func(x, y own) int { return cmp.Or(cmp.Compare(y.n, x.n), strings.Compare(x.session, y.session)) }) {
		r.add(o.session, fmt.Sprintf("%d commands that no other session ran, such as: %s", o.n, o.command))
	}
}

// flagged are the sessions that brought files which are called malicious.
func (b *builder) flagged(ctx context.Context) ([]Flagged, error) {
	ids := b.files.worst.sessions()
	sessions := map[string]*Flagged{}
	err := b.view.SessionsOf(ctx, ids, func(s *cowrie.Session) error {
		f := &Flagged{Session: s.ID, Sensor: s.Sensor, FirstSeen: s.First, LastSeen: s.Last, IPs: []string{}, Files: []FlaggedFile{}}
		if s.SrcIP != "" {
			f.IPs = append(f.IPs, s.SrcIP)
		}
		sessions[s.ID] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	type brought struct{ session, shasum string }
	seen := map[brought]bool{}
	err = b.view.SightingsOf(ctx, ids, func(s *cowrie.Sighting) error {
		f, known := b.files.known[s.Shasum]
		to := sessions[s.Session]
		if !known || to == nil || f.malicious <= 0 || s.SeenAt < b.now.From || s.SeenAt >= b.now.To || seen[brought{s.Session, s.Shasum}] {
			return nil
		}
		seen[brought{s.Session, s.Shasum}] = true
		to.Files = append(to.Files, FlaggedFile{f.Shasum, int64(f.malicious), f.label, f.first})
		return nil
	})
	list := []Flagged{}
	for _, id := range ids {
		f := sessions[id]
		if f == nil {
			continue // cowrieprocessor left a sighting without a row of its session
		}
		slices.SortFunc(f.Files, func(x, y FlaggedFile) int {
			return cmp.Or(cmp.Compare(y.Malicious, x.Malicious), strings.Compare(x.Shasum, y.Shasum))
		})
		list = append(list, *f)
	}
	return list, err
}
