package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/store/migrate"
)

// Version is the version of the program; the build sets it.
var Version = "dev"

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which midden this is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			commit := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						commit = s.Value
					}
				}
			}
			return render.Record(a.stdout, a.format, []render.Field{
				{Name: "version", Value: Version},
				{Name: "commit", Value: commit},
				{Name: "go", Value: runtime.Version()},
				{Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH},
				{Name: "schema_version", Kind: render.Int, Value: migrate.Latest},
			})
		},
	}
}
