package cowrie

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustTime(t testing.TB, s string) Time {
	t.Helper()
	std, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return Time(std.UnixMicro())
}

func TestParseTime(t *testing.T) {
	tests := []struct{ in, want string }{ // want "" is no time
		{"2018-05-14T00:06:12.960938Z", "2018-05-14T00:06:12.960938Z"},
		{"2018-05-14T00:06:12Z", "2018-05-14T00:06:12.000000Z"},
		{"2018-05-14T00:06:12z", "2018-05-14T00:06:12.000000Z"},
		{"2018-05-14T00:06:12", "2018-05-14T00:06:12.000000Z"},
		{"2018-05-14 00:06:12", "2018-05-14T00:06:12.000000Z"},
		{"2018-05-14 00:06:12.5", "2018-05-14T00:06:12.500000Z"},
		{"2018-05-14T00:06:12.960938", "2018-05-14T00:06:12.960938Z"},
		{"2020-01-01T00:00:00.000000+0000", "2020-01-01T00:00:00.000000Z"},
		{"2020-01-01T00:00:00.000000-0000", "2020-01-01T00:00:00.000000Z"},
		{"2020-01-01T01:00:00.000001+0200", "2019-12-31T23:00:00.000001Z"},
		{"2020-01-01T01:00:00.000001+02:00", "2019-12-31T23:00:00.000001Z"},
		{"2019-12-31T19:00:00-0530", "2020-01-01T00:30:00.000000Z"},
		{"2019-12-31T19:00:00-05:30", "2020-01-01T00:30:00.000000Z"},
		{"2020-01-01T00:00:00+2359", "2019-12-31T00:01:00.000000Z"},
		{"2020-01-01T00:00:00.1Z", "2020-01-01T00:00:00.100000Z"},
		{"2020-01-01T00:00:00.123456789Z", "2020-01-01T00:00:00.123456Z"},
		{"2020-01-01T00:00:00.9999999Z", "2020-01-01T00:00:00.999999Z"},
		{"2020-01-01T00:00:00." + strings.Repeat("1", 40) + "Z", "2020-01-01T00:00:00.111111Z"},
		{"2020-02-29T00:00:00Z", "2020-02-29T00:00:00.000000Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"},
		{"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
		{"2099-12-31T23:59:59Z", "2099-12-31T23:59:59.000000Z"},
		// A leap second is the beginning of the next minute.
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"},
		{"2016-12-31T23:59:60.25Z", "2017-01-01T00:00:00.250000Z"},
		{"2020-01-01T00:00:60Z", "2020-01-01T00:01:00.000000Z"},
		// The bounds.
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"},
		{"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
		{"0001-01-01T00:00:00+0001", ""},
		{"9999-12-31T23:59:59-0001", ""},
		{"9999-12-31T23:59:60Z", ""},
		{"0000-12-31T00:00:00Z", ""},
		{"0000-12-31T23:59:59-0001", ""},

		{"2020-00-01T00:00:00Z", ""}, {"2020-13-01T00:00:00Z", ""}, {"2020-01-00T00:00:00Z", ""}, {"2020-01-32T00:00:00Z", ""},
		{"2020-02-30T00:00:00Z", ""}, {"2019-02-29T00:00:00Z", ""}, {"1900-02-29T00:00:00Z", ""}, {"2020-04-31T00:00:00Z", ""},
		{"2020-01-01T24:00:00Z", ""}, {"2020-01-01T00:60:00Z", ""}, {"2020-01-01T00:00:61Z", ""},
		{"12020-01-01T00:00:00Z", ""}, {"+2020-01-01T00:00:00Z", ""}, {"-020-01-01T00:00:00Z", ""},
		{"2020-01-01T00:00:00+2400", ""}, {"2020-01-01T00:00:00+0060", ""}, {"2020-01-01T00:00:00+02", ""}, {"2020-01-01T00:00:00+2", ""},
		{"2020-01-01T00:00:00+02:0", ""}, {"2020-01-01T00:00:00+020:0", ""}, {"2020-01-01T00:00:00+02000", ""}, {"2020-01-01T00:00:00+ab:cd", ""}, {"2020-01-01T00:00:00+ab00", ""},
		{"2020-01-01T00:00:00.Z", ""}, {"2020-01-01T00:00:00.", ""}, {"2020-01-01T00:00:00,5Z", ""}, {"2020-01-01T00:00:00ZZ", ""}, {"2020-01-01T00:00:00Z ", ""},
		{" 2020-01-01T00:00:00Z", ""}, {"2020-01-01T00:00:00 UTC", ""}, {"2020-01-01t00:00:00Z", ""}, {"2020-01-01_00:00:00Z", ""}, {"2020/01/01T00:00:00Z", ""},
		{"2020-01-01T00.00.00Z", ""}, {"2020-01-01", ""}, {"2020-01-01T00:00", ""}, {"2020-1-1T00:00:00.000Z", ""}, {"20a0-01-01T00:00:00Z", ""}, {"2020-01-01T0\x00:00:00Z", ""},
		{"", ""}, {"unknown", ""}, {"1577836800", ""}, {strings.Repeat("9", 1000), ""}, {"２０２０-01-01T00:00:00Z", ""},
	}
	for _, tt := range tests {
		got, ok := ParseTime([]byte(tt.in))
		if got.String() != tt.want || ok != (tt.want != "") || ok != (got != NoTime) {
			t.Errorf("ParseTime(%q) = %v, %v, want %q", tt.in, got, ok, tt.want)
		}
	}
}

// randomTime returns a time of the years 1 to 9999.
func randomTime(rnd *rand.Rand) Time {
	switch rnd.IntN(4) {
	case 0: // about a turn of the year
		year := 1 + rnd.IntN(9998)
		return Time(time.Date(year, 12, 31, 23, 59, 59, 999999000, time.UTC).UnixMicro() + rnd.Int64N(3) - 1)
	case 1: // about the end of February
		year := 1 + rnd.IntN(9998)
		return Time(time.Date(year, 2, 28, 0, 0, 0, 0, time.UTC).UnixMicro() + rnd.Int64N(3*86400*1e6))
	}
	return MinTime + Time(rnd.Int64N(int64(MaxTime-MinTime)))
}

// TestParseTimeRoundTrip holds ParseTime to package time.
func TestParseTimeRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	layouts := []string{"2006-01-02T15:04:05.000000Z07:00", "2006-01-02T15:04:05.999999Z0700", "2006-01-02 15:04:05.000000-0700", "2006-01-02T15:04:05.000000000-07:00"}
	for range 20000 {
		want := randomTime(rnd)
		std := time.UnixMicro(int64(want)).UTC()
		if got := want.Std(); !got.Equal(std) {
			t.Fatalf("Std of %d = %v, want %v", want, got, std)
		}
		if got := want.String(); got != std.Format("2006-01-02T15:04:05.000000Z") {
			t.Fatalf("String of %v = %q", std, got)
		}
		if got := want.SQL(); got != std.Format("2006-01-02 15:04:05.000000") {
			t.Fatalf("SQL of %v = %q", std, got)
		}
		offset := (rnd.IntN(2*24*60-1) - 24*60 + 1) * 60
		local := std.In(time.FixedZone("", offset))
		if year := local.Year(); year < 1 || year > 9999 {
			continue
		}
		for _, text := range []string{want.String(), want.SQL(), local.Format(layouts[rnd.IntN(len(layouts))])} {
			if got, ok := ParseTime([]byte(text)); !ok || got != want {
				t.Fatalf("ParseTime(%q) = %v, want %v", text, got, want)
			}
		}
	}
}

// TestParseTimeDays takes every day of some centuries.
func TestParseTimeDays(t *testing.T) {
	for _, from := range []int{1, 1899, 1970, 2000, 9900} {
		day := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 36500 {
			d := day.AddDate(0, 0, i)
			if d.Year() > 9999 {
				break
			}
			text := d.Format("2006-01-02T15:04:05Z")
			if got, ok := ParseTime([]byte(text)); !ok || got != Time(d.UnixMicro()) {
				t.Fatalf("ParseTime(%q) = %v", text, got)
			}
		}
		for month := 1; month <= 12; month++ {
			for d := 28; d <= 32; d++ {
				text := fmt.Sprintf("%04d-%02d-%02dT00:00:00Z", from, month, d)
				_, err := time.Parse(time.RFC3339, text)
				if _, ok := ParseTime([]byte(text)); ok != (err == nil) {
					t.Errorf("ParseTime(%q): %v, package time: %v", text, ok, err)
				}
			}
		}
	}
}

func TestTimeTextSorts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	times := []Time{NoTime, MinTime, MaxTime}
	for range 3000 {
		times = append(times, randomTime(rnd))
	}
	slices.Sort(times)
	if !slices.IsSortedFunc(times, func(a, b Time) int { return strings.Compare(a.String(), b.String()) }) {
		t.Error("String does not sort like the times")
	}
	if !slices.IsSortedFunc(times, func(a, b Time) int { return strings.Compare(a.SQL(), b.SQL()) }) {
		t.Error("SQL does not sort like the times")
	}
}

func TestNoTime(t *testing.T) {
	if NoTime.String() != "" || NoTime.SQL() != "" || !NoTime.Std().IsZero() || FromStd(time.Time{}) != NoTime {
		t.Errorf("NoTime is written %q, %q, %v; the zero time is %v", NoTime.String(), NoTime.SQL(), NoTime.Std(), FromStd(time.Time{}))
	}
	std := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 3600))
	if got := FromStd(std).String(); got != "2024-05-06T06:08:09.123456Z" {
		t.Errorf("FromStd(%v) = %v", std, got)
	}
	tests := []struct{ a, b, want Time }{{NoTime, NoTime, NoTime}, {NoTime, 1, 1}, {1, NoTime, 1}, {2, 1, 1}, {-5, 1, -5}}
	for _, tt := range tests {
		if got := Earliest(tt.a, tt.b); got != tt.want {
			t.Errorf("Earliest(%d, %d) = %d", tt.a, tt.b, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2018-05-14T00:06:12.960938Z", "2020-01-01 00:00:00+0200", "2016-12-31T23:59:60.5-05:30", "x", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTime([]byte(s))
		if ok != (got != NoTime) {
			t.Fatalf("ParseTime(%q) = %d, %v", s, got, ok)
		}
		// Whatever it reads is written in a form that reads the same again.
		if again, _ := ParseTime([]byte(got.String())); ok && again != got {
			t.Fatalf("ParseTime(%q) = %v, read again: %v", s, got, again)
		}
		// What package time reads is read the same, where it is one of our forms.
		std, err := time.Parse("2006-01-02T15:04:05Z", s)
		if err == nil && std.Year() > 0 && s[13] == ':' && !strings.Contains(s, ",") && (!ok || got != Time(std.UnixMicro())) {
			t.Fatalf("ParseTime(%q) = %v, package time: %v", s, got, std)
		}
	})
}

func TestTimeJSON(t *testing.T) {
	type times struct{ A, B Time }
	in := times{mustTime(t, "2026-03-28T12:00:00.5Z"), NoTime}
	text, err := json.Marshal(in)
	if want := `{"A":"2026-03-28T12:00:00.500000Z","B":null}`; err != nil || string(text) != want {
		t.Fatalf("%s, %v; want %s", text, err, want)
	}
	var out times
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("%v, %v; want %v", out, err, in)
	}
	for _, text := range []string{`"soon"`, `""`, `17`, `{}`} {
		if err := new(Time).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was taken for a time", text)
		}
	}
}
