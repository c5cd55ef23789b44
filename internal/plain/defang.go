package plain

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Defang makes the URLs in s unclickable, wherever they stand in it:
//
//   - http becomes hxxp, https hxxps, ftp fxp, in any case, whatever stands
//     before them (so tftp is tfxp), also with slashes that are turned or
//     escaped (http:\\, http:\/\/);
//   - the dots of the host become [.], for any scheme that is followed by ://
//     and for names without a scheme that terminals take for links (www.…,
//     ftp.….…).
//
// Path and query stay as they are. Defanging twice is defanging once. Defang
// does not escape: text for a terminal is Escape(Defang(s)), in this order.
func Defang(s string) string {
	return bracketBareNames(defangURLs(s))
}

// DefangHost writes the dots of a host's name or address [.], as Defang does within a
// URL.
func DefangHost(host string) string {
	var b strings.Builder
	writeBracketed(&b, host)
	return b.String()
}

func defangURLs(s string) string {
	var b strings.Builder
	done := 0 // s[:done] is in b
	for from := 0; ; {
		colon := strings.IndexByte(s[from:], ':')
		if colon < 0 {
			break
		}
		colon += from
		from = colon + 1

		start := colon
		for start > done && isSchemeByte(s[start-1]) {
			start--
		}
		scheme, rest := s[start:colon], s[colon+1:]
		host := rest[slashes(rest):]
		hasSlash := len(host) < len(rest)
		if hasSlash && isTail.MatchString(scheme) && start > 0 && endsInHex(s[start-1]) {
			scheme = strings.NewReplacer("t", "x", "T", "X").Replace(scheme)
		} else if !(hasSlash && isWeb(scheme)) && !(scheme != "" && strings.HasPrefix(rest, "//")) {
			continue
		}
		end := authorityEnd(host)
		b.WriteString(s[done:start])
		b.WriteString(disarmScheme(scheme))
		b.WriteString(s[colon : len(s)-len(host)])
		writeBracketed(&b, host[:end])
		done = len(s) - len(host) + end
		from = done
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func isSchemeByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
}

// slashes counts the slashes and backslashes that s starts with.
func slashes(s string) int {
	return len(s) - len(strings.TrimLeft(s, `/\`))
}

// A bare tp counts as ftp: after a character that Escape writes with a final f
// (\u202f, \xff) it would become one. It does behind a dot, too, which may be
// in brackets the next time.
var (
	webScheme = regexp.MustCompile(`(?i)(?:http|ftp|(?:^|\.)tp)s?$`)
	clickable = regexp.MustCompile(`(?i)http|ftp|(?:^|\.)tp`)
)

// isWeb reports whether scheme ends in one that is clicked on.
func isWeb(scheme string) bool { return webScheme.MatchString(scheme) }

// isTail is ftp without its first letter, which the last hex digit of an escape
// may give back: the byte 0xbf and tp: are shown as \xbftp:.
var isTail = regexp.MustCompile(`(?i)^tps?$`)

// endsInHex reports whether Escape may write a character that ends in c as hex.
func endsInHex(c byte) bool { return c < ' ' || c > '~' }

// disarmScheme turns the t of http and ftp into an x, in the same case.
func disarmScheme(scheme string) string {
	return clickable.ReplaceAllStringFunc(scheme, func(m string) string {
		return strings.NewReplacer("t", "x", "T", "X").Replace(m)
	})
}

// authorityEnd returns where user, host and port of a URL end. A character that
// is not seen does not end them: resolvers skip some of those. The scheme of
// another URL does (http://http://…).
func authorityEnd(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r < ' ' || strings.ContainsRune("/\\?#\"'`<>|;,(){}&^", r)
	})
	if end < 0 {
		return len(s)
	}
	if slashes(s[end:]) > 0 && strings.HasSuffix(s[:end], ":") {
		for end--; end > 0 && isSchemeByte(s[end-1]); {
			end--
		}
	}
	return end
}

// writeBracketed writes host with its dots in brackets, and the ideographic
// dots that resolvers read as dots too. A dot in brackets stays as it is.
func writeBracketed(b *strings.Builder, host string) {
	for i := 0; i < len(host); {
		r, n := utf8.DecodeRuneInString(host[i:])
		switch r {
		case '.', '。', '．', '｡':
			if !(i > 0 && host[i-1] == '[' && strings.HasPrefix(host[i+n:], "]")) {
				b.WriteString("[" + host[i:i+n] + "]")
				break
			}
			fallthrough
		default:
			b.WriteString(host[i : i+n])
		}
		i += n
	}
}

// One dot is enough after www; after ftp there must be two, or every script that
// is called ftp1.sh would be taken for a host.
var bareName = regexp.MustCompile(`(?i)\b(?:www[0-9]{0,3}\.[\pL\pN_-]|ftp[0-9]{0,3}\.[\pL\pN_-]+\.[\pL\pN_-])[\pL\pN._-]*`)

func bracketBareNames(s string) string {
	if strings.IndexByte(s, '.') < 0 {
		return s
	}
	return bareName.ReplaceAllStringFunc(s, func(name string) string {
		var b strings.Builder
		writeBracketed(&b, name)
		return b.String()
	})
}
