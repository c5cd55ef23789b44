package synth

// duration is how a version writes spans of time.
type duration uint8

const (
	floatSeconds duration = iota // 12.345678901234567
	textSeconds                  // "12.3"
	millis                       // duration_ms
)

// version is what the events of one Cowrie version look like.
type version struct {
	name         string
	comma, colon string // colon closes the key's quote
	order        []slot
	duration     duration
	outdir       string // before a hash in outfile
	sessionHex   int    // digits of a session id
	reprPrefix   string // Python's mark before bytes: b in version 3 of the language

	addressLead   bool // addresses and ports lead every event
	idsInFields   bool // session.connect writes session and protocol among its fields
	kexEvent      bool // client.kex is an event; else its lists stand in client.version
	ttyHashed     bool // tty logs are named by hash
	logOpen       bool
	foundEach     bool // command.success for each command that exists
	params        bool // session.params
	paramsList    bool // its message is [], not ""
	redirectURL   bool // url of a redirect is its destfile, of standard input "stdin"
	redirectDup   bool // duplicate on redirects, standard input and tty logs
	fetchDup      bool // duplicate on wget, curl, ftpget and tftp
	fetchDest     bool // destfile on wget and curl
	unique        bool // its inverse, for a few months of 2018
	fetchFormat   bool // wget and curl may leave format in place of message
	failedError   bool // ftpget and tftp say why they failed
	scpLinesFiles bool // lines on scp's standard input pass for file_download
	originFields  bool // orig_ip and orig_port in direct-tcpip.request
	dataID        bool // id in direct-tcpip.data
	fingerprints  bool // ja4 and ja4h
	malformed     bool // client.malformed_packet
	late          bool // events after session.closed say so
}

var (
	orderOld     = []slot{slotEventid, slotTimestamp, slotMessage, slotSystem, slotSrcIP, slotSession, slotFields, slotSensor}
	orderCompact = []slot{slotEventid, slotFields, slotTimestamp, slotMessage, slotSrcIP, slotSession, slotSensor}
	orderNew     = []slot{slotEventid, slotFields, slotMessage, slotSensor, slotTimestamp, slotSrcIP, slotSession}
	orderUUID    = []slot{slotEventid, slotFields, slotMessage, slotSensor, slotUUID, slotTimestamp, slotSrcIP, slotSession, slotProtocol}
	orderLead    = []slot{slotLead, slotFields, slotEventid, slotLate, slotSensor, slotUUID, slotTimestamp, slotMessage}
)

const downloads = "var/lib/cowrie/downloads/"

// The versions that Generate and Shapes know, oldest first.
var (
	cowrie11 = version{name: "1.1", comma: ", ", colon: `": `, order: orderOld, outdir: "dl/", sessionHex: 8,
		logOpen: true, foundEach: true, redirectURL: true, scpLinesFiles: true}
	cowrie13 = version{name: "1.3", comma: ", ", colon: `": `, order: orderOld, outdir: "dl/", sessionHex: 12,
		logOpen: true, foundEach: true, redirectURL: true, unique: true, scpLinesFiles: true}
	cowrie15 = version{name: "1.5", comma: ", ", colon: `": `, order: orderCompact, outdir: "dl/", sessionHex: 12,
		idsInFields: true, kexEvent: true, foundEach: true, params: true, paramsList: true, redirectURL: true,
		redirectDup: true, fetchDest: true, scpLinesFiles: true}
	cowrie21 = version{name: "2.1", comma: ",", colon: `":`, order: orderCompact, outdir: downloads, sessionHex: 12, reprPrefix: "b",
		idsInFields: true, kexEvent: true, ttyHashed: true, params: true, paramsList: true, redirectDup: true, fetchDest: true,
		scpLinesFiles: true, dataID: true}
	cowrie25 = version{name: "2.5", comma: ",", colon: `":`, order: orderNew, outdir: downloads, sessionHex: 12, reprPrefix: "b",
		idsInFields: true, kexEvent: true, ttyHashed: true, params: true, paramsList: true, redirectDup: true, fetchFormat: true,
		scpLinesFiles: true, dataID: true}
	cowrie27 = version{name: "2.7", comma: ",", colon: `":`, order: orderNew, duration: textSeconds, outdir: downloads, sessionHex: 12, reprPrefix: "b",
		idsInFields: true, kexEvent: true, ttyHashed: true, params: true, paramsList: true, redirectDup: true, fetchFormat: true,
		scpLinesFiles: true, dataID: true}
	cowrie29 = version{name: "2.9", comma: ",", colon: `":`, order: orderUUID, duration: textSeconds, outdir: downloads, sessionHex: 12, reprPrefix: "b",
		idsInFields: true, kexEvent: true, ttyHashed: true, params: true, paramsList: true, redirectDup: true, failedError: true,
		scpLinesFiles: true, dataID: true, fingerprints: true}
	cowrie30 = version{name: "3.0", comma: ",", colon: `":`, order: orderLead, duration: millis, outdir: downloads, sessionHex: 12, reprPrefix: "b",
		addressLead: true, kexEvent: true, ttyHashed: true, params: true, redirectDup: true, fetchDup: true, failedError: true,
		originFields: true, dataID: true, fingerprints: true, malformed: true, late: true}
)

// versionOf returns the version that a sensor runs.
func (o Options) versionOf(sensor int) *version {
	turn := [...]*version{&cowrie30, &cowrie27, &cowrie21, &cowrie13}
	if o.Era == EraMixed {
		return turn[sensor%len(turn)]
	}
	return turn[Era2026-o.Era]
}
