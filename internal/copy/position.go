package copy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"midden/internal/cowrie"
)

// position is the key of a row. As JSON, which holds no text that is no UTF-8, each
// part of it is a text that begins with a letter for its type.
type position []any

func (p position) MarshalJSON() ([]byte, error) {
	parts := make([]string, len(p))
	for i, v := range p {
		switch v := v.(type) {
		case int64:
			parts[i] = "i" + strconv.FormatInt(v, 10)
		case string:
			parts[i] = "s" + base64.StdEncoding.EncodeToString([]byte(v))
		case []byte:
			parts[i] = "b" + base64.StdEncoding.EncodeToString(v)
		case cowrie.Time:
			parts[i] = "t" + v.String()
		default:
			return nil, fmt.Errorf("a key is of the Go type %T", v)
		}
	}
	return json.Marshal(parts)
}

func (p *position) UnmarshalJSON(text []byte) error {
	var parts []string
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	*p = nil
	for _, part := range parts {
		v, err := keyPart(part)
		if err != nil {
			return fmt.Errorf("the key %q: %w", part, err)
		}
		*p = append(*p, v)
	}
	return nil
}

func keyPart(part string) (any, error) {
	if part == "" {
		return nil, strconv.ErrSyntax
	}
	rest := part[1:]
	switch part[0] {
	case 'i':
		return strconv.ParseInt(rest, 10, 64)
	case 's':
		text, err := base64.StdEncoding.DecodeString(rest)
		return string(text), err
	case 'b':
		return base64.StdEncoding.DecodeString(rest)
	case 't':
		if at, ok := cowrie.ParseTime([]byte(rest)); ok {
			return at, nil
		}
	}
	return nil, strconv.ErrSyntax
}
