package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/config"
	"midden/internal/store"
	"midden/internal/store/postgres"
	"midden/internal/telemetry"
)

// Exit codes.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitPartial   = 3 // dead letters or unreadable inputs; the rest is committed
	exitLocked    = 4
	exitDiffers   = 5 // a check found a difference
	exitQuota     = 6 // only quota is missing
	exitSchema    = 7
	exitTryLater  = 75 // the database server could not be reached
	exitInterrupt = 130
	exitTerminate = 143
)

// exit is an error that asks for an exit code. Without a message it only does that.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

// app is what the commands share.
type app struct {
	stdout, stderr io.Writer
	db             string
	configFile     string
	config         *config.Config // of a command that needsConfig
	output         string
	format         render.Format
	verbose        int
	quiet          bool
	jsonLog        bool
	log            *slog.Logger
}

// stopSignal is why the context of the program ended.
type stopSignal struct{ os.Signal }

func (s stopSignal) Error() string        { return s.String() }
func (s stopSignal) Is(target error) bool { return target == context.Canceled }

// Signals returns a context that SIGINT and SIGTERM end. A second signal ends the
// program at once.
func Signals() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals)
		cancel(stopSignal{s})
	}()
	return ctx
}

// Main runs the program, in the context of Signals, and returns its exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// Whoever reads the output may stop: that is an error of writing, and no
	// signal that ends the program.
	signal.Ignore(syscall.SIGPIPE)

	a := &app{stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		var by stopSignal
		if errors.As(context.Cause(ctx), &by) && by.Signal == syscall.SIGTERM {
			return exitTerminate
		}
		return exitInterrupt
	}
	if code != exitDone && err.Error() != "" {
		fmt.Fprintf(stderr, "midden: %s\n", render.Escape(err.Error()))
	}
	return code
}

func exitCode(err error) int {
	var e *exit
	var schema *store.SchemaError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	case errors.As(err, &schema):
		return exitSchema
	case errors.Is(err, store.ErrLocked):
		return exitLocked
	case errors.Is(err, store.ErrUnavailable):
		return exitTryLater
	case errors.Is(err, syscall.EPIPE):
		return exitDone // whoever read the output has seen enough
	}
	return exitFailed
}

// root returns the command tree.
func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "midden",
		Short: "Keeps what Cowrie honeypots leave behind",
		Long: `midden reads the logs of Cowrie honeypots into a database: every event, one row
for each session, and one row for each file that attackers dropped, with all its
sightings. It answers from the database instead of scanning the logs.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("there is no command %q; see \"midden --help\"", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if a.format, err = render.ParseFormat(a.output, furtherForms(cmd)...); err != nil {
				return &exit{exitUsage, err}
			}
			a.log = telemetry.NewLogger(a.stderr, a.level(), a.jsonLog)
			for _, name := range []string{"db", "from", "to"} {
				if f := cmd.Flags().Lookup(name); f != nil && postgres.Is(f.Value.String()) && postgres.HasPassword(f.Value.String()) {
					a.log.Warn("other users of this machine can read the password in --" + name + ": write it into ~/.pgpass or PGPASSWORD")
				}
			}
			if needsConfig(cmd) {
				return a.configure()
			}
			return nil
		},
	}
	cmd.SetOut(a.stdout)
	cmd.SetErr(a.stderr)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see \"%s --help\"", err, cmd.CommandPath())
	})
	flags := cmd.PersistentFlags()
	flags.StringVar(&a.db, "db", "", "database: a path, sqlite:PATH or postgres://USER@HOST/NAME (default $MIDDEN_DB, or db of the configuration file, or midden.db)")
	flags.StringVar(&a.configFile, "config", "", "configuration file (default $MIDDEN_CONFIG, or midden.toml if there is one)")
	flags.StringVarP(&a.output, "output", "o", "table", "form of the data on standard output: table, json, jsonl or csv")
	flags.CountVarP(&a.verbose, "verbose", "v", "say more on standard error")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but errors on standard error")
	flags.BoolVar(&a.jsonLog, "log-json", false, "log as JSON lines")
	cmd.AddCommand(a.loadCmd(), a.filesCmd(), a.sessionsCmd(), a.eventsCmd(), a.deadLettersCmd(),
		a.migrateCmd(), a.backfillCmd(), a.verifyCmd(), a.compactCmd(), a.copyCmd(), a.retainCmd(), a.scanCmd(), a.enrichCmd(), a.elasticCmd(), a.quotaCmd(), a.cacheCmd(), a.reportCmd(), a.doctorCmd(), a.synthCmd(), a.versionCmd())
	return cmd
}

func (a *app) level() slog.Level {
	switch {
	case a.quiet:
		return slog.LevelError
	case a.verbose > 0:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// hint says something helpful on standard error, unless asked to be quiet.
func (a *app) hint(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintln(a.stderr, render.Escape(fmt.Sprintf(format, args...)))
	}
}

// open opens the database.
func (a *app) open(ctx context.Context, create, write bool) (*store.Store, error) {
	at, err := theDatabase(a.db, os.Getenv)
	if err != nil {
		return nil, err
	}
	db, err := at.open(ctx, create, write)
	if err == nil {
		db.Waiting = func(since time.Duration) {
			a.log.Warn("waiting: another process is writing to the database", "for", since.Round(time.Second))
		}
	}
	return db, err
}

// openToWrite opens the database for a command that stores something, with
// enrichment in the open or in the shadow.
func (a *app) openToWrite(ctx context.Context, create bool) (*store.Store, error) {
	db, err := a.open(ctx, create, true)
	if err != nil {
		return nil, err
	}
	on, set, _ := a.config.UseNewEnrichment(os.Getenv)
	if err := db.Stage(ctx, on, set); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// openToRead opens the database for a command that answers from it.
func (a *app) openToRead(ctx context.Context) (*store.Store, error) {
	return a.open(ctx, false, false)
}

// openFor opens the database to write or to read.
func (a *app) openFor(ctx context.Context, write bool) (*store.Store, error) {
	if write {
		return a.openToWrite(ctx, false)
	}
	return a.openToRead(ctx)
}

// noArgs and oneArg check how many arguments there are.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("%s takes no arguments, but was given %q; see \"%[1]s --help\"", cmd.CommandPath(), args[0])
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("%s takes %s; see \"%[1]s --help\"", cmd.CommandPath(), what)
		}
		return nil
	}
}

// group returns a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("there is no command \"%s %s\"; see \"%[1]s --help\"", cmd.CommandPath(), args[0])
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(children...)
	return cmd
}
