package cli

import (
	"context"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"midden/internal/cli/render"
	"midden/internal/cowrie"
	"midden/internal/store"
)

func (a *app) sessionsCmd() *cobra.Command {
	return group("sessions", "The connections that attackers made", a.sessionsListCmd(), a.sessionsShowCmd())
}

func (a *app) sessionsListCmd() *cobra.Command {
	var q store.SessionFilter
	var file string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List sessions, the newest first",
		Example: `  midden sessions list --since 24h --files
  midden sessions list --command 'wget*'
  midden sessions list --file 8a68d1c0`,
		Args: noArgs,
	}
	since := newTimeFlag(cmd, "since", "begun at this time or later")
	until := newTimeFlag(cmd, "until", "begun before this time")
	f := cmd.Flags()
	f.StringVar(&q.Sensor, "sensor", "", "on this sensor")
	f.StringVar(&q.SrcIP, "src-ip", "", "from this address")
	f.StringVar(&q.Protocol, "protocol", "", "ssh or telnet")
	f.StringVar(&file, "file", "", "in which this file was seen: its SHA-256, or the beginning of it")
	f.StringVar(&q.Command, "command", "", "in which a command was typed: part of it, or a pattern with * and ?")
	f.StringVar(&q.Username, "username", "", "that logged in as this user")
	f.StringVar(&q.Password, "password", "", "that logged in with this password")
	f.BoolVar(&q.Files, "files", false, "only with files")
	f.BoolVar(&q.Flagged, "flagged", false, "only with files that an engine flags")
	f.BoolVar(&q.Commands, "commands", false, "only with commands")
	f.IntVarP(&q.Limit, "limit", "n", 50, "how many at the most; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q.Since, q.Until = since.t, until.t
		return a.sessionsList(cmd.Context(), q, file)
	}
	return cmd
}

var sessionColumns = []render.Column{
	{Name: "session_id", Title: "SESSION"},
	{Name: "first_event_at", Title: "FIRST EVENT", Kind: render.Time},
	{Name: "last_event_at", Kind: render.Time, OnlyData: true},
	{Name: "duration_ms", OnlyData: true, Kind: render.Int},
	{Name: "sensor"},
	{Name: "src_ip", Title: "ADDRESS"},
	{Name: "protocol", Title: "PROTO"},
	{Name: "event_count", Title: "EVENTS", Kind: render.Int},
	{Name: "login_attempts", Title: "LOGINS", Kind: render.Int},
	{Name: "login_successes", Kind: render.Int, OnlyData: true},
	{Name: "command_count", Title: "COMMANDS", Kind: render.Int},
	{Name: "file_downloads", Title: "DOWNLOADS", Kind: render.Int},
	{Name: "file_uploads", Title: "UPLOADS", Kind: render.Int},
	{Name: "failed_transfers", Title: "FAILED", Kind: render.Int},
	{Name: "username", Optional: true},
	{Name: "password", Optional: true},
	{Name: "login_at", Kind: render.Time, OnlyData: true},
	{Name: "client_version", Title: "CLIENT", Optional: true},
	{Name: "hassh", OnlyData: true},
	{Name: "shared_id", Kind: render.Bool, OnlyData: true},
	{Name: "flagged_files", Title: "FLAGGED", Kind: render.Int, OnlyData: true},
}

func sessionValues(s *store.Session) []any {
	var duration *int64
	if s.Duration >= 0 {
		duration = &s.Duration
	}
	var user, password *string
	if s.LoginSuccesses > 0 {
		user, password = &s.Username, &s.Password
	}
	return []any{s.ID, s.First.Std(), s.Last.Std(), duration, text(s.Sensor), text(s.SrcIP), text(s.Protocol),
		s.Events, s.LoginAttempts, s.LoginSuccesses, s.Commands, s.Downloads, s.Uploads, s.FailedTransfers,
		user, password, s.LoginAt.Std(), text(s.ClientVersion), text(s.HASSH), s.SharedID, s.FlaggedFiles}
}

func (a *app) sessionsList(ctx context.Context, q store.SessionFilter, file string) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if file != "" {
		f, err := db.FindFile(ctx, file)
		if err != nil {
			return err
		}
		q.Shasum = f.Shasum
	}
	out := render.New(a.stdout, a.format, sessionColumns)
	n := 0
	err = db.Sessions(ctx, q, func(s *store.Session) error {
		n++
		return out.Row(sessionValues(s)...)
	})
	if err != nil {
		return err
	}
	a.counted(n, q.Limit, "session")
	return out.Close()
}

func (a *app) sessionsShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show SESSION",
		Short:   "Show a session: its logins, commands and files, in order",
		Example: "  midden sessions show 2e93710ba82b",
		Args:    oneArg("the id of one session"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.sessionsShow(cmd.Context(), args[0])
		},
	}
}

var transcriptColumns = []render.Column{
	{Name: "timestamp", Title: "TIME", Kind: render.Time},
	{Name: "what"},
	{Name: "detail", Kind: render.URL, Optional: true},
	{Name: "shasum", Title: "FILE", Kind: render.Hash, Optional: true},
	{Name: "eventid", OnlyData: true},
	{Name: "sensor", OnlyData: true},
}

// maxShown is how many bytes of what was typed a transcript shows as a table. There are
// events of megabytes; JSON has all of them.
const maxShown = 64 << 10

func (a *app) sessionsShow(ctx context.Context, id string) error {
	db, err := a.openToRead(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := db.Session(ctx, id)
	if err != nil {
		return err
	}
	fields := make([]render.Field, 0, len(sessionColumns)+1)
	for i, v := range sessionValues(s) {
		c := sessionColumns[i]
		fields = append(fields, render.Field{Name: c.Name, Kind: c.Kind, Value: v})
	}
	q := store.EventFilter{Session: id, Since: cowrie.NoTime, Until: cowrie.NoTime}
	if err := a.sayDropped(ctx, db, q); err != nil {
		return err
	}
	transcript := func(limit int, row func(...any) error) error {
		return db.Events(ctx, q, func(e *store.Event) error {
			what, detail := describe(&e.Event)
			if what == "" {
				return nil
			}
			if end := limit; len(detail) > end {
				for !utf8.RuneStart(detail[end]) {
					end--
				}
				detail = detail[:end] + "…"
			}
			return row(e.Time.Std(), what, text(detail), text(e.Shasum), e.ID, text(e.Sensor))
		})
	}
	if a.format == "table" {
		if err := render.Record(a.stdout, a.format, present(fields)); err != nil {
			return err
		}
		if s.SharedID {
			a.hint("events of several sensors carry this session id: they are different attackers' sessions")
		}
		fmt.Fprintln(a.stdout, "\nTranscript")
		out := render.New(a.stdout, a.format, transcriptColumns)
		if err := transcript(maxShown, out.Row); err != nil {
			return err
		}
		return out.Close()
	}
	rows, err := rowsJSON(transcriptColumns, func(row func(...any) error) error { return transcript(math.MaxInt, row) })
	if err != nil {
		return err
	}
	return render.Record(a.stdout, a.format, append(fields, render.Field{Name: "transcript", Value: rows}))
}

// describe says in a word what an event is, and what was typed or moved; ""
// for events that tell a reader of a transcript nothing.
func describe(e *cowrie.Event) (what, detail string) {
	switch e.ID {
	case "cowrie.session.connect":
		return "connect", e.SrcIP
	case "cowrie.login.success":
		return "login", e.Username + " / " + e.Password
	case "cowrie.login.failed":
		return "login failed", e.Username + " / " + e.Password
	case "cowrie.command.input":
		return "command", e.Input
	case "cowrie.command.failed":
		return "not found", e.Input
	case "cowrie.session.input":
		return "input", e.Input
	case "cowrie.session.file_download":
		if e.Shasum == "" && e.Input != "" {
			return "input", e.Input
		}
		return "download" + came(e), joined(" as ", e.URL, e.Destfile)
	case "cowrie.session.file_upload":
		return "upload" + came(e), joined(" as ", e.Filename, e.Destfile)
	case "cowrie.session.file_download.failed":
		return "download failed", e.URL
	case "cowrie.session.closed":
		return "close", ""
	}
	return "", ""
}

func came(e *cowrie.Event) string {
	if e.Shasum == "" {
		return " failed"
	}
	return ""
}

func joined(sep string, parts ...string) string {
	var have []string
	for _, p := range parts {
		if p != "" {
			have = append(have, p)
		}
	}
	return strings.Join(have, sep)
}
