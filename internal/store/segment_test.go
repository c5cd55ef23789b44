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
	for _, text := range []string{"x", "{}", "[null,", `["a"]`, "[2,1]", "[[2,1]]", "[[1]]", "[[1,2,3]]", "[0]", "[[1,9223372036854775807]]"} {
		if _, err := parseSegments(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// FuzzSegmentSet: what is taken for a set of segments is one, and comes back as
// it is written.
func FuzzSegmentSet(f *testing.F) {
	for _, text := range []string{"", "[1]", "[[3,4],9]", "[[1,9223372036854775807]]", "[3,[1,2]]", "[[2,1]]", "[null]", "[[1]]", "[-1]", "[ 1 , [ 2,3 ] ]", "[1e3]", "null"} {
		f.Add(text, int64(3))
	}
	f.Fuzz(func(t *testing.T, text string, id int64) {
		set, err := parseSegments(text)
		if err != nil {
			return
		}
		last := int64(0)
		for _, r := range set {
			if r[0] <= last || r[1] < r[0] || r[1] > maxID {
				t.Fatalf("%q was taken: %v", text, set)
			}
			last = r[1]
		}
		if id <= 0 || id > maxID {
			return
		}
		// Adding an id adds it and nothing else.
		in := func(set segmentSet, id int64) bool {
			return slices.ContainsFunc(set, func(r segmentRange) bool { return r[0] <= id && id <= r[1] })
		}
		more := slices.Clone(set).add(id)
		back, err := parseSegments(more.String())
		if err != nil || !slices.Equal(back, more) {
			t.Fatalf("%v comes back as %v, %v", more, back, err)
		}
		for _, r := range append(slices.Clone(more), segmentRange{id - 1, id + 1}) {
			for _, near := range []int64{r[0] - 1, r[0], r[1], r[1] + 1} {
				if in(more, near) != (near == id || in(set, near)) {
					t.Fatalf("%v with %d is %v", set, id, more)
				}
			}
		}
	})
}

// FuzzSegment: a text comes back from its segment, and from a segment that was
// changed nothing that is not that text, with no more memory than was asked for.
func FuzzSegment(f *testing.F) {
	s, err := newSealer()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.close)
	for _, text := range []string{"", "{}\n", strings.Repeat("{\"eventid\":\"cowrie.session.connect\"}\n", 100)} {
		f.Add([]byte(text), uint16(0), byte(0), len(text))
		f.Add([]byte(text), uint16(9), byte(0x40), len(text))
		f.Add([]byte(text), uint16(0), byte(0), -1)
	}
	f.Fuzz(func(t *testing.T, text []byte, at uint16, flip byte, size int) {
		seg := s.seal(text)
		same := flip == 0 && size == len(text)
		seg.blob[int(at)%len(seg.blob)] ^= flip
		seg.size = size
		back, err := s.open(1, seg)
		if same && err != nil || err == nil && !slices.Equal(back, text) {
			t.Fatalf("%q came back as %q, %v", text, back, err)
		}
		// A blob that nobody sealed is no segment, unless its sum says so.
		if back, err := s.open(1, &sealed{blob: text, size: size, checksum: 1}); err == nil && len(back) != size {
			t.Fatalf("%d bytes, want %d", len(back), size)
		}
	})
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
