package virustotal

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"midden/internal/cowrie"
)

var (
	hashA = strings.Repeat("a1", 32)
	hashB = strings.Repeat("b2", 32)
)

// whole is an answer as VirusTotal gives it.
var whole = `{"data": {"id": "` + hashA + `", "type": "file", "links": {"self": "https://vt.test/x"}, "attributes": {
	"sha256": "` + hashA + `", "type_description": "ELF", "type_tag": "elf", "size": 1234, "names": ["a", "b"],
	"reputation": -11, "first_submission_date": 1690000000, "last_analysis_date": 1700000000,
	"last_analysis_stats": {"malicious": 41, "suspicious": 1, "undetected": 20, "harmless": 2, "timeout": 3,
		"confirmed-timeout": 4, "failure": 5, "type-unsupported": 14},
	"last_analysis_results": {"Engine": {"category": "malicious", "result": "x"}},
	"popular_threat_classification": {"suggested_threat_label": "trojan.made/up",
		"popular_threat_name": [{"count": 3, "value": "up"}]}}}}`

func at(text string) cowrie.Time {
	t, ok := cowrie.ParseTime([]byte(text))
	if !ok {
		panic(text)
	}
	return t
}

// verdict returns a verdict on hashA with the numbers that engines gave.
func verdict(malicious, suspicious, undetected, harmless, total int, more ...func(*cowrie.Verdict)) cowrie.Verdict {
	v := cowrie.NewVerdict(hashA, cowrie.SourceVirusTotal, cowrie.NoTime)
	v.Malicious, v.Suspicious, v.Undetected, v.Harmless, v.Total = malicious, suspicious, undetected, harmless, total
	for _, f := range more {
		f(&v)
	}
	return v
}

// with returns an answer about hashA with these members of its attributes.
func with(attributes string) string {
	return `{"data":{"id":"` + hashA + `","type":"file","attributes":{` + attributes + `}}}`
}

const someStats = `"last_analysis_stats":{"malicious":0,"undetected":60}`

func TestParseFile(t *testing.T) {
	full := verdict(41, 1, 20, 2, 64, func(v *cowrie.Verdict) {
		v.AnalysedAt, v.FirstSubmission = at("2023-11-14T22:13:20"), at("2023-07-22T04:26:40")
		v.Classification, v.Description = "trojan.made/up", "ELF"
	})
	dated := func(analysed, submitted string) func(*cowrie.Verdict) {
		return func(v *cowrie.Verdict) {
			if analysed != "" {
				v.AnalysedAt = at(analysed)
			}
			if submitted != "" {
				v.FirstSubmission = at(submitted)
			}
		}
	}
	clean := func(more ...func(*cowrie.Verdict)) cowrie.Verdict { return verdict(0, -1, 60, -1, 60, more...) }
	for name, c := range map[string]struct {
		body string
		want cowrie.Verdict
	}{
		"whole":                 {whole, full},
		"white space":           {"\n\t " + whole + "\r\n", full},
		"upper case":            {strings.ReplaceAll(whole, hashA, strings.ToUpper(hashA)), full},
		"nothing but this":      {with(someStats), clean()},
		"no id":                 {`{"data":{"attributes":{"sha256":"` + hashA + `",` + someStats + `}}}`, clean()},
		"an id that is no hash": {strings.Replace(with(`"sha256":"`+hashA+`",`+someStats), hashA, "4711", 1), clean()},
		"nulls": {`{"data":{"id":"` + hashA + `","type":null,"attributes":{"sha256":null,"last_analysis_date":null,
			"first_submission_date":null,"type_description":null,"popular_threat_classification":null,` + someStats + `}}}`, clean()},
		"nulls among the numbers": {with(`"last_analysis_stats":{"malicious":3,"suspicious":null,"undetected":4}`),
			verdict(3, -1, 4, -1, 7)},
		"no engine has an opinion": {with(`"last_analysis_stats":{"malicious":0,"suspicious":0,"undetected":0,"harmless":0,"type-unsupported":70}`),
			verdict(0, 0, 0, 0, 0)},
		"numbers as text": {with(`"last_analysis_stats":{"malicious":"41","undetected":" 20 ","harmless":"2.0","suspicious":1.0}`),
			verdict(41, 1, 20, 2, 64)},
		"dates as text": {with(`"last_analysis_date":"2023-11-14 22:13:20+00:00","first_submission_date":"2023-07-22 04:26:40",` + someStats),
			clean(dated("2023-11-14T22:13:20", "2023-07-22T04:26:40"))},
		"dates as text of numbers": {with(`"last_analysis_date":"1700000000","first_submission_date":"1690000000.5",` + someStats),
			clean(dated("2023-11-14T22:13:20", "2023-07-22T04:26:40.500000"))},
		"dates that say nothing": {with(`"last_analysis_date":"unknown","first_submission_date":0,` + someStats), clean()},
		"dates of another type":  {with(`"last_analysis_date":["2023"],"first_submission_date":{"a":1},` + someStats), clean()},
		"text of another type": {with(`"type_description":7,"popular_threat_classification":["x"],` + someStats +
			`,"last_analysis_date":1700000000`), clean(dated("2023-11-14T22:13:20", ""))},
		"the object of a library": {with(`"last_analysis_stats":{"_on_change_callback":{},"data":{"malicious":3,"undetected":60,"failure":1}},
			"first_submission_date":"2023-07-22 04:26:40+00:00"`), verdict(3, -1, 60, -1, 63, dated("", "2023-07-22T04:26:40"))},
		"without the wrapping": {`{"id":"` + hashA + `","type":"file","attributes":{"last_analysis_date":1700000000,` + someStats + `}}`,
			clean(dated("2023-11-14T22:13:20", ""))},
		"attributes alone": {`{"sha256":"` + hashA + `","type_description":"ELF",` + someStats + `}`,
			clean(func(v *cowrie.Verdict) { v.Description = "ELF" })},
		"an error that is none": {`{"error":null,` + with(someStats)[1:], clean()},
	} {
		got, err := ParseFile([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseFileRefuses(t *testing.T) {
	stats := func(s string) string { return with(`"last_analysis_stats":` + s) }
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"nothing":             {"", ErrEmpty},
		"white space":         {" \n\t", ErrEmpty},
		"HTML":                {"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", ErrNotJSON},
		"zero bytes":          {strings.Repeat("\x00", 100), ErrNotJSON},
		"a list":              {"[" + whole + "]", ErrNotJSON},
		"null":                {"null", ErrNotJSON},
		"cut in the middle":   {whole[:len(whole)/2], ErrBroken},
		"cut at the end":      {whole[:len(whole)-1], ErrBroken},
		"written into":        {whole + whole[100:], ErrBroken},
		"too deep":            {`{"data":` + strings.Repeat("[", 1e6), ErrBroken},
		"an object":           {"{}", ErrNoHash},
		"data is text":        {`{"data":"x"}`, ErrNoHash},
		"data is a list":      {`{"data":[` + with(someStats) + `]}`, ErrNoHash},
		"a short hash":        {strings.ReplaceAll(whole, hashA, hashA[2:]), ErrNoHash},
		"a hash of no hex":    {strings.ReplaceAll(whole, hashA, strings.Repeat("g1", 32)), ErrNoHash},
		"a URL":               {strings.Replace(whole, `"file"`, `"url"`, 1), ErrNoHash},
		"two hashes":          {strings.Replace(whole, hashA, hashB, 1), ErrTwoFiles},
		"no attributes":       {`{"data":{"id":"` + hashA + `","type":"file"}}`, ErrNoStats},
		"no stats":            {with(`"size":7`), ErrNoStats},
		"stats are null":      {stats(`null`), ErrNoStats},
		"stats are text":      {stats(`"many"`), ErrNoStats},
		"stats are empty":     {stats(`{}`), ErrNoStats},
		"no malicious":        {stats(`{"undetected":60}`), ErrNoStats},
		"malicious is null":   {stats(`{"malicious":null,"undetected":60}`), ErrNoStats},
		"negative":            {stats(`{"malicious":-1}`), ErrAbsurd},
		"negative text":       {stats(`{"malicious":"-1"}`), ErrAbsurd},
		"huge":                {stats(`{"malicious":1,"harmless":100000}`), ErrAbsurd},
		"huger":               {stats(`{"malicious":1,"harmless":1e999}`), ErrAbsurd},
		"half an engine":      {stats(`{"malicious":1.5}`), ErrAbsurd},
		"no number":           {stats(`{"malicious":"NaN"}`), ErrAbsurd},
		"a list of numbers":   {stats(`{"malicious":[1]}`), ErrAbsurd},
		"true":                {stats(`{"malicious":true}`), ErrAbsurd},
		"a negative time":     {with(`"last_analysis_date":-5,` + someStats), ErrAbsurd},
		"a time of far away":  {with(`"first_submission_date":1e12,` + someStats), ErrAbsurd},
		"a time of no number": {with(`"first_submission_date":1e999,` + someStats), ErrAbsurd},
	} {
		v, err := ParseFile([]byte(c.body))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got the error %v, want %v", name, err, c.want)
		}
		if diff := cmp.Diff(cowrie.Verdict{}, v); diff != "" {
			t.Errorf("%s: a verdict all the same:\n%s", name, diff)
		}
	}
}

func TestParseFileAnswerError(t *testing.T) {
	for _, c := range []struct{ body, code, text string }{
		{`{"error":{"code":"QuotaExceededError","message":"Quota exceeded"}}`, "QuotaExceededError",
			"VirusTotal answered with an error: QuotaExceededError: Quota exceeded"},
		{`{"error":{"code":"NotFoundError"},` + whole[1:], "NotFoundError", "VirusTotal answered with an error: NotFoundError"},
		{`{"error":"no"}`, "", "VirusTotal answered with an error"},
		{`{"error":{"code":` + fmt.Sprintf("%q", strings.Repeat("X", 1000)) + `}}`, strings.Repeat("X", 253) + "…", ""},
	} {
		_, err := ParseFile([]byte(c.body))
		var answer *AnswerError
		if !errors.As(err, &answer) || answer.Code != c.code {
			t.Errorf("%.60s: got %v, want an error of code %q", c.body, err, c.code)
		} else if c.text != "" && err.Error() != c.text {
			t.Errorf("%.60s: says %q, want %q", c.body, err, c.text)
		}
	}
}

func TestParseFileClips(t *testing.T) {
	long := strings.Repeat("é", 300)
	v, err := ParseFile([]byte(with(`"type_description":"` + long + `","popular_threat_classification":{"suggested_threat_label":"x` +
		long + `"},` + someStats)))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{v.Description, v.Classification} {
		if len(text) > 256 || !utf8.ValidString(text) || !strings.HasSuffix(text, "é…") {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	}
}

// FuzzParseFile: no body makes it panic, and what it accepts is sane.
func FuzzParseFile(f *testing.F) {
	for _, body := range []string{
		whole, with(someStats), `{"error":{"code":"NotFoundError"}}`, `{"data":null}`, "<html>", whole[:100],
		with(`"last_analysis_stats":{"data":{"malicious":"3"}},"last_analysis_date":"2023-11-14 22:13:20+00:00"`),
		`{"sha256":"` + hashA + `","last_analysis_date":"1e11","last_analysis_stats":{"malicious":0}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := ParseFile(body)
		if err != nil {
			return
		}
		if lower, ok := cowrie.Shasum([]byte(v.Shasum)); !ok || lower != v.Shasum {
			t.Errorf("hash %q", v.Shasum)
		}
		sum := 0
		for i, n := range []int{v.Malicious, v.Suspicious, v.Undetected, v.Harmless} {
			if n < -1 || n > maxEngines || i == 0 && n < 0 {
				t.Errorf("number %d is %d", i, n)
			}
			sum += max(n, 0)
		}
		if v.Total != sum {
			t.Errorf("total %d, want %d", v.Total, sum)
		}
		for _, at := range []cowrie.Time{v.AnalysedAt, v.FirstSubmission} {
			if year := at.Std().Year(); at != cowrie.NoTime && (year < 1 || year > 9999) {
				t.Errorf("time %v", at.Std().Format(time.RFC3339))
			}
		}
		for _, text := range []string{v.Classification, v.Description} {
			if len(text) > 256 || !utf8.ValidString(text) {
				t.Errorf("text %q", text)
			}
		}
	})
}
