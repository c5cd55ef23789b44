package elastic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What became of something that is to be installed.
const (
	Made    = "made"
	Changed = "changed"
	Same    = "as it was"
	Left    = "left to you" // a @custom template, which is never changed
	NotHere = "not there"   // the server has no such thing
	Refused = "refused"
)

// Step is what became of something that is to be installed.
type Step struct {
	Kind, Name, State string
	Note              string // why, if it is not as it should be
}

// Installer makes in a cluster what publishing needs.
type Installer struct {
	client *Client
	info   *Info
	names  names
}

// NewInstaller asks the cluster what it is.
func NewInstaller(ctx context.Context, c *Client, prefix string) (*Installer, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	return &Installer{c, info, names(prefix)}, nil
}

// Info is what the cluster is.
func (in *Installer) Info() *Info { return in.info }

// Install makes what is not there, and changes what is not as it is to be. A second
// time it changes nothing.
func (in *Installer) Install(ctx context.Context) (steps []Step, err error) {
	for _, o := range in.names.objects(in.info) {
		step, err := in.installObject(ctx, o)
		if err != nil {
			return steps, err
		}
		steps = append(steps, step)
	}
	for _, p := range in.names.places() {
		step, err := in.installPlace(ctx, p)
		if err != nil {
			return steps, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (in *Installer) installObject(ctx context.Context, o object) (Step, error) {
	step := Step{Kind: o.Kind, Name: o.Name, State: Same}
	theirs, query, err := in.theirs(ctx, o)
	switch {
	case errors.Is(err, errNoSuchThing):
		step.State, step.Note = NotHere, fmt.Sprintf("this %s knows no policies: roll its data streams over yourself", in.info)
		return step, nil
	case err != nil:
		return step, err
	case theirs != nil && o.custom:
		step.State = Left
		return step, nil
	case theirs == nil:
		step.State = Made
	case len(compare(o.Kind, o.Name, o.body, theirs, o.own)) == 0:
		return step, nil
	default:
		step.State = Changed
	}
	return step, in.client.do(ctx, http.MethodPut, o.path+query, o.body, nil)
}

// errNoSuchThing says that the server has no policies.
var errNoSuchThing = errors.New("the server has no such thing")

// theirs returns what is installed, in the form in which ours is; nil if nothing is. query
// is what a change of it has to say.
func (in *Installer) theirs(ctx context.Context, o object) (body map[string]any, query string, err error) {
	var answer map[string]any
	err = in.client.do(ctx, http.MethodGet, o.path, nil, &answer)
	var e *Error
	switch {
	case errors.As(err, &e) && strings.HasPrefix(e.Reason, "no handler found"):
		return nil, "", errNoSuchThing
	case isStatus(err, http.StatusNotFound):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	}
	switch o.Kind {
	case "ILM policy":
		named, _ := answer[o.Name].(map[string]any)
		return named, "", nil
	case "ISM policy":
		return answer, fmt.Sprintf("?if_seq_no=%.0f&if_primary_term=%.0f", answer["_seq_no"], answer["_primary_term"]), nil
	}
	// {"index_templates":[{"name":…,"index_template":{…}}]}
	key := strings.ReplaceAll(o.Kind, " ", "_")
	list, _ := answer[key+"s"].([]any)
	for _, one := range list {
		one, _ := one.(map[string]any)
		if found, ok := one[key].(map[string]any); ok && one["name"] == o.Name {
			// When it was made, and what follows from it, is the server's to say.
			maps.DeleteFunc(found, func(k string, _ any) bool { _, ours := o.body[k]; return !ours || k == "data_stream" })
			return found, "", nil
		}
	}
	return nil, "", nil
}

// writeIndex returns the index that documents for a place go to; "" if there is no such
// place. all are the indices that it consists of.
func (c *Client) writeIndex(ctx context.Context, p place) (index string, all []string, err error) {
	if p.first == "" {
		var answer struct {
			Streams []struct {
				Indices []struct {
					Name string `json:"index_name"`
				}
			} `json:"data_streams"`
		}
		err := c.do(ctx, http.MethodGet, "/_data_stream/"+url.PathEscape(p.Name), nil, &answer)
		if isStatus(err, http.StatusNotFound) {
			return "", nil, nil
		}
		for _, s := range answer.Streams {
			for _, i := range s.Indices {
				all = append(all, i.Name)
				index = i.Name
			}
		}
		return index, all, err
	}
	var answer map[string]struct {
		Aliases map[string]struct {
			Write *bool `json:"is_write_index"`
		}
	}
	err = c.do(ctx, http.MethodGet, "/_alias/"+url.PathEscape(p.Name), nil, &answer)
	if isStatus(err, http.StatusNotFound) {
		return "", nil, nil
	}
	all = slices.Sorted(maps.Keys(answer))
	for _, name := range all {
		if w := answer[name].Aliases[p.Name].Write; w != nil && *w || w == nil && len(all) == 1 {
			index = name
		}
	}
	return index, all, err
}

func (in *Installer) installPlace(ctx context.Context, p place) (Step, error) {
	step := Step{Kind: p.Kind, Name: p.Name, State: Same}
	index, _, err := in.client.writeIndex(ctx, p)
	if err != nil {
		return step, err
	}
	if index == "" {
		step.State = Made
		if p.first == "" {
			return step, in.client.do(ctx, http.MethodPut, "/_data_stream/"+p.Name, nil, nil)
		}
		first := p.first
		if p.Name == in.names.files() { // one that an interrupted rebuild has left is not taken for it
			if first, err = in.client.nextFilesIndex(ctx, in.names); err != nil {
				return step, err
			}
		}
		body := map[string]any{"aliases": map[string]any{p.Name: map[string]any{"is_write_index": true}}}
		return step, in.client.do(ctx, http.MethodPut, "/"+first, body, nil)
	}
	differences, err := in.mappingDifferences(ctx, p, index)
	if err != nil || len(differences) == 0 {
		return step, err
	}
	// Fields can be added to an index, but not changed in it.
	err = in.client.do(ctx, http.MethodPut, "/"+index+"/_mapping", in.info.mappings(p.mappings), nil)
	switch {
	case err == nil:
		step.State = Changed
		return step, nil
	case !isStatus(err, http.StatusBadRequest):
		return step, err
	}
	step.State, step.Note = Refused, fmt.Sprintf("%s keeps fields as they are: %v", index, err)
	if p.Name == in.names.files() {
		step.Note += "; \"midden elastic publish --rebuild\" makes a new index"
		return step, nil
	}
	if err := in.client.do(ctx, http.MethodPost, "/"+p.Name+"/_rollover", nil, nil); err != nil {
		return step, err
	}
	step.State = Changed
	step.Note += "; it is written to no more, a new index is"
	return step, nil
}

func (in *Installer) mappingDifferences(ctx context.Context, p place, index string) ([]Difference, error) {
	var answer map[string]struct{ Mappings map[string]any }
	if err := in.client.do(ctx, http.MethodGet, "/"+index+"/_mapping", nil, &answer); err != nil {
		return nil, err
	}
	ours := in.info.mappings(p.mappings)
	delete(ours, "numeric_detection") // that it is off is not told
	return compare("mappings of", index, ours, answer[index].Mappings, false), nil
}

// Diff returns how what is installed differs from what is to be.
func (in *Installer) Diff(ctx context.Context) (list []Difference, err error) {
	for _, o := range in.names.objects(in.info) {
		theirs, _, err := in.theirs(ctx, o)
		switch {
		case errors.Is(err, errNoSuchThing) || o.custom && theirs != nil:
			continue
		case err != nil:
			return nil, err
		case theirs == nil:
			list = append(list, Difference{Kind: o.Kind, Name: o.Name, Ours: "is to be there"})
			continue
		}
		list = append(list, compare(o.Kind, o.Name, o.body, theirs, o.own)...)
	}
	for _, p := range in.names.places() {
		index, _, err := in.client.writeIndex(ctx, p)
		if err != nil {
			return nil, err
		}
		if index == "" {
			list = append(list, Difference{Kind: p.Kind, Name: p.Name, Ours: "is to be there"})
			continue
		}
		more, err := in.mappingDifferences(ctx, p, index)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// indices returns the indices that a pattern or a name fits, in order of name.
func (c *Client) indices(ctx context.Context, pattern string) ([]string, error) {
	var answer map[string]any
	err := c.do(ctx, http.MethodGet, "/"+pattern+"/_settings/index.uuid", nil, &answer)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(answer)), err
}

// nextFilesIndex returns the name of an index of files that is not there yet.
func (c *Client) nextFilesIndex(ctx context.Context, n names) (string, error) {
	have, err := c.indices(ctx, n.files()+"-*")
	if err != nil {
		return "", err
	}
	last := 0
	for _, name := range have {
		i := 0
		if _, err := fmt.Sscanf(strings.TrimPrefix(name, n.files()), "-%06d", &i); err == nil {
			last = max(last, i)
		}
	}
	return n.filesIndex(last + 1), nil
}
