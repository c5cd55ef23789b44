package backfill

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"midden/internal/cowrie"
)

// compare looks one by one at the ranges that differ.
func (v *verifier) compare() error {
	different := map[where]bool{}
	for w, e := range v.expected {
		if f := v.found[w]; f == nil || *f != *e {
			different[w] = true
		}
	}
	for w := range v.found {
		if v.expected[w] == nil {
			different[w] = true
		}
	}
	for w := range v.unsound {
		different[w] = true
	}
	order := slices.SortedFunc(maps.Keys(different), func(a, b where) int {
		return cmp.Or(cmp.Compare(a.segment, b.segment), cmp.Compare(a.raw, b.raw))
	})
	for len(order) > 0 {
		some := map[where][]cowrie.StoredSighting{}
		n, rows := 0, int64(0)
		for ; n < len(order) && (n == 0 || rows < rowsAtOnce); n++ {
			some[order[n]] = nil
			if f := v.found[order[n]]; f != nil {
				rows += f.count
			}
		}
		if err := v.compareSome(order[:n], some); err != nil {
			return err
		}
		order = order[n:]
	}
	return nil
}

// rowsAtOnce is about how many stored sightings are held at once.
const rowsAtOnce = 50_000

func (v *verifier) compareSome(order []where, stored map[where][]cowrie.StoredSighting) error {
	err := v.db.Sightings(v.ctx, func(s *cowrie.StoredSighting) error {
		w := whereIs(s.Place)
		if have, asked := stored[w]; asked {
			stored[w] = append(have, *s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range order {
		r := v.newRange(w, stored[w])
		readable, err := v.eventsOf(w, r.event)
		if err != nil {
			return err
		}
		r.unreadable = !readable
		if err := r.end(); err != nil {
			return err
		}
	}
	return nil
}

// eventsOf calls f for the events of a range. It reports false if that is a
// segment that is damaged or gone.
func (v *verifier) eventsOf(w where, f func([]byte, cowrie.Place) error) (readable bool, err error) {
	if w.segment == 0 {
		after, through := (w.raw-1)*verifyRange, w.raw*verifyRange
		return true, v.db.RawEvents(v.ctx, max(after, v.after), min(through, v.done), func(e *cowrie.RawEvent) error {
			return f(e.Payload, cowrie.Place{Raw: e.ID})
		})
	}
	err = v.db.Segments(v.ctx, w.segment, func(seg *cowrie.Segment) error {
		if readable = seg.Damage == nil; !readable {
			return nil // it was told of
		}
		return eachEvent(seg, f)
	})
	return readable, err
}

// oneRange is a range that is looked at one by one.
type oneRange struct {
	v      *verifier
	where  where
	finder *cowrie.Finder
	stored map[cowrie.Place]*cowrie.StoredSighting
	there  map[cowrie.Place]bool // places at which there is an event
	// unreadable: it is a segment that is damaged or gone. What it bore out stays.
	unreadable bool
	expected   int64
	missing    []cowrie.StoredSighting
	wrong      []cowrie.StoredSighting
	twice      []cowrie.StoredSighting // a second sighting at the same place
}

func (v *verifier) newRange(w where, stored []cowrie.StoredSighting) *oneRange {
	r := &oneRange{v: v, where: w, finder: cowrie.NewFinder(), stored: map[cowrie.Place]*cowrie.StoredSighting{},
		there: map[cowrie.Place]bool{}}
	for i := range stored {
		s := &stored[i]
		if r.stored[s.Place] != nil { // an event makes one sighting
			r.twice = append(r.twice, *s)
			continue
		}
		r.stored[s.Place] = s
	}
	return r
}

func (r *oneRange) event(text []byte, p cowrie.Place) error {
	found, err := r.finder.Find(text, "")
	if r.stored[p] != nil {
		r.there[p] = true
	}
	if err != nil || found.Sighting == nil {
		return nil
	}
	r.expected++
	if have := r.stored[p]; have != nil {
		if have.Sound && r.v.hash.of(&have.Sighting, p) == r.v.hash.of(found.Sighting, p) {
			delete(r.stored, p)
			return nil
		}
		// It is replaced below.
	} else if has, err := r.elsewhere(found.Sighting, p); err != nil || has {
		return err
	}
	r.missing = append(r.missing, cowrie.StoredSighting{Sighting: *found.Sighting, Place: p})
	return nil
}

// elsewhere reports whether a sighting stands at another event that says the
// same. One that stands where no event says so is wrong.
func (r *oneRange) elsewhere(s *cowrie.Sighting, p cowrie.Place) (bool, error) {
	have, err := r.v.db.SameSighting(r.v.ctx, s, p.Raw != 0)
	if err != nil || have == nil {
		return false, err
	}
	if have.Raw == 0 {
		n, there := r.v.events[have.Segment]
		if there = there && (n < 0 || int64(have.Index) < n); !there {
			r.wrong = append(r.wrong, *have)
		}
		return there, nil
	}
	bearsOut := false
	finder := cowrie.NewFinder()
	err = r.v.db.RawEvents(r.v.ctx, have.Raw-1, have.Raw, func(e *cowrie.RawEvent) error {
		found, err := finder.Find(e.Payload, "")
		bearsOut = err == nil && found.Sighting != nil &&
			r.v.hash.of(found.Sighting, p) == r.v.hash.of(s, p)
		return nil
	})
	if err == nil && !bearsOut && whereIs(have.Place) != r.where {
		r.wrong = append(r.wrong, *have) // in its own range it is found out anyway
	}
	return bearsOut, err
}

// end says what was found in the range.
func (r *oneRange) end() error {
	for p, s := range r.stored {
		if !r.there[p] && (p.Raw != 0 || r.unreadable) {
			r.v.result.Orphans++
			continue
		}
		r.wrong = append(r.wrong, *s)
	}
	if !r.unreadable {
		r.wrong = append(r.wrong, r.twice...)
	}
	missing, wrong := int64(len(r.missing)), int64(len(r.wrong))
	if missing+wrong == 0 {
		return nil
	}
	detail := fmt.Sprintf("%d missing, %d that no event bears out", missing, wrong)
	for _, list := range [][]cowrie.StoredSighting{r.missing, r.wrong} {
		if len(list) > 0 {
			detail += fmt.Sprintf("; such as %s in session %s", list[0].Shasum, list[0].Session)
			break
		}
	}
	return r.v.gap(Gap{What: "sightings", Where: r.where.String(), Expected: r.expected, Found: r.expected - missing + wrong,
		Detail: detail}, &cowrie.Mend{Missing: r.missing, Wrong: r.wrong})
}
