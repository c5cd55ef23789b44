package elastictest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// Fake answers as Elasticsearch or OpenSearch does to what midden asks: templates,
// policies, data streams, aliases, bulk requests, look-ups by id. It searches nothing
// and checks no types. Where it and a real server differ, the real one is right: tests
// run on both.
type Fake struct {
	URL string
	// MaxBody is how large a bulk request may be, in bytes; 0: as large as it is.
	MaxBody int
	// Reject, if not nil, returns why a document is refused; "" if it is not.
	Reject func(index, id string, document map[string]any) string

	t          testing.TB
	openSearch bool
	cluster    string

	mu       sync.Mutex
	faults   []Fault
	things   map[string]json.RawMessage // by path: templates and policies
	streams  map[string][]string        // indices of data streams, the one to write last
	aliases  map[string]string          // alias: index
	indices  map[string]*index
	changes  int // requests that changed something, bulk aside
	bulks    int
	sizes    []int // of bulk bodies, bytes
	headers  []http.Header
	finished chan struct{}
}

type index struct {
	mappings map[string]any
	docs     map[string]*doc
}

type doc struct {
	source  json.RawMessage
	version int64
}

// Fault is what comes of a bulk request in place of an answer.
type Fault struct {
	// Status is the answer, and nothing is done; 0: it is done.
	Status int
	// Items is the status of every so-manieth item of those that are done: Every 2 is
	// every other one, beginning with the first.
	Items, Every int
	// Cut: what was done is answered half. Short: all items but the last are. Silent: it is not answered before the client gives up.
	Cut, Short, Silent bool
	// Then, if not nil, is called when it is done, before it is answered.
	Then func()
}

// NewFake starts a fake; it ends with the test.
func NewFake(t testing.TB, openSearch bool) *Fake {
	f := &Fake{t: t, openSearch: openSearch}
	f.Wipe()
	s := httptest.NewServer(f)
	f.finished = make(chan struct{})
	t.Cleanup(func() {
		close(f.finished)
		s.Close()
	})
	f.URL = s.URL
	return f
}

// Refuse sets Reject while requests are served.
func (f *Fake) Refuse(why func(index, id string, document map[string]any) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Reject = why
}

// Wipe makes it a new, empty cluster.
func (f *Fake) Wipe() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cluster = fmt.Sprintf("cluster-%p-%d", f, len(f.headers))
	f.things, f.streams = map[string]json.RawMessage{}, map[string][]string{}
	f.aliases, f.indices = map[string]string{}, map[string]*index{}
}

// Next has the next bulk requests go wrong, one after the other.
func (f *Fake) Next(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// Documents returns the documents of a data stream, an alias or an index, by id. An id
// that is there twice fails the test.
func (f *Fake) Documents(name string) map[string]map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]map[string]any{}
	for _, i := range f.resolve(name) {
		for id, d := range f.indices[i].docs {
			if all[id] != nil {
				f.t.Errorf("%s has %s twice", name, id)
			}
			var body map[string]any
			json.Unmarshal(d.source, &body)
			all[id] = body
		}
	}
	return all
}

// Indices returns the names of all indices.
func (f *Fake) Indices() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.indices))
}

// Changes returns how many requests changed something, bulk requests aside, and how
// many of those there were.
func (f *Fake) Changes() (changes, bulks int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes, f.bulks
}

// Bulks returns how large bulk bodies were, decompressed, in bytes.
func (f *Fake) Bulks() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sizes)
}

// Headers returns those of all requests.
func (f *Fake) Headers() []http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.headers)
}

// Rollover begins a new index of a data stream.
func (f *Fake) Rollover(stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rollover(stream)
}

func (f *Fake) rollover(stream string) {
	name := fmt.Sprintf(".ds-%s-%06d", stream, len(f.streams[stream])+1)
	f.indices[name] = f.newIndex(stream)
	f.streams[stream] = append(f.streams[stream], name)
}

// newIndex makes an index as the template says whose pattern the name fits.
func (f *Fake) newIndex(name string) *index {
	i := &index{mappings: map[string]any{}, docs: map[string]*doc{}}
	for at, body := range f.things {
		var t struct {
			Patterns []string `json:"index_patterns"`
			Of       []string `json:"composed_of"`
		}
		if !strings.HasPrefix(at, "/_index_template/") || json.Unmarshal(body, &t) != nil {
			continue
		}
		for _, p := range t.Patterns {
			if ok, _ := path.Match(p, name); !ok {
				continue
			}
			for _, component := range t.Of {
				var c struct {
					Template struct{ Mappings map[string]any }
				}
				json.Unmarshal(f.things["/_component_template/"+component], &c)
				maps.Copy(i.mappings, c.Template.Mappings)
			}
		}
	}
	return i
}

// resolve returns the indices of a name or a pattern.
func (f *Fake) resolve(name string) (list []string) {
	if s := f.streams[name]; s != nil {
		return s
	}
	if i := f.aliases[name]; i != "" {
		return []string{i}
	}
	for i := range f.indices {
		if ok, _ := path.Match(name, i); ok {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.headers = append(f.headers, r.Header.Clone())
	if path.Base(r.URL.Path) == "_bulk" {
		f.bulk(w, r, body) // it unlocks
		return
	}
	status, answer := f.answer(r, body)
	if r.Method != http.MethodGet && status < 300 && r.URL.Path != "/_mget" {
		f.changes++
	}
	f.mu.Unlock()
	reply(w, status, answer)
}

func reply(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(answer)
}

func problem(status int, kind, reason string, args ...any) (int, any) {
	return status, map[string]any{"status": status, "error": map[string]any{"type": kind, "reason": fmt.Sprintf(reason, args...)}}
}

var done = map[string]any{"acknowledged": true}

func (f *Fake) answer(r *http.Request, body []byte) (int, any) {
	at := r.URL.Path
	first, rest, _ := strings.Cut(strings.TrimPrefix(at, "/"), "/")
	verb := path.Base(at)
	switch {
	case at == "/":
		version := map[string]any{"number": "8.15.0"}
		if f.openSearch {
			version = map[string]any{"number": "2.19.1", "distribution": "opensearch"}
		}
		return 200, map[string]any{"cluster_name": "fake", "cluster_uuid": f.cluster, "version": version}
	case first == "_component_template", first == "_index_template":
		return f.thing(r, body, func(have json.RawMessage) any {
			key := strings.TrimPrefix(first, "_")
			return map[string]any{key + "s": []any{map[string]any{"name": path.Base(at), key: have}}}
		})
	case first == "_ilm" && !f.openSearch:
		return f.thing(r, body, func(have json.RawMessage) any {
			var policy struct{ Policy any }
			json.Unmarshal(have, &policy)
			return map[string]any{path.Base(at): map[string]any{"version": 1, "policy": policy.Policy}}
		})
	case strings.HasPrefix(at, "/_plugins/_ism/") && f.openSearch:
		return f.thing(r, body, func(have json.RawMessage) any {
			var policy struct{ Policy map[string]any }
			json.Unmarshal(have, &policy)
			policy.Policy["policy_id"] = path.Base(at)
			return map[string]any{"_id": path.Base(at), "_seq_no": 7, "_primary_term": 1, "policy": policy.Policy}
		})
	case first == "_data_stream":
		if r.Method == http.MethodPut {
			if f.streams[rest] != nil {
				return problem(400, "resource_already_exists_exception", "data_stream [%s] already exists", rest)
			}
			f.rollover(rest)
			return 200, done
		}
		if f.streams[rest] == nil {
			return problem(404, "index_not_found_exception", "no such index [%s]", rest)
		}
		var list []any
		for _, i := range f.streams[rest] {
			list = append(list, map[string]any{"index_name": i})
		}
		return 200, map[string]any{"data_streams": []any{map[string]any{"name": rest, "indices": list}}}
	case first == "_alias":
		i := f.aliases[rest]
		if i == "" {
			return problem(404, "aliases_not_found_exception", "alias [%s] missing", rest)
		}
		return 200, map[string]any{i: map[string]any{"aliases": map[string]any{rest: map[string]any{"is_write_index": true}}}}
	case first == "_aliases":
		return f.setAliases(body)
	case first == "_mget":
		return f.mget(body)
	case verb == "_mapping":
		i := f.indices[first]
		if i == nil {
			return problem(404, "index_not_found_exception", "no such index [%s]", first)
		}
		if r.Method == http.MethodPut {
			json.Unmarshal(body, &i.mappings)
			return 200, done
		}
		return 200, map[string]any{first: map[string]any{"mappings": i.mappings}}
	case strings.HasSuffix(at, "/_settings/index.uuid"):
		all := map[string]any{}
		for _, i := range f.resolve(first) {
			all[i] = map[string]any{}
		}
		if len(all) == 0 && !strings.Contains(first, "*") {
			return problem(404, "index_not_found_exception", "no such index [%s]", first)
		}
		return 200, all
	case verb == "_count":
		n := 0
		for _, i := range f.resolve(first) {
			n += len(f.indices[i].docs)
		}
		return 200, map[string]any{"count": n}
	case verb == "_refresh":
		return 200, done
	case verb == "_rollover":
		f.rollover(first)
		return 200, done
	case verb == "_delete_by_query":
		var q struct {
			Query struct{ IDs struct{ Values []string } }
		}
		json.Unmarshal(body, &q)
		for _, i := range f.resolve(first) {
			for _, id := range q.Query.IDs.Values {
				delete(f.indices[i].docs, id)
			}
		}
		return 200, map[string]any{"failures": []any{}}
	case rest == "" && r.Method == http.MethodPut:
		if f.indices[first] != nil {
			return problem(400, "resource_already_exists_exception", "index [%s] already exists", first)
		}
		var settings struct{ Aliases map[string]any }
		json.Unmarshal(body, &settings)
		f.indices[first] = f.newIndex(first)
		for a := range settings.Aliases {
			f.aliases[a] = first
		}
		return 200, done
	case rest == "" && r.Method == http.MethodDelete:
		delete(f.indices, first)
		return 200, done
	}
	return 400, map[string]any{"error": fmt.Sprintf("no handler found for uri [%s] and method [%s]", at, r.Method)}
}

// thing keeps what is put under a path and gives it back in a form.
func (f *Fake) thing(r *http.Request, body []byte, form func(json.RawMessage) any) (int, any) {
	if r.Method == http.MethodPut {
		if have := f.things[r.URL.Path]; have != nil && strings.HasPrefix(r.URL.Path, "/_plugins") && r.URL.Query().Get("if_seq_no") != "7" {
			return problem(409, "version_conflict_engine_exception", "the policy is there")
		}
		f.things[r.URL.Path] = body
		return 200, done
	}
	have := f.things[r.URL.Path]
	if have == nil {
		return problem(404, "resource_not_found_exception", "%s not found", r.URL.Path)
	}
	return 200, form(have)
}

func (f *Fake) setAliases(body []byte) (int, any) {
	var q struct {
		Actions []struct {
			Add, Remove *struct{ Index, Alias string }
			RemoveIndex *struct{ Index string } `json:"remove_index"`
		}
	}
	json.Unmarshal(body, &q)
	for _, a := range q.Actions {
		if a.Add != nil && f.indices[a.Add.Index] == nil || a.RemoveIndex != nil && f.indices[a.RemoveIndex.Index] == nil {
			return problem(404, "index_not_found_exception", "no such index")
		}
	}
	for _, a := range q.Actions {
		switch {
		case a.Add != nil:
			f.aliases[a.Add.Alias] = a.Add.Index
		case a.RemoveIndex != nil:
			delete(f.indices, a.RemoveIndex.Index)
			maps.DeleteFunc(f.aliases, func(_, i string) bool { return i == a.RemoveIndex.Index })
		}
	}
	return 200, done
}

func (f *Fake) mget(body []byte) (int, any) {
	var q struct {
		Docs []struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
	}
	json.Unmarshal(body, &q)
	var docs []any
	for _, d := range q.Docs {
		i := f.indices[d.Index]
		docs = append(docs, map[string]any{"_index": d.Index, "_id": d.ID, "found": i != nil && i.docs[d.ID] != nil})
	}
	return 200, map[string]any{"docs": docs}
}

// bulk does what a bulk request asks for, or has it go wrong.
func (f *Fake) bulk(w http.ResponseWriter, r *http.Request, body []byte) {
	f.bulks++
	f.sizes = append(f.sizes, len(body))
	var fault Fault
	if len(f.faults) > 0 {
		fault, f.faults = f.faults[0], f.faults[1:]
	}
	if f.MaxBody > 0 && len(body) > f.MaxBody {
		fault.Status = http.StatusRequestEntityTooLarge
	}
	if fault.Status != 0 {
		f.mu.Unlock()
		w.WriteHeader(fault.Status)
		return
	}
	if r.Header.Get("Content-Type") != "application/x-ndjson" || !bytes.HasSuffix(body, []byte("\n")) {
		f.mu.Unlock()
		status, answer := problem(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
		reply(w, status, answer)
		return
	}
	items, failed := f.items(r, body, fault)
	f.mu.Unlock()
	if fault.Then != nil {
		fault.Then()
	}
	if fault.Short {
		items = items[:len(items)-1]
	}
	text, _ := json.Marshal(map[string]any{"errors": failed, "items": items})
	switch {
	case fault.Silent:
		select {
		case <-r.Context().Done():
		case <-f.finished:
		}
		return
	case fault.Cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.Write(text[:len(text)/2])
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func (f *Fake) items(r *http.Request, body []byte, fault Fault) (items []any, failed bool) {
	target, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	for n := 0; len(lines) > 0; n++ {
		var action map[string]struct {
			Index        string `json:"_index"`
			ID           string `json:"_id"`
			Version      int64
			VersionType  string `json:"version_type"`
			RequireAlias bool   `json:"require_alias"`
		}
		if json.Unmarshal(lines[0], &action) != nil || len(action) != 1 {
			f.t.Errorf("no action: %.200s", lines[0])
			return items, true
		}
		lines = lines[1:]
		for verb, a := range action {
			var source []byte
			if verb != "delete" {
				source, lines = lines[0], lines[1:]
			}
			if a.Index == "" {
				a.Index = target
			}
			item := map[string]any{"_id": a.ID, "_index": a.Index}
			status, kind, reason := 0, "", ""
			if fault.Every > 0 && n%fault.Every == 0 {
				status, kind, reason = fault.Items, "es_rejected_execution_exception", "rejected execution"
			} else {
				status, kind, reason = f.item(verb, &a.Index, a.ID, a.RequireAlias, a.Version, a.VersionType, source)
				item["_index"] = a.Index
			}
			if item["status"] = status; status >= 300 {
				failed = true
				item["error"] = map[string]any{"type": kind, "reason": reason}
			}
			items = append(items, map[string]any{verb: item})
		}
	}
	return items, failed
}

func (f *Fake) item(verb string, at *string, id string, requireAlias bool, version int64, versionType string, source []byte) (status int, kind, reason string) {
	stream := f.streams[*at]
	switch alias := f.aliases[*at]; {
	case stream != nil && verb == "create":
		*at = stream[len(stream)-1]
	case stream != nil:
		return 400, "illegal_argument_exception", "only write ops with an op_type of create are allowed in data streams"
	case alias != "":
		*at = alias
	case requireAlias:
		return 404, "index_not_found_exception", "no such index and [require_alias] request flag is [true]"
	}
	if f.indices[*at] == nil {
		f.indices[*at] = f.newIndex(*at)
	}
	docs := f.indices[*at].docs
	have := docs[id]
	conflict := have != nil && (verb == "create" || versionType == "external_gte" && have.version > version)
	switch {
	case conflict:
		return 409, "version_conflict_engine_exception", "version conflict"
	case verb == "delete" && have == nil:
		return 404, "", ""
	case verb == "delete":
		delete(docs, id)
		return 200, "", ""
	}
	var body map[string]any
	if err := json.Unmarshal(source, &body); err != nil {
		return 400, "mapper_parsing_exception", err.Error()
	}
	if f.Reject != nil {
		if reason := f.Reject(*at, id, body); reason != "" {
			return 400, "mapper_parsing_exception", reason
		}
	}
	if versionType == "" {
		version = 1
	}
	docs[id] = &doc{source, version}
	if have != nil {
		return 200, "", ""
	}
	return 201, "", ""
}

// Echo starts a server that answers in a way of its own, and returns its URL.
func Echo(t testing.TB, f http.HandlerFunc) string {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}
