package cowrie

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// someEvents makes events of few sessions, whose times are often the same and
// sometimes missing, and whose facts contradict each other.
func someEvents(rnd *rand.Rand, n int) []string {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	member := func(name string, of ...string) string {
		if v := pick(append(of, "absent")...); v != "absent" {
			return fmt.Sprintf(`,%q:%q`, name, v)
		}
		return ""
	}
	hash := func() string { return pick(hash1, hash2, strings.ToUpper(hash1)) }
	var events []string
	for range n {
		e := `{"n":` + fmt.Sprint(rnd.IntN(1000))
		e += member("session", "s1", "s1", "s2", "s2", "s3", "")
		e += member("timestamp", "2024-01-01T00:00:01Z", "2024-01-01T00:00:01.000000+0000", "2024-01-01T00:00:02Z", "2024-01-01T00:00:03Z", "2023-01-01T00:00:00Z", "garbage")
		e += member("sensor", "hp1", "hp1", "hp2", "")
		e += member("src_ip", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "::1", "")
		e += member("protocol", "ssh", "telnet")
		switch rnd.IntN(10) {
		case 0:
			e += `,"eventid":"cowrie.login.success"` + member("username", "root", "admin", "") + member("password", "1", "2", "")
		case 1:
			e += `,"eventid":"cowrie.login.failed"`
		case 2:
			e += `,"eventid":"cowrie.command.input"` + member("input", "id", " id ", "uname  -a", "")
		case 3:
			e += `,"eventid":"cowrie.client.version"` + member("version", "SSH-2.0-Go", "SSH-2.0-libssh", "")
		case 4:
			e += `,"eventid":"cowrie.client.kex"` + member("hassh", "aa", "bb", "")
		case 5:
			e += `,"eventid":"cowrie.session.closed"` + pick(`,"duration":1.5`, `,"duration":"2.5"`, `,"duration_ms":100`, ``, `,"duration":"x"`)
		case 6, 7:
			e += `,"eventid":"cowrie.session.file_download","shasum":"` + hash() + `"` + member("url", "http://192.0.2.9/b", "http://192.0.2.9/a", "") + member("destfile", "/tmp/x", "/tmp/w", "/tmp/")
		case 8:
			e += `,"eventid":"cowrie.session.file_upload","shasum":"` + hash() + `"` + member("filename", "x.sh", "a.sh", "")
		case 9:
			e += `,"eventid":"cowrie.session.file_download","url":"x","shasum":""`
		}
		events = append(events, e+"}")
	}
	return events
}

// addUp gathers events in portions and adds up what each says.
func addUp(rnd *rand.Rand, events []string) (map[string]*Session, map[string]*File) {
	var portions []*Gathered
	for len(events) > 0 {
		n := 1 + rnd.IntN(len(events))
		portions = append(portions, Gather(Lines{Data: []byte(strings.Join(events[:n], "\n") + "\n")}, "", nil))
		events = events[n:]
	}
	sessions, files := map[string]*Session{}, map[string]*File{}
	// Portions are added in any order, too, and to one another first.
	for len(portions) > 0 {
		i := rnd.IntN(len(portions))
		g := portions[i]
		portions = append(portions[:i], portions[i+1:]...)
		for id, s := range g.Sessions {
			if sessions[id] == nil {
				sessions[id] = s
			} else if rnd.IntN(2) == 0 {
				sessions[id].Add(s)
			} else {
				s.Add(sessions[id])
				sessions[id] = s
			}
		}
		for i := range g.Sightings {
			f := NewFile(&g.Sightings[i])
			if have := files[f.Shasum]; have == nil {
				files[f.Shasum] = f
			} else if rnd.IntN(2) == 0 {
				have.Add(f)
			} else {
				f.Add(have)
				files[f.Shasum] = f
			}
		}
	}
	return sessions, files
}

// TestOrder: the same events, in any order and in any portions, add up to the
// same sessions and files.
func TestOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	// Whether an event came late depends on the order, as it must.
	order := cmp.Options{cmpopts.IgnoreFields(Session{}, "Suspect"), cmpopts.EquateEmpty()}
	for range 300 {
		events := someEvents(rnd, 2+rnd.IntN(25))
		sessions, files := addUp(rnd, events)
		for range 8 {
			rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			s, f := addUp(rnd, events)
			if diff := cmp.Diff(sessions, s, order); diff != "" {
				t.Fatalf("sessions differ by order:\n%s\nof\n%s", diff, strings.Join(events, "\n"))
			}
			if diff := cmp.Diff(files, f); diff != "" {
				t.Fatalf("files differ by order:\n%s\nof\n%s", diff, strings.Join(events, "\n"))
			}
		}
	}
}

// TestFileAdd says which facts of two sightings a file takes.
func TestFileAdd(t *testing.T) {
	at := func(when Time, session, filename, destfile, url string) Sighting {
		if url != "" {
			url += "://"
		}
		return Sighting{Shasum: hash1, SeenAt: when, Session: session, Filename: filename, Destfile: destfile, URL: url}
	}
	tests := []struct {
		name      string
		sightings []Sighting
		want      File
	}{
		{"one", []Sighting{at(5, "s", "f", "/d", "u")}, File{First: 5, Last: 5, Sightings: 1, Session: "s", Name: "f", NameAt: 5, URL: "u://", URLAt: 5}},
		{"nameless", []Sighting{at(5, "s", "", "", "")}, File{First: 5, Last: 5, Sightings: 1, Session: "s", NameAt: NoTime, URLAt: NoTime}},
		{"earliest", []Sighting{at(5, "b", "f5", "", "u5"), at(3, "c", "f3", "", "u3"), at(9, "a", "f9", "", "u9")},
			File{First: 3, Last: 9, Sightings: 3, Session: "c", Name: "f3", NameAt: 3, URL: "u3://", URLAt: 3}},
		{"earliest that has one", []Sighting{at(3, "s3", "", "", ""), at(5, "s5", "", "/tmp/d5", ""), at(9, "s9", "f9", "", "u9")},
			File{First: 3, Last: 9, Sightings: 3, Session: "s3", Name: "d5", NameAt: 5, URL: "u9://", URLAt: 9}},
		{"same instant", []Sighting{at(5, "b", "g", "", "v"), at(5, "a", "h", "", "w")},
			File{First: 5, Last: 5, Sightings: 2, Session: "a", Name: "g", NameAt: 5, URL: "v://", URLAt: 5}},
		{"without a time", []Sighting{at(NoTime, "a", "a", "", "a"), at(5, "b", "b", "", "b")},
			File{First: 5, Last: 5, Sightings: 2, Session: "b", Name: "b", NameAt: 5, URL: "b://", URLAt: 5}},
		{"all without a time", []Sighting{at(NoTime, "b", "b", "", ""), at(NoTime, "a", "a", "", "")},
			File{First: NoTime, Last: NoTime, Sightings: 2, Session: "a", Name: "a", NameAt: NoTime, URLAt: NoTime}},
		// The earliest belongs to no session: those that do must not depend on
		// which of them came first.
		{"no session at first", []Sighting{at(1, "", "", "", ""), at(5, "x", "", "", ""), at(3, "y", "", "", "")},
			File{First: 1, Last: 5, Sightings: 3, NameAt: NoTime, URLAt: NoTime}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Shasum = hash1
			permute(tt.sightings, func(order []Sighting) {
				f := NewFile(&order[0])
				for i := range order[1:] {
					f.Add(NewFile(&order[i+1]))
				}
				if diff := cmp.Diff(&tt.want, f); diff != "" {
					t.Errorf("%+v\n%s", order, diff)
				}
			})
		})
	}
}

// permute calls f with every order of s.
func permute(s []Sighting, f func([]Sighting)) {
	var from func(i int)
	from = func(i int) {
		if i == len(s) {
			f(s)
			return
		}
		for j := i; j < len(s); j++ {
			s[i], s[j] = s[j], s[i]
			from(i + 1)
			s[i], s[j] = s[j], s[i]
		}
	}
	from(0)
}
