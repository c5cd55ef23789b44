package reporttest

import (
	"reflect"
	"strings"

	"midden/internal/cowrie"
	"midden/internal/report"
)

// Naughty are texts that would do something, or break something, if a form of a report
// let them.
var Naughty = []string{
	"", " ", "  two  spaces  ", "-", "a|b", `a\|b\`, `\`, "`", "``", " ` ", "```\nx\n```", "a``b`c", "*a* _b_ ~~c~~", "# heading", "1. list", "- list", "> quote",
	"| a | b |\n|---|---|\n| c | d |", "---", "===", "[a](http://evil.invalid)", "![a](http://evil.invalid/x.png)", "<http://evil.invalid>", "[a]: http://evil.invalid", "[^1]", "- [ ] task",
	"http://evil.invalid/x?a=b&c=d#e", "HTTPS://EVIL.INVALID", "ftp://evil.invalid", "www.evil.invalid", "someone@evil.invalid", "mailto:someone@evil.invalid", "xmpp:a@b.invalid", "@everyone", "#1", "GH-1", ":smile:", "$x^2$", "$$x$$",
	"<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", `"><svg onload=alert(1)>`, `' onmouseover='alert(1)`, `" autofocus onfocus="alert(1)`,
	"</style><script>alert(1)</script>", "</title><script>alert(1)</script>", "</td></tr></table><h1>", "<!-- ", "-->", "<![CDATA[", "]]>", "<?php", "<!DOCTYPE html>", "<a href=javascript:alert(1)>x</a>", "javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
	"<iframe src=http://evil.invalid></iframe>", `<meta http-equiv="refresh" content="0;url=http://evil.invalid">`, "<base href=http://evil.invalid>", "<link rel=stylesheet href=//evil.invalid>", "<style>*{display:none}</style>", "<form action=http://evil.invalid><input>",
	"expression(alert(1))", "url(http://evil.invalid)", "@import 'http://evil.invalid'", "}*{color:red", "<details open ontoggle=alert(1)>", "<math><mi xlink:href=javascript:alert(1)>", "<svg><use href=http://evil.invalid#x></svg>", "<plaintext>", "<xmp>", "<noscript>",
	"&lt;script&gt;", "&amp;", "&#60;", "&", "<", ">", `"`, "'", "{{.}}", "{{template \"x\"}}", "${7*7}", "%s%n%00", "<%= 1 %>",
	"=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", `"=1"`, "＝1", "a,b;c\td", "\"quoted\",\"more\"", "a\nb", "a\r\nb", "\n",
	"\x00", "\x07", "\x1b[31mred\x1b[0m", "\x1b]8;;http://evil.invalid\x07click\x1b]8;;\x07", "\u009b31m", "\u202egpj.exe", "\u2066a\u2069", "a\u200bb", "\ufeff", "\u2028", "\u2029", "\u00a0", "\u00ad", "e\u0301\u0301\u0301\u0301\u0301\u0301",
	"\xff\xfe", "caf\xe9", "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80", "\ufffd", "\uffff", "\U0010ffff", "пароль", "密码", "كلمة", "🦀", "שלום <b>", `\x1b`, `\u202e`, `C:\Windows\new`, "../../etc/passwd", "/", "CON", ".", "..", "~",
	strings.Repeat("A", 5000), strings.Repeat("<b>", 200), strings.Repeat("`", 50), strings.Repeat("\u0301", 30), strings.Repeat("a b ", 200), strings.Repeat("http://evil.invalid/", 40),
}

// Hostile returns a report in which every text is one of these: a list has a row for
// each of them.
func Hostile(texts []string) *report.Document {
	d := Empty()
	fill(reflect.ValueOf(d).Elem(), texts, 0)
	d.DaysIncluded = len(texts)
	return d
}

func fill(v reflect.Value, texts []string, i int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts[i%len(texts)])
	case reflect.Struct:
		for f := range v.NumField() {
			fill(v.Field(f), texts, i)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), len(texts), len(texts)))
		for j := range len(texts) {
			if element := v.Index(j); element.Kind() == reflect.Struct && hasSlice(element.Type()) {
				// A row of its own for each text, not for each pair of them.
				fill(element, texts[j:j+1], 0)
			} else {
				fill(element, texts, j)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), texts, i)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(i) + 1)
		if v.Type() == reflect.TypeFor[cowrie.Time]() {
			v.SetInt(int64(at("2026-03-28T12:00:00Z")) + int64(i))
		}
	case reflect.Float64:
		v.SetFloat(float64(i) + 0.25)
	}
}

func hasSlice(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).Type.Kind() == reflect.Slice {
			return true
		}
	}
	return false
}
