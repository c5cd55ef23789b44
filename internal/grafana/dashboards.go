package grafana

// verdict is what is said of a file, in a word.
const verdict = `CASE WHEN f.vt_malicious > 0 THEN 'malicious' WHEN f.enrichment_status = 'known' THEN 'not flagged' ELSE f.enrichment_status END`

var dashboards = []dashboard{
	{name: "files", title: "files", panels: []panel{
		{title: "Sightings", about: "How often a file was downloaded or uploaded.", kind: number, width: 6, height: 4, sql: `
SELECT count(*) AS sightings
FROM file_sightings s
WHERE {{during "s.seen_at"}} AND s.kind <> 'disk' AND {{sensor "s.sensor"}}`},
		{title: "Different files", about: "Different contents, by SHA-256.", kind: number, width: 6, height: 4, sql: `
SELECT count(DISTINCT s.shasum) AS files
FROM file_sightings s
WHERE {{during "s.seen_at"}} AND s.kind <> 'disk' AND {{sensor "s.sensor"}}`},
		{title: "New files", about: "Never seen before by any sensor.", kind: number, width: 6, height: 4, sql: `
SELECT count(DISTINCT s.shasum) AS files
FROM files f
JOIN file_sightings s ON s.shasum = f.shasum
WHERE {{during "f.first_seen"}} AND NOT f.disk_only AND {{sensor "s.sensor"}}`},
		{title: "Malicious files", about: "Which an engine of VirusTotal flags, as far as it was asked.", kind: number, width: 6, height: 4, sql: `
SELECT count(DISTINCT s.shasum) AS files
FROM file_sightings s
JOIN files f ON f.shasum = s.shasum
WHERE {{during "s.seen_at"}} AND s.kind <> 'disk' AND f.vt_malicious > 0 AND {{sensor "s.sensor"}}`},
		{title: "Sightings by verdict", about: "The verdict is that of today, not of the day of the sighting.", kind: series, width: 12, height: 9, sql: `
SELECT {{bucket "s.seen_at"}} AS time, ` + verdict + ` AS metric, count(*) AS value
FROM file_sightings s
JOIN files f ON f.shasum = s.shasum
WHERE {{during "s.seen_at"}} AND s.kind <> 'disk' AND {{sensor "s.sensor"}}
GROUP BY 1, 2
ORDER BY 1, 2`},
		{title: "New files by verdict", about: "By when any sensor saw them first.", kind: series, width: 12, height: 9, sql: `
SELECT {{bucket "f.first_seen"}} AS time, ` + verdict + ` AS metric, count(*) AS value
FROM files f
WHERE {{during "f.first_seen"}} AND NOT f.disk_only
  AND EXISTS (SELECT 1 FROM file_sightings s WHERE s.shasum = f.shasum AND {{sensor "s.sensor"}})
GROUP BY 1, 2
ORDER BY 1, 2`},
		{title: "The files that were seen most", about: "Engines that flag it, of those that gave an opinion.", kind: rows, width: 24, height: 10,
			units: map[string]string{"bytes": "bytes"}, times: []string{"last_seen"}, sql: `
SELECT s.shasum, count(*) AS seen, count(DISTINCT s.session_id) AS sessions, count(DISTINCT s.sensor) AS sensors, max(s.seen_at) AS last_seen,
       f.filename, f.mime_type, f.file_size AS bytes, f.vt_malicious AS engines, f.vt_total AS asked, f.vt_classification AS label
FROM file_sightings s
JOIN files f ON f.shasum = s.shasum
WHERE {{during "s.seen_at"}} AND s.kind <> 'disk' AND {{sensor "s.sensor"}}
GROUP BY s.shasum, f.filename, f.mime_type, f.file_size, f.vt_malicious, f.vt_total, f.vt_classification
ORDER BY seen DESC, s.shasum
LIMIT 50`},
		{title: "The newest files", about: "By when any sensor saw them first.", kind: rows, width: 24, height: 10,
			units: map[string]string{"bytes": "bytes"}, times: []string{"first_seen"}, sql: `
SELECT f.first_seen, f.shasum, f.filename, f.download_url, f.mime_type, f.file_size AS bytes, f.sighting_count AS seen,
       f.vt_malicious AS engines, f.vt_classification AS label, f.enrichment_status AS status
FROM files f
WHERE {{during "f.first_seen"}} AND NOT f.disk_only
  AND EXISTS (SELECT 1 FROM file_sightings s WHERE s.shasum = f.shasum AND {{sensor "s.sensor"}})
ORDER BY f.first_seen DESC, f.shasum
LIMIT 50`},
		{title: "Seen here before VirusTotal", about: "Files that VirusTotal got later than the sensors.", kind: rows, width: 12, height: 9,
			units: map[string]string{"lead": "s"}, times: []string{"first_seen", "vt_first_seen"}, sql: `
SELECT f.shasum, f.filename, f.first_seen, f.vt_first_seen, {{epoch "f.vt_first_seen"}} - {{epoch "f.first_seen"}} AS lead, f.vt_malicious AS engines
FROM files f
WHERE {{during "f.first_seen"}} AND f.first_seen < f.vt_first_seen
  AND EXISTS (SELECT 1 FROM file_sightings s WHERE s.shasum = f.shasum AND {{sensor "s.sensor"}})
ORDER BY lead DESC, f.shasum
LIMIT 50`},
		{title: "What VirusTotal said", about: "Verdicts by when they were given, the latest first.", kind: rows, width: 12, height: 9, times: []string{"observed_at"}, sql: `
SELECT v.observed_at, v.shasum, f.filename, v.malicious AS engines, v.total AS asked, v.classification AS label
FROM file_verdicts v
JOIN files f ON f.shasum = v.shasum
WHERE {{during "v.observed_at"}} AND v.source = 'virustotal'
  AND EXISTS (SELECT 1 FROM file_sightings s WHERE s.shasum = f.shasum AND {{sensor "s.sensor"}})
ORDER BY v.observed_at DESC, v.shasum
LIMIT 50`},
		{title: "Where they came from", about: "URLs, by downloads.", kind: rows, width: 12, height: 9, sql: `
SELECT s.download_url AS url, count(*) AS downloads, count(DISTINCT s.shasum) AS files
FROM file_sightings s
WHERE {{during "s.seen_at"}} AND s.download_url IS NOT NULL AND {{sensor "s.sensor"}}
GROUP BY s.download_url
ORDER BY downloads DESC, url
LIMIT 20`},
		{title: "Where they were put", about: "Paths on the honeypot, by sightings.", kind: rows, width: 12, height: 9, sql: `
SELECT s.destfile AS path, count(*) AS sightings, count(DISTINCT s.shasum) AS files
FROM file_sightings s
WHERE {{during "s.seen_at"}} AND s.destfile IS NOT NULL AND {{sensor "s.sensor"}}
GROUP BY s.destfile
ORDER BY sightings DESC, path
LIMIT 20`},
	}},

	{name: "sessions", title: "sessions", panels: []panel{
		{title: "Sessions", about: "Those that began in this time.", kind: number, width: 6, height: 4, sql: `
SELECT count(*) AS sessions
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND {{sensor "e.sensor"}}`},
		{title: "Addresses", about: "Different ones.", kind: number, width: 6, height: 4, sql: `
SELECT count(DISTINCT e.src_ip) AS addresses
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND {{sensor "e.sensor"}}`},
		{title: "Sessions with commands", about: "", kind: number, width: 6, height: 4, sql: `
SELECT count(*) AS sessions
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND e.command_count > 0 AND {{sensor "e.sensor"}}`},
		{title: "Sessions with files", about: "", kind: number, width: 6, height: 4, sql: `
SELECT count(*) AS sessions
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND e.file_downloads + e.file_uploads > 0 AND {{sensor "e.sensor"}}`},
		{title: "Sessions by protocol", about: "By when they began.", kind: series, width: 12, height: 9, sql: `
SELECT {{bucket "e.first_event_at"}} AS time, COALESCE(e.protocol, 'unknown') AS metric, count(*) AS value
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND {{sensor "e.sensor"}}
GROUP BY 1, 2
ORDER BY 1, 2`},
		{title: "Sessions by sensor", about: "By when they began.", kind: series, width: 12, height: 9, sql: `
SELECT {{bucket "e.first_event_at"}} AS time, COALESCE(e.sensor, '') AS metric, count(*) AS value
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND {{sensor "e.sensor"}}
GROUP BY 1, 2
ORDER BY 1, 2`},
		{title: "Addresses", about: "By sessions.", kind: rows, width: 12, height: 9, sql: `
SELECT e.src_ip AS address, count(*) AS sessions, sum(e.login_attempts) AS logins, sum(e.command_count) AS commands, sum(e.file_downloads + e.file_uploads) AS transfers
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND {{sensor "e.sensor"}}
GROUP BY e.src_ip
ORDER BY sessions DESC, address
LIMIT 20`},
		{title: "Clients", about: "What attackers' programs call themselves.", kind: bars, width: 12, height: 9, sql: `
SELECT e.client_version AS client, count(*) AS sessions
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND e.client_version IS NOT NULL AND {{sensor "e.sensor"}}
GROUP BY e.client_version
ORDER BY sessions DESC, client
LIMIT 12`},
		{title: "Commands", about: "With white space made even.", kind: rows, width: 24, height: 10, sql: `
SELECT c.command_normalized AS command, sum(c.occurrences) AS times, count(*) AS sessions
FROM session_summaries e
JOIN command_stats c ON c.session_id = e.session_id
WHERE {{sessions "e.first_event_at"}} AND e.command_count > 0 AND {{sensor "e.sensor"}}
GROUP BY c.command_normalized
ORDER BY times DESC, command
LIMIT 50`},
		{title: "The latest sessions that did something", about: "With commands or files. \"midden sessions show\" has the transcript.", kind: rows, width: 24, height: 10,
			units: map[string]string{"duration": "ms"}, times: []string{"began"}, sql: `
SELECT {{time "e.first_event_at"}} AS began, e.session_id, e.sensor, e.src_ip AS address, e.username, e.password, e.command_count AS commands,
       e.file_downloads AS downloads, e.file_uploads AS uploads, e.duration_ms AS duration
FROM session_summaries e
WHERE {{sessions "e.first_event_at"}} AND (e.command_count > 0 OR e.file_downloads + e.file_uploads > 0) AND {{sensor "e.sensor"}}
ORDER BY e.first_event_at DESC, e.session_id
LIMIT 50`},
		{title: "The latest sessions that brought a malicious file", about: "By the verdicts of today.", kind: rows, width: 24, height: 10, times: []string{"began"}, sql: `
SELECT {{time "e.first_event_at"}} AS began, e.session_id, e.sensor, e.src_ip AS address, s.shasum, f.vt_malicious AS engines, f.vt_classification AS label
FROM file_sightings s
JOIN files f ON f.shasum = s.shasum
JOIN session_summaries e ON e.session_id = s.session_id
WHERE {{during "s.seen_at"}} AND f.vt_malicious > 0 AND {{sensor "s.sensor"}}
ORDER BY s.seen_at DESC, s.shasum
LIMIT 50`},
	}},

	{name: "logins", title: "logins", panels: []panel{
		{title: "Attempts", about: "Those that succeeded among them. All of this page goes by whole UTC days.", kind: number, width: 6, height: 4, sql: `
SELECT sum(l.attempts) AS attempts
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}`},
		{title: "Successes", about: "", kind: number, width: 6, height: 4, sql: `
SELECT sum(l.successes) AS successes
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}`},
		{title: "Usernames", about: "Different ones.", kind: number, width: 6, height: 4, sql: `
SELECT count(DISTINCT l.username) AS usernames
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}`},
		{title: "Passwords", about: "Different ones.", kind: number, width: 6, height: 4, sql: `
SELECT count(DISTINCT l.password) AS passwords
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}`},
		{title: "Logins by day", about: "", kind: series, width: 12, height: 9, sql: `
SELECT {{day "l.day"}} AS time, sum(l.attempts - l.successes) AS failed, sum(l.successes) AS succeeded
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}
GROUP BY 1
ORDER BY 1`},
		{title: "Attempts by sensor", about: "", kind: series, width: 12, height: 9, sql: `
SELECT {{day "l.day"}} AS time, l.sensor AS metric, sum(l.attempts) AS value
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}
GROUP BY 1, 2
ORDER BY 1, 2`},
		{title: "Usernames", about: "By attempts.", kind: bars, width: 8, height: 10, sql: `
SELECT l.username, sum(l.attempts) AS attempts
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}
GROUP BY l.username
ORDER BY attempts DESC, l.username
LIMIT 12`},
		{title: "Passwords", about: "By attempts.", kind: bars, width: 8, height: 10, sql: `
SELECT l.password, sum(l.attempts) AS attempts
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}
GROUP BY l.password
ORDER BY attempts DESC, l.password
LIMIT 12`},
		{title: "Usernames and passwords", about: "By attempts.", kind: rows, width: 8, height: 10, sql: `
SELECT l.username, l.password, sum(l.attempts) AS attempts, sum(l.successes) AS successes
FROM login_stats l
WHERE {{days "l.day"}} AND {{sensor "l.sensor"}}
GROUP BY l.username, l.password
ORDER BY attempts DESC, l.username, l.password
LIMIT 50`},
	}},

	{name: "sensors", title: "sensors", panels: []panel{
		{title: "Sensors", about: "That logged something in this time. All of this page goes by whole UTC days.", kind: number, width: 8, height: 4, sql: `
SELECT count(DISTINCT d.sensor) AS sensors
FROM sensor_days d
WHERE {{days "d.day"}} AND {{sensor "d.sensor"}}`},
		{title: "Events", about: "", kind: number, width: 8, height: 4, sql: `
SELECT sum(d.events) AS events
FROM sensor_days d
WHERE {{days "d.day"}} AND {{sensor "d.sensor"}}`},
		{title: "Transfers that failed", about: "Files that attackers asked for and that did not come.", kind: number, width: 8, height: 4, sql: `
SELECT sum(d.failed_transfers) AS transfers
FROM sensor_days d
WHERE {{days "d.day"}} AND {{sensor "d.sensor"}}`},
		{title: "Events by sensor", about: "", kind: series, width: 24, height: 9, sql: `
SELECT {{day "d.day"}} AS time, d.sensor AS metric, sum(d.events) AS value
FROM sensor_days d
WHERE {{days "d.day"}} AND {{sensor "d.sensor"}}
GROUP BY 1, 2
ORDER BY 1, 2`},
		{title: "The last event of each sensor", about: "Ever, whatever the time of the dashboard; the most silent first.", kind: rows, width: 12, height: 10,
			units: map[string]string{"silent": "s"}, times: []string{"last_event"}, sql: `
SELECT d.sensor, max(d.last_event_at) AS last_event, {{now}} - {{epoch "max(d.last_event_at)"}} AS silent, sum(d.events) AS events
FROM sensor_days d
WHERE {{sensor "d.sensor"}}
GROUP BY d.sensor
ORDER BY silent DESC, d.sensor`},
		{title: "Lines that are no events", about: "Of all logs, by reason.", kind: rows, width: 12, height: 10, sql: `
SELECT reason, count(*) AS lines, sum(CASE WHEN resolved THEN 1 ELSE 0 END) AS resolved
FROM dead_letter_events
GROUP BY reason
ORDER BY lines DESC, reason`},
	}},
}
