package cowrie

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// sessionsOf makes up sessions, some of which are alike.
func sessionsOf(rnd *rand.Rand, n int) (sessions []*Session) {
	for i := range n {
		s := newSession(fmt.Sprintf("%0*x", 1+rnd.IntN(16), i))
		s.First = Time(rnd.Int64N(int64(DayLength)))
		s.SrcIP = []string{"", "192.0.2.1", "192.0.2.10", "198.51.100.7", "::1", "fe80::1%eth0", "nowhere"}[rnd.IntN(7)]
		s.Protocol = []string{"", "ssh", "telnet"}[rnd.IntN(3)]
		s.ClientVersion = []string{"", "SSH-2.0-Go", "SSH-2.0-\x00"}[rnd.IntN(3)]
		s.Duration = rnd.Int64N(1000) - 1
		s.Downloads, s.Uploads, s.LoginAttempts, s.LoginSuccesses = rnd.Int64N(3), rnd.Int64N(3), rnd.Int64N(300), rnd.Int64N(2)
		for range rnd.IntN(4) {
			s.command([]string{"id", "uname", "uname -a", "", fmt.Sprint("vi ", i)}[rnd.IntN(5)], s.First)
		}
		sessions = append(sessions, s)
	}
	return sessions
}

func (s *Sums) whole(o *Session, times int64) {
	s.Add(o, len(o.ID)%2 == 0, times)
	for text, c := range o.CommandStats {
		s.AddCommand(o.ID, text, times*c.Occurrences, times)
	}
}

// TestSessionSums: whatever portions sessions are added in, and whatever is taken away again
// meanwhile, what is packed is that of those that are left.
func TestSessionSums(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		sessions := sessionsOf(rnd, 1+rnd.IntN(60))
		gone := sessions[:rnd.IntN(len(sessions))]
		var want Sums
		for _, s := range sessions[len(gone):] {
			want.whole(s, 1)
		}
		type change struct {
			s     *Session
			times int64
		}
		var changes []change
		for _, s := range sessions {
			changes = append(changes, change{s, 1})
		}
		for _, s := range gone {
			changes = append(changes, change{s, -1})
		}
		rnd.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
		var bodies [][]byte
		for rest := changes; len(rest) > 0; {
			n := 1 + rnd.IntN(len(rest))
			var part Sums
			for _, c := range rest[:n] {
				part.whole(c.s, c.times)
			}
			bodies, rest = append(bodies, part.Pack()), rest[n:]
		}
		for len(bodies) > 1 {
			n := 1 + rnd.IntN(len(bodies))
			merged, err := MergeSums(bodies[:n]...)
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(slices.Clone(bodies[n:]), merged)
			if n == 1 && rnd.IntN(4) == 0 {
				break
			}
		}
		if got, err := MergeSums(bodies...); err != nil || !bytes.Equal(got, want.Pack()) {
			t.Fatalf("%d sessions, %d of them gone: %x, %v, want %x", len(sessions), len(gone), got, err, want.Pack())
		}
	}
}

// TestEachSum: what is told of sums is what was added.
func TestEachSum(t *testing.T) {
	var s, gone Sums
	a, b := newSession("aaaa"), newSession("b")
	a.First, a.SrcIP, a.Duration, a.Downloads, a.LoginAttempts, a.LoginSuccesses = DayLength+2*QuarterLength, "192.0.2.1", 70_000, 1, 2, 1
	b.SrcIP, b.Protocol, b.Uploads = "2001:db8::1", "ssh", 3
	a.command("id", 0)
	a.command("id", 0)
	b.command("id", 0)
	b.command("ls", 0)
	s.Add(a, true, 1)
	s.Add(b, false, 1)
	for _, o := range []*Session{a, b} {
		for text, c := range o.CommandStats {
			s.AddCommand(o.ID, text, c.Occurrences, 1)
		}
	}
	each := func(bodies ...[]byte) (got []string) {
		err := EachSum(func(s *Sum) {
			text := fmt.Sprint(s.Of, " ", string(s.Text), " ", s.Number, " ", s.N)
			if s.Of == SumCommand {
				text += fmt.Sprint(" ", s.Sessions)
				if s.Sessions == 1 {
					text += " " + s.Session()
				}
			}
			got = append(got, text)
		}, bodies...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := []string{"0  0 2", "1  0 1", "2  0 1", "3  0 2", "4  0 1", "5  0 3", "7 2001:db8::1 0 1", "8 ssh 0 1", "10  3221225985 1", "11  2 2", "12  70000 1", "13  2 1",
		"14 id 0 3 2", "14 ls 0 1 1 b"}
	if got := each(s.Pack()); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	gone.AddCommand("b", "id", -1, -1)
	if got := each(s.Pack(), gone.Pack()); !slices.Contains(got, "14 id 0 2 1 aaaa") {
		t.Errorf("%q: who is left is not told", got)
	}
	for name, less := range map[string]func(*Sums){
		"a session":        func(s *Sums) { s.Add(newSession("c"), true, -1); s.Add(newSession("d"), true, -1) },
		"a command":        func(s *Sums) { s.AddCommand("b", "ps", -1, -1) },
		"one and one more": func(s *Sums) { s.AddCommand("c", "ls", 1, 0); s.AddCommand("b", "ls", 0, -1) },
	} {
		var sums Sums
		less(&sums)
		if err := EachSum(func(*Sum) {}, s.Pack(), sums.Pack()); err == nil {
			t.Errorf("%s was taken away that was not there, and nothing is said", name)
		}
	}
}

// FuzzSums: damaged sums are an error, and what is none is packed as it was.
func FuzzSums(f *testing.F) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 4 {
		var s Sums
		for _, o := range sessionsOf(rnd, n*n) {
			s.whole(o, 1)
		}
		f.Add(s.Pack(), []byte{SumsVersion})
	}
	f.Add([]byte{}, []byte{SumsVersion + 1})
	f.Add([]byte{SumsVersion, 0, 0, 0}, []byte{SumsVersion, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, body := range [][]byte{a, b} {
			again, err := MergeSums(body)
			if err != nil {
				continue
			}
			if more, err := MergeSums(again); err != nil || !bytes.Equal(more, again) {
				t.Fatalf("%x became %x, %v", again, more, err)
			}
		}
		ab, err := MergeSums(a, b)
		ba, err2 := MergeSums(b, a)
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(ab, ba) {
			t.Fatalf("%x, %v, and the other way round %x, %v", ab, err, ba, err2)
		}
		EachSum(func(*Sum) {}, a, b)
	})
}
