package telemetry

import (
	"testing"
	"time"
)

func TestRateOverWindow(t *testing.T) {
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	m := newMeter(start)
	expect := func(s, want float64) {
		t.Helper()
		if got := m.at(at(s)).bytes; got < want*0.999 || got > want*1.001 {
			t.Errorf("after %g s: %g a second, want %g", s, got, want)
		}
	}
	expect(0, 0)
	bytes := int64(0)
	for i := 1; i <= 40; i++ { // 100 a second for 20 s
		bytes += 50
		m.add(at(float64(i)/2), Counts{BytesDone: bytes})
	}
	expect(20, 100)
	for i := 1; i <= 40; i++ { // 1,000 a second for 20 s
		bytes += 500
		m.add(at(20+float64(i)/2), Counts{BytesDone: bytes})
		if i == 10 {
			expect(25, 550) // half of the window
		}
	}
	expect(40, 1000)
	expect(45, 500) // nothing since
	expect(51, 0)
	if n := len(m.samples); n > 1 {
		t.Errorf("%d samples are kept", n)
	}
}

func TestRateOfManyUpdates(t *testing.T) {
	m := newMeter(start)
	for i := range int64(100_000) { // one a millisecond
		m.add(start.Add(time.Duration(i+1)*time.Millisecond), Counts{Lines: i + 1, Events: 2 * (i + 1)})
	}
	if n, most := len(m.samples), int(window/spacing)+2; n > most {
		t.Errorf("%d samples are kept, want at most %d", n, most)
	}
	got := m.at(start.Add(100 * time.Second))
	if got.lines < 999 || got.lines > 1001 || got.events < 1998 || got.events > 2002 {
		t.Errorf("got %+v", got)
	}
}

func TestRateWhenClockJumps(t *testing.T) {
	m := newMeter(start)
	m.add(start.Add(time.Second), Counts{BytesDone: 1000})
	back := start.Add(-24 * time.Hour)
	m.add(back, Counts{BytesDone: 2000})
	if got := m.at(back).bytes; got != 0 {
		t.Errorf("at the jump: %g", got)
	}
	m.add(back.Add(2*time.Second), Counts{BytesDone: 2200})
	if got := m.at(back.Add(2 * time.Second)).bytes; got != 100 {
		t.Errorf("after the jump: %g", got)
	}
	if got := m.at(start.AddDate(-10, 0, 0)).bytes; got != 0 {
		t.Errorf("before all samples: %g", got)
	}
	m.add(back.Add(4*time.Second), Counts{BytesDone: 5})
	if got := m.at(back.Add(4 * time.Second)).bytes; got != 0 {
		t.Errorf("counts that shrank: %g", got)
	}
}

func TestETA(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		rate        float64
		want        time.Duration
		known       bool
	}{
		{50, 150, 10, 10 * time.Second, true},
		{150, 150, 0, 0, true},
		{200, 150, 10, 0, true},
		{50, 0, 10, 0, false},
		{50, 150, 0, 0, false},
		{0, 1 << 60, 0.001, 0, false},
	} {
		got, known := Counts{BytesDone: c.done, BytesTotal: c.total}.eta(c.rate)
		if got != c.want || known != c.known {
			t.Errorf("%d of %d at %g: %s, %t", c.done, c.total, c.rate, got, known)
		}
	}
}
