package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"midden/internal/store"
)

// TestLockFileRemoved: a lock on a file that is not the lock's file any more is
// none, even if there is another one under its name.
func TestLockFileRemoved(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first := open()
	if removed(first, name) || removed(open(), name) {
		t.Error("it is there")
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if !removed(first, name) {
		t.Error("it is gone")
	}
	second := open()
	if !removed(first, name) || removed(second, name) {
		t.Error("there is another one")
	}
}

// TestHoldByAnotherName: a database has one lock, whatever it is called.
func TestHoldByAnotherName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a.db"), filepath.Join(t.TempDir(), "b.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	release, err := hold(link, store.Maintenance, "test")
	if err != nil {
		t.Fatal(err)
	}
	var held *store.HeldError
	if _, err := hold(path, store.Maintenance, "test"); !errors.As(err, &held) {
		t.Errorf("got %v", err)
	}
	release()
	again, err := hold(path, store.Maintenance, "test")
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestHoldFollowsNoLink: a link in the place of the lock leads nowhere.
func TestHoldFollowsNoLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "a.db"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path+"-maintenance"); err != nil {
		t.Fatal(err)
	}
	if release, err := hold(path, store.Maintenance, "test"); err == nil {
		release()
		t.Error("a link passes for a lock")
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}
