package plain

import (
	"math"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 10 << 10: "10 KiB",
		10189: "10 KiB", 1<<20 - 1: "1.0 MiB", 180 << 20: "180 MiB", 39 << 30: "39 GiB",
		-1536: "-1.5 KiB", math.MaxInt64: "8.0 EiB", math.MinInt64: "-8.0 EiB",
	} {
		if got := Bytes(in); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", in, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0s", 350 * time.Millisecond: "350ms", 999600 * time.Microsecond: "1s",
		12340 * time.Millisecond: "12.3s", 59960 * time.Millisecond: "1m0s",
		200 * time.Second: "3m20s", 3723 * time.Second: "1h2m3s", 3599600 * time.Millisecond: "1h0m0s",
		51*time.Hour + 4*time.Minute: "2d3h4m", -200 * time.Second: "-3m20s",
		math.MinInt64: "-106751d23h47m",
	} {
		if got := Duration(in); got != want {
			t.Errorf("Duration(%d) = %s, want %s", in, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(in); got != want {
			t.Errorf("Count(%d) = %s, want %s", in, got, want)
		}
	}
}
