package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cowrie"
)

// timeFlag is a flag that takes a point in time.
type timeFlag struct{ t cowrie.Time }

const timeHelp = `2026-03-28, 2026-03-28T12:00:00Z, or how long ago: 90m, 24h, 7d, 4w`

func newTimeFlag(cmd *cobra.Command, name, help string) *timeFlag {
	f := &timeFlag{cowrie.NoTime}
	cmd.Flags().Var(f, name, help+" ("+timeHelp+")")
	return f
}

func (f *timeFlag) String() string { return "" }
func (f *timeFlag) Type() string   { return "time" }

var ago = regexp.MustCompile(`^(\d{1,5})([smhdw])$`)

func (f *timeFlag) Set(s string) error {
	if m := ago.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour,
			"d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
		f.t = cowrie.FromStd(time.Now().Add(-time.Duration(n) * unit))
		return nil
	}
	for _, text := range []string{s, s + "T00:00:00", s + ":00"} {
		if t, ok := cowrie.ParseTime([]byte(text)); ok {
			f.t = t
			return nil
		}
	}
	return fmt.Errorf("%q is no time: use %s", s, timeHelp)
}

// sizeFlag is a flag that takes a number of bytes.
type sizeFlag struct{ n int64 }

func newSizeFlag(cmd *cobra.Command, name string, value int64, help string) *sizeFlag {
	f := &sizeFlag{value}
	cmd.Flags().Var(f, name, help+" (bytes, or such as 64K, 10M, 2G)")
	return f
}

func (f *sizeFlag) Type() string { return "size" }

func (f *sizeFlag) String() string {
	n, unit := f.n, ""
	for i := 0; n > 0 && n%1024 == 0 && i < 3; i++ {
		n, unit = n/1024, "KMG"[i:i+1]
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n, unit)
}

func (f *sizeFlag) Set(s string) error {
	var n int64
	var unit string
	fmt.Sscanf(s, "%d%s", &n, &unit)
	shift := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	bits, ok := shift[strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(unit), "B"), "I")]
	if !ok || n <= 0 || n > (1<<62)>>bits || fmt.Sprint(n) != strings.TrimRight(s, "KMGTBIkmgtbi") {
		return fmt.Errorf("%q is no size: use bytes, or such as 64K, 10M, 2G (powers of 1,024)", s)
	}
	f.n = n << bits
	return nil
}
