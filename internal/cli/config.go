package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"midden/internal/config"
)

// configure reads the configuration file. What it sets stands in for a flag that
// was not given, if the environment does not say either.
func (a *app) configure() (err error) {
	name, from := a.configFile, "--config"
	if name == "" {
		name, from = os.Getenv("MIDDEN_CONFIG"), "MIDDEN_CONFIG"
	}
	a.config, err = config.Load(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage("%s names a file that is not there: %w", from, err)
	case err != nil:
		return &exit{exitUsage, err}
	case a.config.DB == "" || nameOfDatabase(a.db, os.Getenv) != "":
		return nil
	}
	at, err := parseDatabase(a.config.DB)
	if err != nil {
		return fmt.Errorf("%s: db: %w", a.config.Path, err)
	}
	if at.url != "" {
		a.db = at.url
		return nil
	}
	path := a.besideConfig(at.path)
	// With its scheme, since a bare path might look like another; and clean, since
	// three slashes would be SQLAlchemy's.
	a.db = "sqlite:" + filepath.Clean(path)
	return nil
}

// besideConfig returns a path that the configuration file names: a relative one is
// meant from its directory.
func (a *app) besideConfig(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(a.config.Path), path)
}

// works is an annotation of a command that has others below it and does something
// itself.
const works = "works"

// needsConfig reports whether a command depends on the configuration file. One
// that does not works beside a broken file, and says nothing of it: help is
// wanted most where something is broken, and a shell completes silently.
func needsConfig(cmd *cobra.Command) bool {
	if cmd.HasSubCommands() && cmd.Annotations[works] == "" { // prints its help
		return false
	}
	for cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	switch cmd.Name() {
	case "version", "synth", "help", "completion", cobra.ShellCompRequestCmd:
		return false
	}
	return true
}
