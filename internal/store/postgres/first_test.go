package postgres_test

import (
	"testing"

	"midden/internal/store"
	"midden/internal/store/postgres"
	"midden/internal/store/postgres/pgtest"
)

func TestFirst(t *testing.T) {
	url := pgtest.Shared(t).Database(t)
	s, err := postgres.Open(t.Context(), url, postgres.Options{Write: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Doctor(t.Context(), true, store.Staging{On: true}, func(c store.Check) error {
		t.Log(c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
