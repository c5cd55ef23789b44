package render

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecord(t *testing.T) {
	fields := []Field{
		{Name: "shasum", Title: "SHA-256", Kind: Hash, Value: "8a68"},
		{Name: "download_url", Kind: URL, Value: "http://evil.com/x\x1b"},
		{Name: "file_size", Kind: Bytes, Value: 2048},
		{Name: "label", Value: nil},
		{Name: "a\u202e\n=", Value: json.RawMessage("[1,\n2]")},
	}
	for _, c := range []struct {
		format Format
		want   string
	}{
		{Table, lines(
			`SHA-256:       8a68`,
			`download url:  hxxp://evil[.]com/x\x1b`,
			`file size:     2.0 KiB`,
			`label:`,
			`a\u202e\x0a=:  [1,2]`,
		)},
		{JSON, lines(
			`{`,
			`  "shasum": "8a68",`,
			`  "download_url": "http://evil.com/x\u001b",`,
			`  "file_size": 2048,`,
			`  "label": null,`,
			`  "a\u202e\n=": [1,`,
			`2]`,
			`}`,
		)},
		{JSONL, lines(`{"shasum":"8a68","download_url":"http://evil.com/x\u001b","file_size":2048,"label":null,"a\u202e\n=":[1,2]}`)},
		{CSV, lines(`shasum,download_url,file_size,label,a\u202e\x0a=`, `8a68,http://evil.com/x\x1b,2048,,"[1,2]"`)},
	} {
		t.Run(string(c.format), func(t *testing.T) {
			var out bytes.Buffer
			if err := Record(&out, c.format, fields); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRecordErrors(t *testing.T) {
	for _, f := range []Format{Table, JSON, JSONL, CSV, "xml"} {
		var out bytes.Buffer
		if err := Record(&out, f, []Field{{Name: "a", Value: func() {}}}); err == nil || out.Len() > 0 {
			t.Errorf("%s: a function is taken: %v, %q", f, err, out.String())
		}
	}
}
