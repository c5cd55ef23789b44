package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

// TestSegmentSet adds ids in random order and compares with a plain set.
func TestSegmentSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		want := map[int64]bool{}
		var set segmentSet
		for range 1 + rng.IntN(30) {
			id := int64(1 + rng.IntN(25))
			want[id] = true
			set = set.add(id)
			back, err := parseSegments(set.String())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(set, back); diff != "" {
				t.Fatalf("%s comes back changed: %s", set, diff)
			}
		}
		var got []int64
		set.each(func(id int64) error {
			got = append(got, id)
			return nil
		})
		ids := make([]int64, 0, len(want))
		for id := range want {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Fatalf("%s: %s", set, diff)
		}
	}
	if got := (segmentSet{}).add(3).add(4).add(9).String(); got != "[[3,4],9]" {
		t.Errorf("got %s", got)
	}
}

func TestParseSegmentsRefusesDamage(t *testing.T) {
	for _, text := range []string{"x", "{}", "[null,", `["a"]`} {
		if _, err := parseSegments(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestSealerFindsDamage(t *testing.T) {
	s, err := newSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	text := []byte(strings.Repeat("{\"eventid\":\"cowrie.session.connect\"}\n", 100))
	seg := s.seal(text)
	if back, err := s.open(1, seg); err != nil || string(back) != string(text) {
		t.Fatalf("%v", err)
	}
	for i := range seg.blob {
		seg.blob[i] ^= 0x10
		if back, err := s.open(1, seg); err == nil && string(back) != string(text) {
			t.Fatalf("byte %d was changed, and nobody noticed", i)
		}
		seg.blob[i] ^= 0x10
	}
	seg.size++
	if _, err := s.open(1, seg); err == nil {
		t.Error("a wrong size was not noticed")
	}
}

func TestOutfile(t *testing.T) {
	const sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for _, path := range []string{"", sum, "dl/" + sum, "/srv/cowrie/" + sum, "x" + sum, "dl/other", "dl/", "tmp"} {
		s := &cowrie.Sighting{Shasum: sum, Outfile: path}
		var stored *string
		if text, ok := storedOutfile(s).(string); ok {
			stored = &text
		}
		if got := outfile(stored, sum); got != path && path != "dl/" {
			t.Errorf("%q comes back as %q", path, got)
		}
	}
}

func TestLikePattern(t *testing.T) {
	for in, want := range map[string]string{
		"a":     "%a%",
		"a*":    "a%",
		"?b":    "_b",
		"50%_":  `%50\%\_%`,
		`a\b`:   `%a\\b%`,
		"*%*.*": `%\%%.%`,
	} {
		if got := likePattern(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
