package bench

import (
	"testing"
	"time"
)

func TestAnswersDiffer(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	file := droppedFile{"aa", 3, at, at.Add(time.Hour)}
	a := answer{[]droppedFile{file}, []string{"s1", "s2"}}

	// jq prints times as the logs have them, DuckDB with all digits.
	printed := program{name: "printf", args: []string{"aa\t3\t2026-01-02T03:04:05.6Z\t2026-01-02T04:04:05.600000Z\n"}}
	got, err := runs{}.answersAsText(t.Context(), printed, program{name: "printf", args: []string{"s1\ns2\n"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.differs(got); err != nil {
		t.Error(err)
	}

	other := func(change func(*droppedFile)) answer {
		f := file
		change(&f)
		return answer{[]droppedFile{f}, a.sessions}
	}
	for name, b := range map[string]answer{
		"hash":          other(func(f *droppedFile) { f.shasum = "ab" }),
		"count":         other(func(f *droppedFile) { f.count++ }),
		"first":         other(func(f *droppedFile) { f.first = f.first.Add(time.Microsecond) }),
		"last":          other(func(f *droppedFile) { f.last = f.last.Add(time.Microsecond) }),
		"fewer files":   {nil, a.sessions},
		"a session":     {a.files, []string{"s1", "s3"}},
		"more sessions": {a.files, []string{"s1", "s2", "s2"}},
	} {
		if err := a.differs(b); err == nil {
			t.Errorf("%s: not told", name)
		}
	}
	if err := (answer{}).differs(answer{}); err == nil {
		t.Error("nothing was compared, and nobody was told")
	}
}
