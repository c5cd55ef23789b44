package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"midden/internal/cowrie"
)

// item is a change on its way.
type item struct {
	*cowrie.Change
	verb    string // create, index, delete
	index   string // a data stream, an alias or an index
	id      string
	alias   bool  // index has to be an alias: else the server would make an index of that name
	version int64 // of a document that never becomes older; 0 for others
	body    []byte
	// unsure: it may be there already, in whatever index of a data stream.
	unsure bool
	// What came of it.
	done     bool
	problem  string
	status   int    // of the last answer that was neither
	why      string // what that said
	attempts int    // so many there were
}

// settled reports whether there is nothing left to do.
func (it *item) settled() bool { return it.done || it.problem != "" }

// mostAttempts is how often an item is sent that the server fails at, though it does
// not say that it has too much to do.
const mostAttempts = 5

// append adds the item to a body of a bulk request.
func (it *item) append(b []byte) []byte {
	action := map[string]any{"_index": it.index, "_id": it.id}
	if it.alias {
		action["require_alias"] = true
	}
	if it.version > 0 {
		action["version"], action["version_type"] = it.version, "external_gte"
	}
	line, _ := json.Marshal(map[string]any{it.verb: action}) // texts and numbers
	b = append(append(b, line...), '\n')
	if it.verb != "delete" {
		b = append(append(b, it.body...), '\n')
	}
	return b
}

// size is about how many bytes the item takes in a bulk request.
func (it *item) size() int { return len(it.body) + len(it.id) + len(it.index) + 100 }

// errLost says that a document went to an index that is not of the data stream: the
// server has made one of its name.
var errLost = errors.New("is no data stream any more, but an index: delete it, and run \"midden elastic install\" and \"midden elastic publish --rebuild\"")

// leftError says that items are to be sent again.
type leftError struct {
	left, of int
	why      string // of the first
}

func (e *leftError) Error() string { return fmt.Sprintf("%d of %d items: %s", e.left, e.of, e.why) }

// bulk makes one request and looks at each answer. What is neither done nor refused is
// to be sent again. If there is an error that may pass, it is not known what was done.
func (c *Client) bulk(ctx context.Context, items []*item) error {
	var body []byte
	for _, it := range items {
		body = it.append(body)
	}
	var answer struct {
		Items []map[string]struct {
			Index  string `json:"_index"`
			Status int
			Error  *cause
		}
	}
	err := c.send(ctx, http.MethodPost, "/_bulk?filter_path=items.*._index,items.*.status,items.*.error", "application/x-ndjson", body, &answer)
	if err != nil {
		return err
	}
	if len(answer.Items) != len(items) {
		return &Error{Doing: "POST /_bulk", Err: fmt.Errorf("%d of %d items were answered", len(answer.Items), len(items))}
	}
	for i, it := range items {
		for _, a := range answer.Items[i] {
			it.status, it.why = a.Status, fmt.Sprint("HTTP ", a.Status)
			if a.Error != nil {
				it.why = clip(c.clean(it.why + ": " + a.Error.Type + ": " + a.Error.text()))
			}
			if err := it.answered(a.Index); err != nil {
				return err
			}
		}
	}
	return nil
}

// answered looks at the answer to an item, that came from an index. The error is one that
// all items would have.
func (it *item) answered(index string) error {
	switch s := it.status; {
	case s < 300 && it.verb == "create" && index == it.index:
		it.done = true
		return fmt.Errorf("%s %w", it.index, errLost)
	case s < 300,
		s == http.StatusConflict, // it is there, or something newer is
		s == http.StatusNotFound && it.verb == "delete":
		it.done = true
	case s == http.StatusNotFound && it.alias:
		return fmt.Errorf("there is no alias %s: %w", it.index, ErrNotInstalled)
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		return &Error{Doing: "POST /_bulk to " + it.index, Status: s, Reason: it.why}
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
	case s >= 500 && it.attempts+1 < mostAttempts:
		it.attempts++
	default:
		it.problem = it.why
	}
	return nil
}

// indices of at the most so many documents are asked about at once.
const askedAtOnce = 10_000

// where returns the indices in which some documents are, of those that make up a
// place: an id is unique in each of them alone.
func (c *Client) where(ctx context.Context, indices, ids []string) (map[string]string, error) {
	found := map[string]string{}
	step := max(1, askedAtOnce/max(1, len(indices)))
	for len(ids) > 0 {
		n := min(step, len(ids))
		var docs []map[string]any
		for _, index := range indices {
			for _, id := range ids[:n] {
				docs = append(docs, map[string]any{"_index": index, "_id": id, "_source": false})
			}
		}
		ids = ids[n:]
		if len(docs) == 0 {
			continue
		}
		var answer struct {
			Docs []struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
				Found bool
			}
		}
		if err := c.do(ctx, http.MethodPost, "/_mget", map[string]any{"docs": docs}, &answer); err != nil {
			return nil, err
		}
		for _, d := range answer.Docs {
			if d.Found {
				found[d.ID] = d.Index
			}
		}
	}
	return found, nil
}

// forget deletes documents of a data stream, whose own name takes none away.
func (c *Client) forget(ctx context.Context, stream string, ids []string) error {
	if err := c.do(ctx, http.MethodPost, "/"+stream+"/_refresh", nil, nil); err != nil {
		return err
	}
	var answer struct{ Failures []json.RawMessage }
	err := c.do(ctx, http.MethodPost, "/"+stream+"/_delete_by_query?refresh=true&conflicts=proceed",
		map[string]any{"query": map[string]any{"ids": map[string]any{"values": ids}}}, &answer)
	if err == nil && len(answer.Failures) > 0 {
		err = fmt.Errorf("delete from %s: %s", stream, answer.Failures[0])
	}
	return err
}
