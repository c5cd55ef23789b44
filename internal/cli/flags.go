package cli

import (
	"fmt"
	"regexp"
	"strconv"
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
