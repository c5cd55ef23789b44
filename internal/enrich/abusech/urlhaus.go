package abusech

import (
	"net/url"

	"midden/internal/cowrie"
	"midden/internal/enrich/source"
)

// URLhausURL is the server of URLhaus's API.
const URLhausURL = "https://urlhaus-api.abuse.ch"

// URLhaus asks URLhaus. Each call is one request. It may be used by several
// goroutines at once.
type URLhaus struct{ client }

// NewURLhaus returns a client, or the error of source.NewClient. It asks nothing
// yet.
func NewURLhaus(o source.Options) (*URLhaus, error) {
	c, err := client{
		title: "URLhaus",
		name:  cowrie.SourceURLhaus,
		path:  []string{"payload", ""}, // with a slash at its end
		form:  func(shasum string) url.Values { return url.Values{"sha256_hash": {shasum}} },
		parse: parsePayload,
	}.connect(URLhausURL, "/v1", o)
	if err != nil {
		return nil, err
	}
	return &URLhaus{c}, nil
}

// parsePayload reads what URLhaus has of a file. An answer in which both hashes are
// null is about none: the file is not known.
func parsePayload(body []byte, shasum string) (*entry, error) {
	var b struct {
		SHA256    value  `json:"sha256_hash"`
		MD5       value  `json:"md5_hash"`
		Signature string `json:"signature"` // the family; null if it is not known
		FileType  string `json:"file_type"` // such as elf
		FirstSeen string `json:"firstseen"`
	}
	source.Decode(body, &b)
	named, ok := cowrie.Shasum([]byte(b.SHA256.text))
	switch {
	case named == shasum:
		return &entry{b.Signature, b.FileType, b.FirstSeen}, nil
	case ok:
		return nil, source.ErrOtherFile
	case b.SHA256.null && b.MD5.null:
		return nil, nil
	}
	return nil, source.ErrNotTheirs
}
