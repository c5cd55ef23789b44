package copy

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

// TestPosition writes keys as JSON and reads them again.
func TestPosition(t *testing.T) {
	t.Parallel()
	for _, p := range []position{nil, {int64(math.MinInt64)}, {"", "\x00\xff\"", "é"}, {[]byte{0, 0xff}, []byte{}},
		{cowrie.Time(0), cowrie.Time(-62135596800e6), int64(7), "x"}} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back position
		if err := json.Unmarshal(text, &back); err != nil || !cmp.Equal([]any(p), []any(back)) {
			t.Errorf("%#v comes back as %#v from %s, %v", p, back, text, err)
		}
	}
	for _, text := range []string{`[""]`, `["x1"]`, `["i"]`, `["s!"]`, `["tnow"]`, `[1]`, `{}`} {
		var p position
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("%s is read as %#v", text, p)
		}
	}
}
