package downloads

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Why entries are passed over.
const (
	workingFile = "working file of Cowrie"
	gitIgnore   = ".gitignore"
	symlink     = "symbolic link"
	hardLink    = "hard link in an archive"
	notAFile    = "no regular file"
	empty       = "empty file"
	recording   = "terminal recording"
	tooDeep     = "directory that lies too deep"
)

// tooLarge is why a file of more than max bytes is passed over.
func tooLarge(max int64) string { return fmt.Sprintf("larger than %d bytes", max) }

// Cowrie keeps a file under its hash when it is whole. Until then, and after a
// crash, it has another name: of a transfer by wget and the like, and of what
// came by standard input, redirection, SCP, SFTP, or out of its compiler.
var (
	workingNew = regexp.MustCompile(`^(tmp[A-Za-z0-9_]{8}|(stdin|redir|scp|sftp|gcc)_[0-9a-f]{32})$`)
	workingOld = regexp.MustCompile(`-stdin\.log$|-redir_|-scp_|_sftp_`)
	// Cowrie's other directory: what is there is named like a capture.
	recordings = regexp.MustCompile(`(^|/)tty/`)
)

// passedOver returns why an entry is no captured file, or "". name may be a path.
func passedOver(name string, mode fs.FileMode, size, maxSize int64) string {
	base := path.Base(name)
	switch {
	case mode&fs.ModeSymlink != 0:
		return symlink
	case !mode.IsRegular():
		return notAFile
	case base == ".gitignore":
		return gitIgnore
	case workingNew.MatchString(base) || workingOld.MatchString(base):
		return workingFile
	case recordings.MatchString(name):
		return recording
	case size == 0:
		return empty
	case size > maxSize:
		return tooLarge(maxSize)
	}
	return ""
}

var hashName = regexp.MustCompile(`^[0-9A-Fa-f]{64}($|\.)`)

// promised returns the hash that a name promises, or "". A suffix that somebody
// gave it promises nothing else.
func promised(name string) string {
	if base := path.Base(name); hashName.MatchString(base) {
		return strings.ToLower(base[:64])
	}
	return ""
}

// Misnamed reports whether a name promises another content than the one that it
// has.
func Misnamed(name, shasum string) bool {
	p := promised(name)
	return p != "" && shasum != "" && p != shasum
}
