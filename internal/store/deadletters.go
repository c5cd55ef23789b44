package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"midden/internal/cowrie"
)

// DeadLetter is a stored dead letter.
type DeadLetter struct {
	ID         int64
	Reason     string
	Source     string // the file it was read from
	Offset     int64  // in the decompressed content, bytes
	Length     int64  // bytes
	CreatedAt  cowrie.Time
	Resolved   bool
	ResolvedAt cowrie.Time
	// Line is the line, exactly; nil if it was too long to be kept.
	Line []byte
	// Foreign: cowrieprocessor wrote it, and Line is the event it would not have.
	Foreign bool
}

// DeadLetterFilter says which dead letters.
type DeadLetterFilter struct {
	ID       int64 // 0: any
	Reason   string
	Resolved bool // those that became events too
	Limit    int  // 0: all
}

// DeadLetters calls f for each dead letter that fits, the newest first.
func (s *Store) DeadLetters(ctx context.Context, q DeadLetterFilter, f func(*DeadLetter) error) error {
	var where conditions
	if q.ID != 0 {
		where.add("id = ?", q.ID)
	}
	if q.Reason != "" {
		where.add("reason = ?", q.Reason)
	}
	if !q.Resolved {
		where.add("NOT resolved")
	}
	return s.each(ctx, `SELECT id, reason, source, coalesce(source_offset, 0), coalesce(length, 0), created_at, resolved,
		resolved_at, payload, digest IS NULL FROM dead_letter_events`+where.clause()+` ORDER BY id DESC`+limit(q.Limit),
		where.args, func(scan func(...any) error) error {
			d := &DeadLetter{}
			var payload string
			if err := scan(&d.ID, &d.Reason, scanText{&d.Source}, &d.Offset, &d.Length, scanTime{&d.CreatedAt},
				&d.Resolved, scanTime{&d.ResolvedAt}, scanText{&payload}, &d.Foreign); err != nil {
				return err
			}
			if d.Line = []byte(payload); !d.Foreign {
				var err error
				if d.Line, err = deadLine(payload); err != nil {
					return fmt.Errorf("dead letter %d: %w", d.ID, err)
				}
			}
			return f(d)
		})
}

func deadPayload(d *cowrie.DeadLetter, valid bool) (string, error) {
	payload := map[string]any{}
	switch {
	case d.Line == nil:
		payload["length"] = d.Length
	case valid:
		payload["line"] = string(d.Line)
	default:
		payload["line_base64"] = base64.StdEncoding.EncodeToString(d.Line)
	}
	text, err := json.Marshal(payload)
	return string(text), err
}

func deadLine(payload string) ([]byte, error) {
	var p struct {
		Line   *string `json:"line"`
		Base64 []byte  `json:"line_base64"`
	}
	if err := json.Unmarshal([]byte(payload), &p); err != nil {
		return nil, err
	}
	if p.Line != nil {
		return []byte(*p.Line), nil
	}
	return p.Base64, nil
}
