package synth

// The events of files that come to the sensor.

// outfile is where Cowrie keeps a file.
func (v *visit) outfile(sha string) string {
	if v.era == Era2018 {
		return "dl/" + sha
	}
	return "var/lib/cowrie/downloads/" + sha
}

// transfer writes the sighting of a file.
func (v *visit) transfer(f file) {
	duplicate := v.stored.has(f.index)
	v.stored.add(f.index)
	switch f.way {
	case bySFTP, bySCP:
		v.upload(f, duplicate)
	case byRedirect, byStdin:
		v.saved(f, duplicate)
	default:
		v.fetched(f, duplicate)
	}
	v.sighted++
}

// fetched is what wget, curl, ftpget and tftp leave.
func (v *visit) fetched(f file, duplicate bool) {
	from := channel
	if f.way == byWget || f.way == byCurl {
		from = nobody
	}
	out := v.outfile(f.sha)
	v.begin("cowrie.session.file_download", from)
	v.word("url", f.url)
	v.word("outfile", out)
	v.word("shasum", f.sha)
	if from == channel || v.era <= Era2020 {
		v.word("destfile", f.dest)
	}
	if v.era == Era2026 {
		v.truth("duplicate", duplicate)
	}
	v.finish(download, f.index, "", []string{"Downloaded URL (", f.url, ") with SHA-256 ", f.sha, " to ", out})
}

// saved is what a shell's redirection, or the input of a command, leaves.
func (v *visit) saved(f file, duplicate bool) {
	kind, old := "redir", f.dest
	if f.way == byStdin {
		kind, old = "stdin", "stdin"
	}
	out := v.outfile(f.sha)
	v.begin("cowrie.session.file_download", channel)
	if v.era == Era2018 {
		v.word("url", old)
	} else {
		v.truth("duplicate", duplicate)
	}
	v.word("outfile", out)
	v.word("shasum", f.sha)
	if v.era != Era2018 {
		v.word("destfile", f.dest)
	}
	v.finish(download, f.index, "", []string{"Saved ", kind, " contents with SHA-256 ", f.sha, " to ", out})
}

func (v *visit) upload(f file, duplicate bool) {
	out := v.outfile(f.sha)
	v.begin("cowrie.session.file_upload", channel)
	v.text("filename", f.name)
	if f.way == bySFTP {
		v.word("outfile", out)
		v.word("shasum", f.sha)
		v.finish(upload, f.index, "", []string{`SFTP Uploaded file "`, f.name, `" to `, out})
		return
	}
	v.truth("duplicate", duplicate)
	v.word("url", f.dest)
	v.word("outfile", f.sha)
	v.word("shasum", f.sha)
	v.word("destfile", f.dest)
	v.finish(upload, f.index, "", []string{`SCP Uploaded file "`, f.name, `" to `, out})
}

// empty is the event of a download without a body.
func (v *visit) empty(url string) {
	v.begin("cowrie.session.file_download", nobody)
	v.word("url", url)
	v.word("outfile", "")
	v.word("shasum", "")
	v.end(failedTransfer, "Downloaded URL (", url, ") with SHA-256  to ")
}

func (v *visit) failed(f file) {
	v.begin("cowrie.session.file_download.failed", nobody)
	v.word("url", f.url)
	if v.era >= Era2025 && (f.way == byFTP || f.way == byTFTP) {
		v.word("error", "timed out")
	}
	v.end(failedTransfer, "Attempt to download file(s) from URL (", f.url, ") failed")
}

// scpLine is a line of scp's input, which the old versions call a download.
func (v *visit) scpLine(input string) {
	id := "cowrie.session.file_download"
	if v.era == Era2026 {
		id = "cowrie.session.input"
	}
	v.begin(id, channel)
	v.word("realm", "scp")
	v.text("input", input)
	v.end(other, "INPUT (scp): ", input)
}
