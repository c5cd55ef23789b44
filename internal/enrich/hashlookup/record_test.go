package hashlookup

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// FuzzParse: no reply makes it panic, and what it takes for an answer is one about
// the file that was asked for, fit for every database.
func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"SHA-256":"` + strings.ToUpper(hashA) + `","FileName":"ls","ProductCode":{"ProductName":"x"},"hashlookup:trust":100}`,
		`{"SHA-256":"` + hashB + `"}`, `{"hashlookup:trust":"NaN"}`, `{"hashlookup:trust":"Infinity"}`, `{"hashlookup:trust":1e999}`, `{"hashlookup:trust":-1,"KnownMalicious":[]}`,
		`{"KnownMalicious":"VirusShare","hashlookup:trust":100}`, `{"message":"Non existing SHA-256","query":"` + hashA + `"}`,
		`{"message":"Non existing SHA-256","query":"` + hashB + `"}`, `{"FileName":"a\u0000\ud800","hashlookup:trust":50}`, "<html>", "", "null", "[]",
	} {
		f.Add(200, []byte(body))
		f.Add(404, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := parse(&source.Reply{Status: status, Body: body}, hashA)
		if err != nil {
			if !errors.Is(err, source.ErrNotTheirs) && !errors.Is(err, source.ErrOtherFile) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		v := a.Verdict
		if v.Shasum != hashA || v.Source != cowrie.SourceHashlookup || a.Known != (status == 200) || v.Listed != a.Known {
			t.Errorf("%+v", a)
		}
		if a.Good && (!a.Known || v.Classification != "") {
			t.Errorf("good, but %+v", v)
		}
		for _, text := range []string{v.Classification, v.Description} {
			if len(text) > 256 || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
				t.Errorf("text %q", text)
			}
		}
	})
}

// FuzzNumber: what is taken for a number is one.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"1", `"2.5"`, `"NaN"`, `"-Inf"`, "1e999", `"0x1p4"`, `"1_0"`, "null", `""`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n := number{value: noOpinion}
		if err := n.UnmarshalJSON(text); err != nil || math.IsNaN(n.value) || math.IsInf(n.value, 0) || !n.told && n.value != noOpinion {
			t.Errorf("%q is %v, %v", text, n, err)
		}
	})
}
