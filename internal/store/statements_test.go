package store

import (
	"errors"
	"slices"
	"testing"
)

// TestAside: what is run aside is run in order, and nothing behind what failed: that one may have
// undone the transaction, and what came behind it would be for good.
func TestAside(t *testing.T) {
	t.Parallel()
	var s aside
	if err := s.wait(); err != nil {
		t.Errorf("nothing was run: %v", err)
	}
	var ran []int
	job := func(n int, err error) func() error {
		return func() error {
			ran = append(ran, n)
			return err
		}
	}
	for n := range 3 * mostJobs {
		s.run(job(n, nil))
	}
	if err := s.wait(); err != nil || !slices.IsSorted(ran) || len(ran) != 3*mostJobs {
		t.Errorf("it ran %v: %v", ran, err)
	}
	ran = nil
	fault := errors.New("a fault")
	done := []<-chan struct{}{s.run(job(1, nil)), s.run(job(2, fault)), s.run(job(3, errors.New("another"))), s.run(job(4, nil))}
	for _, d := range done {
		<-d
	}
	for range 2 {
		if err := s.wait(); err != fault || !slices.Equal(ran, []int{1, 2}) {
			t.Errorf("it ran %v: %v", ran, err)
		}
	}
	s.end()
	(&aside{}).end()
}
