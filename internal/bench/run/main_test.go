package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midden/internal/bench"
)

func TestOptions(t *testing.T) {
	names := []string{"EVENTS", "ROUNDS", "RAW_EVENTS", "SIZES", "MEGABYTES", "ENTRIES", "PARTS"}
	set := func(env map[string]string) {
		for _, name := range names {
			t.Setenv(name, env[name])
		}
	}
	set(nil)
	if o, whole, err := options(); err != nil || !whole || o.Events != bench.Usual {
		t.Errorf("%+v, %v, %v", o, whole, err)
	}
	set(map[string]string{"EVENTS": "1000", "ROUNDS": "1", "SIZES": "10 20", "PARTS": "load,growth"})
	o, whole, err := options()
	want := bench.Options{Events: 1000, Rounds: 1, RawEvents: 2500, Sizes: []int{10, 20}, Megabytes: 10, Entries: 50, Parts: []string{"load", "growth"}}
	if diff := cmp.Diff(want, o, cmpopts.IgnoreFields(bench.Options{}, "Say")); err != nil || whole || diff != "" {
		t.Errorf("%v, %v, %s", whole, err, diff)
	}
	for name, wrong := range map[string]string{"EVENTS": "many", "ROUNDS": "0", "SIZES": "10,20"} {
		set(map[string]string{name: wrong})
		if _, _, err := options(); err == nil {
			t.Errorf("%s=%s was taken", name, wrong)
		}
	}
}
