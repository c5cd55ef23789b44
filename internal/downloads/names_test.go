package downloads

import (
	"io/fs"
	"strings"
	"testing"
)

// TestPassedOver goes through every name that Cowrie gives to what is no capture
// yet, and names that only look like one.
func TestPassedOver(t *testing.T) {
	const hex32 = "0123456789abcdef0123456789abcdef"
	const max = 1000
	hash := strings.Repeat("a0", 32)
	for _, c := range []struct {
		name string
		want string
	}{
		{"tmpABCDEFGH", workingFile},
		{"tmpa1_B2c3d", workingFile},
		{"tmp________", workingFile},
		{"sub/dir/tmpABCDEFGH", workingFile},
		{"tmpABCDEFG", ""},
		{"tmpABCDEFGHI", ""},
		{"tmpABCD-FGH", ""},
		{"tmpABCD.FGH", ""},
		{"tmpABCDEFG\n", ""},
		{"tmpABCDEFGH\n", ""},
		{"tmpABCDEFG\xc3", ""},
		{"tmpäBCDEFG", ""},
		{"TMPABCDEFGH", ""},
		{"xtmpABCDEFGH", ""},
		{"tmpABCDEFGH/capture", ""},

		{"stdin_" + hex32, workingFile},
		{"redir_" + hex32, workingFile},
		{"scp_" + hex32, workingFile},
		{"sftp_" + hex32, workingFile},
		{"gcc_" + hex32, workingFile},
		{"a/b/gcc_" + hex32, workingFile},
		{"stdin_" + hex32[1:], ""},
		{"redir_" + hex32 + "0", ""},
		{"scp_" + strings.ToUpper(hex32), ""},
		{"gcc_" + hex32 + ".c", ""},
		{"gcc_" + hex32[1:] + "g", ""},
		{"gcc-" + hex32, ""},
		{"gcc" + hex32, ""},
		{"gcc_", ""},
		{"xsftp_" + hex32, ""},
		{"curl_" + hex32, ""},
		{"stdin_" + hex32 + "\n", ""},

		{"20180506-174452-25f8d2b1a1c3-1-stdin.log", workingFile},
		{"20180506-174452-25f8d2b1a1c3-0-redir__tmp_.x", workingFile},
		{"20180506-174452-25f8d2b1a1c3-0-redir_", workingFile},
		{"20180506-174452-25f8d2b1a1c3-2-scp_payload.bin", workingFile},
		{"20180506-174452-25f8d2b1a1c3_sftp__root_.ssh_authorized_keys", workingFile},
		{"dl/20180506-174452-None_sftp_x", workingFile},
		{"20180506-174452-25f8d2b1a1c3-1-stdin.log.gz", ""},
		{"20180506-174452-25f8d2b1a1c3-1-stdin", ""},
		{"stdin.log", ""},
		{"20180506-174452-25f8d2b1a1c3-0-redir-x", ""},
		{"20180506-174452-25f8d2b1a1c3_scp_payload", ""},
		{"20180506-174452-25f8d2b1a1c3-sftp-x", ""},
		{"1-stdin.log/capture", ""},
		{"0-redir_x/capture", ""},
		{"x_sftp_y/capture", ""},

		{".gitignore", gitIgnore},
		{"sub/.gitignore", gitIgnore},
		{"gitignore", ""},
		{".gitignore.bak", ""},
		{".gitignored", ""},
		{".gitignore/capture", ""},

		{"tty/" + hash, recording},
		{"var/lib/cowrie/tty/" + hash, recording},
		{"log/tty/20180506-174452-None-0i.log", recording},
		{"tty", ""},
		{"atty/" + hash, ""},
		{"ttys/" + hash, ""},
		{"tty.d/" + hash, ""},

		{hash, ""},
		{strings.ToUpper(hash), ""},
		{hash + ".bin", ""},
		{"malware", ""},
		{"../../etc/passwd", ""},
		{"/etc/passwd", ""},
		{"\xff\xfe", ""},
		{"a\nb", ""},
		{"", ""},
	} {
		if got := passedOver(c.name, 0, 1, max); got != c.want {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
	}

	for _, c := range []struct {
		mode fs.FileMode
		size int64
		want string
	}{
		{0, 0, empty},
		{0o4777, 0, empty},
		{0, 1, ""},
		{0o000, 1, ""},
		{fs.ModeSetuid | fs.ModeSticky, 1, ""},
		{0, max, ""},
		{0, max + 1, "larger than 1000 bytes"},
		{0, 1 << 62, "larger than 1000 bytes"},
		{0, -1, ""}, // an archive claims it; only reading tells
		{fs.ModeSymlink, 5, symlink},
		{fs.ModeSymlink | fs.ModeDir, 5, symlink},
		{fs.ModeNamedPipe, 0, notAFile},
		{fs.ModeSocket, 0, notAFile},
		{fs.ModeDevice, 0, notAFile},
		{fs.ModeDevice | fs.ModeCharDevice, 5, notAFile},
		{fs.ModeIrregular, 5, notAFile},
		{fs.ModeDir, 5, notAFile},
	} {
		if got := passedOver(hash, c.mode, c.size, max); got != c.want {
			t.Errorf("a file of mode %v and %d bytes: %q, want %q", c.mode, c.size, got, c.want)
		}
	}
	// What it is counts before what it is called, and that before its size.
	for _, c := range []struct {
		name string
		mode fs.FileMode
		size int64
		want string
	}{
		{"tmpABCDEFGH", fs.ModeSymlink, 1, symlink},
		{".gitignore", fs.ModeNamedPipe, 1, notAFile},
		{"tmpABCDEFGH", 0, 0, workingFile},
		{".gitignore", 0, 0, gitIgnore},
		{"tty/" + hash, 0, 0, recording},
		{"tmpABCDEFGH", 0, max + 1, workingFile},
	} {
		if got := passedOver(c.name, c.mode, c.size, max); got != c.want {
			t.Errorf("%q of mode %v and %d bytes: %q, want %q", c.name, c.mode, c.size, got, c.want)
		}
	}
}

// TestMisnamed compares names with the content that they promise.
func TestMisnamed(t *testing.T) {
	hash, other := strings.Repeat("a0", 32), strings.Repeat("b1", 32)
	for _, c := range []struct {
		name, shasum, promised string
		misnamed               bool
	}{
		{hash, hash, hash, false},
		{hash, other, hash, true},
		{strings.ToUpper(hash), hash, hash, false},
		{strings.ToUpper(hash), other, hash, true},
		{hash + ".bin", hash, hash, false},
		{hash + ".bin.1", other, hash, true},
		{hash + ".", other, hash, true},
		{"sub/dir/" + hash, other, hash, true},
		{"/" + hash, other, hash, true},
		{other + "/" + hash, hash, hash, false},
		{hash, "", hash, false}, // it could not be read
		{hash[1:], other, "", false},
		{hash + "0", other, "", false},
		{hash + "_1", other, "", false},
		{hash + "\n", other, "", false},
		{"g" + hash[1:], other, "", false},
		{"x" + hash, other, "", false},
		{hash + "/x", other, "", false},
		{"malware", other, "", false},
		{"", other, "", false},
		{"\xff" + hash, other, "", false},
	} {
		if got := promised(c.name); got != c.promised {
			t.Errorf("%q promises %q, want %q", c.name, got, c.promised)
		}
		if got := Misnamed(c.name, c.shasum); got != c.misnamed {
			t.Errorf("Misnamed(%q, %.8q) is %v", c.name, c.shasum, got)
		}
	}
}
