package report

import "midden/internal/cowrie"

// Document is a report. As JSON it has every name that the reports of
// cowrieprocessor had, and those that its index templates mapped and nothing
// filled; a name of either is explained where it stands. Lists are never null, and are
// in order: the most frequent first, those of one count by their names.
type Document struct {
	Timestamp    cowrie.Time `json:"@timestamp"`   // the beginning of the period
	GeneratedAt  cowrie.Time `json:"generated_at"` // the moment of which the report is
	ReportType   string      `json:"report_type"`  // daily, weekly, monthly; "custom" if it was told from and to
	Date         string      `json:"date"`         // 2026-03-28, 2026-W13, 2026-03; custom: 2026-03-01/2026-03-15, the last day included
	DateRange    string      `json:"date_range"`   // the first and the last day: 2026-03-23/2026-03-29
	YearWeek     string      `json:"year_week"`    // of the first day: 2026-W13
	YearMonth    string      `json:"year_month"`   // of the first day: 2026-03
	DaysIncluded int         `json:"days_included"`
	Timezone     string      `json:"timezone"` // where days begin: UTC, Europe/Berlin
	From         cowrie.Time `json:"from"`
	To           cowrie.Time `json:"to"`          // not included
	Sensor       string      `json:"sensor"`      // its name; Aggregate for all of them
	AllSensors   bool        `json:"all_sensors"` // it is of all of them

	Sessions      Sessions      `json:"sessions"`
	Logins        Logins        `json:"logins"`
	Commands      Commands      `json:"commands"`
	Files         Files         `json:"files"`
	Verdicts      Verdicts      `json:"verdicts"`
	Enrichments   Enrichments   `json:"enrichments"`
	Abnormalities Abnormalities `json:"abnormalities"`
	Sensors       []Sensor      `json:"sensors"`
	Days          []Day         `json:"days"` // every day of the period, oldest first
	Comparison    Comparison    `json:"comparison"`
	Alerts        []string      `json:"alerts"` // what somebody should look at, a sentence each
	Notes         []string      `json:"notes"`  // what the report does not know, a sentence each
}

// Aggregate is what stands for the name of the sensor in a report of all of them. A sensor
// can have this name, too.
const Aggregate = "aggregate"

// ID is the report's own among all: that under which cowrieprocessor published it, but for
// that of a sensor with the name of all of them.
func (d *Document) ID() string {
	id := d.Sensor + ":" + d.ReportType + ":" + d.Date
	if d.Sensor == Aggregate && !d.AllSensors {
		id += ":sensor" // no other id ends like that
	}
	return id
}

// Count is how often a value was seen.
type Count struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// Sessions are those that began in the period, with all that they did.
type Sessions struct {
	Total         int64   `json:"total"`
	UniqueIPs     int64   `json:"unique_ips"`
	WithCommands  int64   `json:"with_commands"`
	AvgCommands   float64 `json:"avg_commands"` // of a session
	MaxCommands   int64   `json:"max_commands"`
	MinCommands   int64   `json:"min_commands"`
	FileDownloads int64   `json:"file_downloads"`
	FileUploads   int64   `json:"file_uploads"`
	LoginAttempts int64   `json:"login_attempts"`
	LoggedIn      int64   `json:"logged_in"`       // sessions with a login that succeeded
	VTFlagged     int64   `json:"vt_flagged"`      // that brought, in the period, a file which an engine of VirusTotal calls malicious
	DShield       int64   `json:"dshield_flagged"` // as cowrieprocessor noted it
	AvgDuration   float64 `json:"avg_duration"`    // seconds, of those that tell
	MedDuration   float64 `json:"median_duration"` // seconds
	MaxDuration   float64 `json:"max_duration"`    // seconds

	Protocols       []Count `json:"protocols"`
	UniqueProtocols int64   `json:"unique_protocols"`
	TopIPs          []Count `json:"top_ips"`
	ClientVersions  []Count `json:"client_versions"`
	UniqueVersions  int64   `json:"unique_client_versions"`
	// What follows is that of Logins, under the names of the old templates.
	UniqueUsernames int64   `json:"unique_usernames"`
	UniquePasswords int64   `json:"unique_passwords"`
	TopUsernames    []Count `json:"top_usernames"`
	TopPasswords    []Count `json:"top_passwords"`
	TopCombinations []Count `json:"top_combinations"` // user:password
}

// Logins are attempts to log in that were made in the period.
type Logins struct {
	Attempts        int64   `json:"attempts"`
	Successes       int64   `json:"successes"`
	UniqueUsernames int64   `json:"unique_usernames"`
	UniquePasswords int64   `json:"unique_passwords"`
	UniquePairs     int64   `json:"unique_pairs"`
	Usernames       []Count `json:"usernames"`
	Passwords       []Count `json:"passwords"`
	Pairs           []Pair  `json:"pairs"`
}

// Pair is a name and a password that were tried together.
type Pair struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	Attempts  int64  `json:"attempts"`
	Successes int64  `json:"successes"`
}

// Commands are those of the sessions that began in the period.
type Commands struct {
	Total       int64     `json:"total"`
	Unique      int64     `json:"unique"`
	Top         []Command `json:"top"`
	TopCommands []Count   `json:"top_commands"` // Top, under the name of the old templates
	Rare        []Command `json:"rare"`         // of those that the fewest sessions ran
	RareTotal   int64     `json:"rare_total"`   // those that one session alone ran
}

// Command is a command, its white space made even.
type Command struct {
	Command     string `json:"command"`
	Occurrences int64  `json:"occurrences"`
	Sessions    int64  `json:"sessions"`
}

// Files are the transfers of the period, and the files that they brought.
type Files struct {
	Downloads       int64 `json:"downloads_total"`
	Uploads         int64 `json:"uploads_total"`
	Failed          int64 `json:"failed_total"`  // transfers that brought nothing
	OnDisk          int64 `json:"on_disk_total"` // found where a sensor keeps its files, and named by no event
	UniqueHashes    int64 `json:"unique_hashes"` // SHA-256
	NewHashes       int64 `json:"new_hashes"`    // never seen before the period, on whatever sensor
	Classifications int64 `json:"unique_vt_classifications"`
	RecentVT        int64 `json:"recent_vt_submissions"` // files that VirusTotal got first less than RecentDays before one of their sightings
	UniqueURLs      int64 `json:"unique_urls"`
	UniqueNames     int64 `json:"unique_names"`
	UniquePaths     int64 `json:"unique_paths"`
	UniqueHosts     int64 `json:"unique_hosts"`
	UniqueTypes     int64 `json:"unique_types"`

	TopClassifications []Count     `json:"vt_classifications_top"`
	TopHashes          []FileCount `json:"top_hashes"`
	New                []FileCount `json:"new"`
	Top                []URLCount  `json:"top"` // by URL
	Names              []Count     `json:"top_names"`
	Paths              []Count     `json:"top_paths"` // where attackers put them
	Hosts              []Count     `json:"top_hosts"` // of the URLs
	Types              []Count     `json:"top_types"` // MIME types, of different files
}

// RecentDays is how many days after a file was first submitted to VirusTotal it is
// recent.
const RecentDays = 5

// URLCount is how often a URL was downloaded from.
type URLCount struct {
	URL         string `json:"url"`
	Occurrences int64  `json:"occurrences"`
}

// FileCount is a file and how often it was seen in the period.
type FileCount struct {
	Shasum         string      `json:"value"`
	Count          int64       `json:"count"`
	Sessions       int64       `json:"sessions"`
	Name           string      `json:"name"`
	Type           string      `json:"type"`           // MIME
	Size           *int64      `json:"size"`           // bytes; null if it is not known
	Classification string      `json:"classification"` // VirusTotal's label for it
	Malicious      *int64      `json:"malicious"`      // engines of VirusTotal that call it that; null if it was not asked, or does not know it
	Total          *int64      `json:"total"`          // engines that looked
	Status         string      `json:"status"`         // pending, known, unknown, failed, ignored
	FirstSeen      cowrie.Time `json:"first_seen"`     // here, ever
}

// Verdicts are what VirusTotal began to say in the period, and of the files of the period.
type Verdicts struct {
	NewMalicious      []Verdict `json:"new_malicious"`      // called malicious for the first time
	Changed           []Verdict `json:"changed"`            // at the end of the period more or fewer engines call it malicious than at its beginning, or another label
	Unknown           []Verdict `json:"unknown"`            // files of the period that VirusTotal does not know
	SeenBefore        []Verdict `json:"seen_before_vt"`     // files of the period that were here before VirusTotal had them
	RecentSubmissions []Verdict `json:"recent_submissions"` // those of Files.RecentVT
	// How many there are; the lists hold the first of them.
	NewMaliciousTotal int64 `json:"new_malicious_total"`
	ChangedTotal      int64 `json:"changed_total"`
	UnknownTotal      int64 `json:"unknown_total"`
	SeenBeforeTotal   int64 `json:"seen_before_vt_total"`
	PendingTotal      int64 `json:"pending_total"` // files of the period that VirusTotal was not asked about yet
}

// Verdict is what is said of a file.
type Verdict struct {
	Shasum         string      `json:"hash"`
	Name           string      `json:"name"`
	Classification string      `json:"label"`
	Malicious      *int64      `json:"malicious"`
	Total          *int64      `json:"total"`
	MaliciousWas   *int64      `json:"malicious_was"` // of Changed: at the beginning of the period
	LabelWas       string      `json:"label_was"`
	FirstSeen      cowrie.Time `json:"first_seen"`    // here
	VTFirstSeen    cowrie.Time `json:"vt_first_seen"` // by VirusTotal
	ObservedAt     cowrie.Time `json:"observed_at"`   // when VirusTotal said so
	Lead           *int64      `json:"lead_seconds"`  // how much earlier it was seen here; negative: later; null if one is not known
}

// Enrichments are sessions of the period that brought files which are called malicious.
type Enrichments struct {
	Flagged      []Flagged `json:"flagged"`
	FlaggedFiles int64     `json:"flagged_files_total"` // how many such files there are, of all such sessions; the list holds some of these
}

// Flagged is such a session.
type Flagged struct {
	Session   string        `json:"session"`
	Sensor    string        `json:"sensor"`
	FirstSeen cowrie.Time   `json:"first_seen"`
	LastSeen  cowrie.Time   `json:"last_seen"`
	IPs       []string      `json:"ips"`
	Files     []FlaggedFile `json:"files"`
}

// FlaggedFile is a file of such a session.
type FlaggedFile struct {
	Shasum    string      `json:"hash"`
	Malicious int64       `json:"malicious"`
	Label     string      `json:"label"`
	FirstSeen cowrie.Time `json:"first_seen"` // by VirusTotal
}

// Abnormalities are sessions that are unlike the others of the period.
type Abnormalities struct {
	UncommonCommands []string   `json:"uncommon_command_sessions"`     // ids of sessions with unusually many commands, or rare ones (manyCommands, rareCommands)
	RecentVT         []string   `json:"recent_vt_submission_sessions"` // ids of sessions that brought a file of RecentVT
	Sessions         []Abnormal `json:"sessions"`                      // both, and why
}

// Abnormal is such a session.
type Abnormal struct {
	Session  string      `json:"session"`
	Sensor   string      `json:"sensor"`
	SrcIP    string      `json:"src_ip"`
	First    cowrie.Time `json:"first_seen"`
	Commands int64       `json:"commands"`
	Why      []string    `json:"why"` // a sentence for each reason
}

// Sensor is how a sensor is.
type Sensor struct {
	Name      string      `json:"sensor"`
	Events    int64       `json:"events"` // in the period
	Sessions  int64       `json:"sessions"`
	LastEvent cowrie.Time `json:"last_event"`      // before the end of the period, and the moment of which the report is
	Silence   *int64      `json:"silence_seconds"` // from then to that end; null if there is no event
}

// Day is one day of the period.
type Day struct {
	Date      string `json:"date"`
	Events    int64  `json:"events"`
	Sessions  int64  `json:"sessions"`
	Logins    int64  `json:"logins"`
	Transfers int64  `json:"transfers"` // downloads and uploads
}

// Comparison is with the period before.
type Comparison struct {
	Date    string   `json:"date"` // of the period before
	Metrics []Metric `json:"metrics"`
}

// Metric is a number of this period and of that before.
type Metric struct {
	Name   string   `json:"name"` // sessions.total, files.unique_hashes, …
	Value  int64    `json:"value"`
	Before int64    `json:"before"`
	Change *float64 `json:"change_percent"` // null if there was nothing before
}
