package report_test

import (
	"cmp"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"midden/internal/cowrie"
	"midden/internal/report"
)

// recount makes those parts of a report that follow from the events alone, anew and plainly,
// of the lines of the logs: the test of Build.
func recount(t testing.TB, lines [][]byte, r report.Request) *report.Document {
	t.Helper()
	c := &counting{r: r, seen: map[string]bool{}, sessions: map[string]*counted{}, files: map[string]*countedFile{},
		users: map[string]int64{}, passwords: map[string]int64{}, pairs: map[[2]string]*report.Pair{},
		urls: map[string]int64{}, names: map[string]int64{}, paths: map[string]int64{}, hosts: map[string]int64{},
		days: map[string]*report.Day{}, sensors: map[string]*report.Sensor{}}
	for _, line := range lines {
		var e map[string]any
		if json.Unmarshal(line, &e) == nil && !c.seen[string(line)] {
			c.seen[string(line)] = true
			c.event(e)
		}
	}
	return c.document()
}

type counted struct {
	sensor, ip, protocol, version string
	first                         cowrie.Time
	duration                      float64
	closed                        bool
	commands                      map[string]int64
	logins, downloads, uploads    int64
}

type countedFile struct {
	first    cowrie.Time
	count    int64
	sessions map[string]bool
}

type counting struct {
	r                         report.Request
	seen                      map[string]bool
	sessions                  map[string]*counted
	files                     map[string]*countedFile
	users, passwords          map[string]int64
	pairs                     map[[2]string]*report.Pair
	urls, names, paths, hosts map[string]int64
	days                      map[string]*report.Day
	sensors                   map[string]*report.Sensor
	d                         report.Document
}

func (c *counting) event(e map[string]any) {
	text := func(name string) string { s, _ := e[name].(string); return s }
	when, ok := cowrie.ParseTime([]byte(text("timestamp")))
	if !ok || when > c.r.AsOf {
		return
	}
	of, sensor := c.r.Sensor, text("sensor")
	s := c.sessions[text("session")]
	if s == nil {
		s = &counted{first: when, commands: map[string]int64{}}
		c.sessions[text("session")] = s
	}
	s.first = min(s.first, when)
	least := func(into *string, v string) {
		if v != "" && (*into == "" || v < *into) {
			*into = v
		}
	}
	least(&s.sensor, sensor)
	least(&s.ip, strings.TrimPrefix(text("src_ip"), "::ffff:"))
	least(&s.protocol, text("protocol"))
	in := when >= c.r.From && when < c.r.To && (of == "" || sensor == of)
	day := &report.Day{}
	if when < c.r.To && (of == "" || sensor == of) {
		if c.sensors[sensor] == nil {
			c.sensors[sensor] = &report.Sensor{Name: sensor}
		}
		c.sensors[sensor].LastEvent = max(c.sensors[sensor].LastEvent, when)
	}
	if in {
		c.sensors[sensor].Events++
		day = c.day(when)
		day.Events++
	}
	switch id := text("eventid"); id {
	case "cowrie.login.failed", "cowrie.login.success":
		success := id == "cowrie.login.success"
		if success {
			s.logins += 1 << 32
		}
		s.logins++
		if in {
			day.Logins++
			c.login(text("username"), text("password"), success)
		}
	case "cowrie.command.input":
		s.commands[strings.Join(strings.Fields(text("input")), " ")]++
	case "cowrie.client.version":
		least(&s.version, text("version"))
	case "cowrie.session.closed":
		if ms, ok := e["duration_ms"].(float64); ok {
			s.duration, s.closed = max(s.duration, ms/1000), true
		}
		switch v := e["duration"].(type) {
		case float64:
			s.duration, s.closed = max(s.duration, v), true
		case string:
			var n float64
			if json.Unmarshal([]byte(v), &n) == nil {
				s.duration, s.closed = max(s.duration, n), true
			}
		}
	case "cowrie.session.file_download.failed":
		if in {
			c.d.Files.Failed++
		}
	case "cowrie.session.file_download", "cowrie.session.file_upload":
		hash := strings.ToLower(text("shasum"))
		if len(hash) != 64 {
			if _, typed := e["input"]; in && !(typed && e["url"] == nil && e["outfile"] == nil && e["shasum"] == nil) {
				c.d.Files.Failed++
			}
			return
		}
		c.file(e, id, hash, when, in, s, text)
		if in {
			day.Transfers++
		}
	}
}

func (c *counting) day(t cowrie.Time) *report.Day {
	date := t.Std().In(c.r.Location).Format(time.DateOnly)
	if c.days[date] == nil {
		c.days[date] = &report.Day{Date: date}
	}
	return c.days[date]
}

func (c *counting) login(user, password string, success bool) {
	c.users[user]++
	c.passwords[password]++
	p := c.pairs[[2]string{user, password}]
	if p == nil {
		p = &report.Pair{Username: user, Password: password}
		c.pairs[[2]string{user, password}] = p
	}
	p.Attempts++
	c.d.Logins.Attempts++
	if success {
		p.Successes++
		c.d.Logins.Successes++
	}
}

func (c *counting) file(e map[string]any, id, hash string, when cowrie.Time, in bool, s *counted, text func(string) string) {
	f := c.files[hash]
	if f == nil {
		f = &countedFile{first: when, sessions: map[string]bool{}}
		c.files[hash] = f
	}
	f.first = min(f.first, when)
	if id == "cowrie.session.file_upload" {
		s.uploads++
	} else {
		s.downloads++
	}
	if !in {
		return
	}
	f.count++
	f.sessions[text("session")] = true
	if id == "cowrie.session.file_upload" {
		c.d.Files.Uploads++
	} else {
		c.d.Files.Downloads++
	}
	name := text("filename")
	if name == "" && text("destfile") != "" {
		name = path.Base(text("destfile"))
	}
	for into, v := range map[*map[string]int64]string{&c.names: name, &c.paths: text("destfile"), &c.urls: text("url")} {
		if v != "" {
			(*into)[v]++
		}
	}
	if m := hostOf.FindStringSubmatch(text("url")); m != nil {
		c.hosts[m[1]]++
	}
}

var hostOf = regexp.MustCompile(`^[a-z]+://(?:[^/@]*@)?([^/:]+)`)

func top(m map[string]int64, n int) []report.Count {
	list := []report.Count{}
	for v, count := range m {
		list = append(list, report.Count{Value: v, Count: count})
	}
	slices.SortFunc(list, func(a, b report.Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	return list[:min(n, len(list))]
}

func (c *counting) document() *report.Document {
	d, n := &c.d, report.DefaultTop
	s := &d.Sessions
	ips, protocols, versions := map[string]int64{}, map[string]int64{}, map[string]int64{}
	commands := map[string]*report.Command{}
	total, durations := int64(0), []float64{}
	for id, one := range c.sessions {
		if id == "" || one.first < c.r.From || one.first >= c.r.To || c.r.Sensor != "" && one.sensor != c.r.Sensor {
			continue
		}
		s.Total++
		c.day(one.first).Sessions++
		if c.sensors[one.sensor] != nil {
			c.sensors[one.sensor].Sessions++
		}
		for into, v := range map[*map[string]int64]string{&ips: one.ip, &protocols: one.protocol, &versions: one.version} {
			if v != "" {
				(*into)[v]++
			}
		}
		s.FileDownloads += one.downloads
		s.FileUploads += one.uploads
		s.LoginAttempts += one.logins & (1<<32 - 1)
		if one.logins >= 1<<32 {
			s.LoggedIn++
		}
		ran := int64(0)
		for text, times := range one.commands {
			ran += times
			if commands[text] == nil {
				commands[text] = &report.Command{Command: text}
			}
			commands[text].Occurrences += times
			commands[text].Sessions++
		}
		if ran > 0 {
			s.WithCommands++
		}
		if s.Total == 1 || ran < s.MinCommands {
			s.MinCommands = ran
		}
		s.MaxCommands = max(s.MaxCommands, ran)
		total += ran
		if one.closed {
			durations = append(durations, one.duration)
		}
	}
	round := func(x float64) float64 { return float64(int64(x*1000+0.5)) / 1000 }
	s.UniqueIPs, s.UniqueProtocols, s.UniqueVersions = int64(len(ips)), int64(len(protocols)), int64(len(versions))
	s.Protocols, s.TopIPs, s.ClientVersions = top(protocols, n), top(ips, n), top(versions, n)
	if s.Total > 0 {
		s.AvgCommands = round(float64(total) / float64(s.Total))
	}
	if len(durations) > 0 {
		slices.Sort(durations)
		sum := 0.0
		for _, v := range durations {
			sum += round(v)
		}
		s.AvgDuration = round(sum / float64(len(durations)))
		s.MedDuration = (round(durations[(len(durations)-1)/2]) + round(durations[len(durations)/2])) / 2
		s.MaxDuration = round(durations[len(durations)-1])
	}
	l := &d.Logins
	l.UniqueUsernames, l.UniquePasswords, l.UniquePairs = int64(len(c.users)), int64(len(c.passwords)), int64(len(c.pairs))
	l.Usernames, l.Passwords = top(c.users, n), top(c.passwords, n)
	for _, p := range c.pairs {
		l.Pairs = append(l.Pairs, *p)
	}
	slices.SortFunc(l.Pairs, func(a, b report.Pair) int {
		return cmp.Or(cmp.Compare(b.Attempts, a.Attempts), strings.Compare(a.Username, b.Username), strings.Compare(a.Password, b.Password))
	})
	l.Pairs = l.Pairs[:min(n, len(l.Pairs))]
	for _, command := range commands {
		d.Commands.Total += command.Occurrences
		if command.Sessions == 1 {
			d.Commands.RareTotal++
		}
		d.Commands.Top = append(d.Commands.Top, *command)
	}
	d.Commands.Unique = int64(len(commands))
	slices.SortFunc(d.Commands.Top, func(a, b report.Command) int {
		return cmp.Or(cmp.Compare(b.Occurrences, a.Occurrences), strings.Compare(a.Command, b.Command))
	})
	d.Commands.Top = d.Commands.Top[:min(n, len(d.Commands.Top))]
	f := &d.Files
	counts := map[string]int64{}
	for hash, file := range c.files {
		if file.count == 0 {
			continue
		}
		counts[hash] = file.count
		if file.first >= c.r.From {
			f.NewHashes++
		}
	}
	f.UniqueHashes = int64(len(counts))
	f.UniqueURLs, f.UniqueNames, f.UniquePaths, f.UniqueHosts = int64(len(c.urls)), int64(len(c.names)), int64(len(c.paths)), int64(len(c.hosts))
	for _, one := range top(counts, n) {
		file := c.files[one.Value]
		f.TopHashes = append(f.TopHashes, report.FileCount{Shasum: one.Value, Count: one.Count, Sessions: int64(len(file.sessions)), FirstSeen: file.first})
	}
	for _, u := range top(c.urls, n) {
		f.Top = append(f.Top, report.URLCount{URL: u.Value, Occurrences: u.Count})
	}
	f.Names, f.Paths, f.Hosts = top(c.names, n), top(c.paths, n), top(c.hosts, n)
	for day := c.r.From; day < c.r.To; {
		d.Days = append(d.Days, *c.day(day))
		next := day.Std().In(c.r.Location).AddDate(0, 0, 1)
		day = cowrie.FromStd(next)
	}
	for _, one := range c.sensors {
		silence := int64((min(c.r.To, c.r.AsOf) - one.LastEvent) / 1e6)
		one.Silence = &silence
		d.Sensors = append(d.Sensors, *one)
	}
	slices.SortFunc(d.Sensors, func(a, b report.Sensor) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), strings.Compare(a.Name, b.Name))
	})
	return d
}
