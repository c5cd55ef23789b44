package enrich

import (
	"context"
	"sync"
)

// Asking is a source, and how it is asked.
type Asking struct {
	Source  Source
	Options Options
}

// Result is what came of asking a source.
type Result struct {
	Source string
	Summary
	Err error // why the run ended before all was asked; nil if it did not
}

// All asks several sources, each as Run does. One that spares another requests is
// asked before it. None waits for one that does not answer, and one that fails ends
// no other.
func All(ctx context.Context, db Store, list []Asking) []Result {
	results := make([]Result, len(list))
	runs := make([]*running, len(list))
	var first, then []int
	for i, a := range list {
		runs[i] = &running{Options: a.Options, db: db, source: a.Source}
		if len(a.Options.Spares) > 0 {
			first = append(first, i)
		} else {
			then = append(then, i)
		}
	}
	ask := func(which []int) {
		var wait sync.WaitGroup
		for _, i := range which {
			wait.Go(func() {
				sum, err := runs[i].end(ctx)
				results[i] = Result{list[i].Source.Name(), sum, err}
				if err != nil && ctx.Err() == nil && list[i].Options.Follow {
					list[i].Options.Log.Error("not asked any more", "source", list[i].Source.Name(), "error", err)
				}
			})
		}
		wait.Wait()
	}
	follow := false
	for _, i := range then {
		follow = follow || list[i].Options.Follow
	}
	if !follow {
		ask(first)
		ask(then)
		return results
	}
	// Nobody ends: each file goes from the one to the other.
	for _, i := range then {
		runs[i].After = func() (names []string) {
			for _, f := range first {
				if runs[f].answers(list[i].Source.Name()) {
					names = append(names, list[f].Source.Name())
				}
			}
			return names
		}
	}
	ask(append(first, then...))
	return results
}
