package elastic

import (
	"embed"
	"encoding/json"
	"strings"
)

//go:embed templates
var templates embed.FS

// version is that of what is installed.
const version = 1

// object is something that is installed under a name.
type object struct {
	Kind string // as people call it
	Name string
	path string
	body map[string]any
	// custom: it is for the user to fill, and is made empty if it is not there.
	custom bool
	// own: what stands there besides ours is a difference.
	own bool
}

// template returns one of the templates.
func template(name string, replace ...string) map[string]any {
	text, err := templates.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // it is in the program
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(strings.NewReplacer(replace...).Replace(string(text))), &body); err != nil {
		panic(err)
	}
	return body
}

// mappings are those of all but the reports, and those of the reports.
func (i *Info) mappings(name string) map[string]any {
	if i.matchOnly() {
		return template(name)
	}
	return template(name, "match_only_text", "text")
}

// objects are the policy and the templates, in the order in which they need each other.
func (n names) objects(i *Info) []object {
	meta := map[string]any{"managed_by": "midden"}
	list := []object{n.policyObject(i)}
	component := func(name string, template map[string]any) {
		list = append(list, object{Kind: "component template", Name: name, path: "/_component_template/" + name, own: true,
			body: map[string]any{"template": template, "version": version, "_meta": meta}})
	}
	prefix := string(n)
	component(prefix+"@mappings", map[string]any{"mappings": i.mappings("ecs.json")})
	component(prefix+".reports@mappings", map[string]any{"mappings": i.mappings("reports.json")})
	for _, family := range []struct {
		name   string
		stream bool
	}{{n.sightings(), true}, {n.verdicts(), true}, {n.files(), false}, {prefix + ".reports", false}} {
		settings := map[string]any{"number_of_shards": "1", "auto_expand_replicas": "0-1"}
		if family.stream {
			settings["codec"] = "best_compression"
			if !i.OpenSearch { // there the policy says what it is for
				settings["lifecycle"] = map[string]any{"name": n.policy()}
			}
		}
		component(family.name+"@settings", map[string]any{"settings": map[string]any{"index": settings}})
		list = append(list, object{Kind: "component template", Name: family.name + "@custom", path: "/_component_template/" + family.name + "@custom",
			custom: true, body: map[string]any{"template": map[string]any{}}})
	}
	index := func(name, pattern, family, mappings string, stream bool) {
		body := map[string]any{"index_patterns": []any{pattern}, "priority": 200, "version": version, "_meta": meta,
			"composed_of": []any{family + "@settings", mappings, family + "@custom"}}
		if stream {
			body["data_stream"] = map[string]any{}
		}
		list = append(list, object{Kind: "index template", Name: name, path: "/_index_template/" + name, body: body, own: true})
	}
	index(n.sightings(), n.sightings(), n.sightings(), prefix+"@mappings", true)
	index(n.verdicts(), n.verdicts(), n.verdicts(), prefix+"@mappings", true)
	index(n.files(), n.files()+"-*", n.files(), prefix+"@mappings", false)
	for _, kind := range Reports {
		index(n.report(kind), n.report(kind)+"-*", prefix+".reports", prefix+".reports@mappings", false)
	}
	return list
}

// policyObject is how long an index of a data stream is written to: ISM on
// OpenSearch, ILM on Elasticsearch. Nothing is deleted.
func (n names) policyObject(i *Info) object {
	if i.OpenSearch {
		return object{Kind: "ISM policy", Name: n.policy(), path: "/_plugins/_ism/policies/" + n.policy(), body: template("ism.json", "PREFIX", string(n))}
	}
	return object{Kind: "ILM policy", Name: n.policy(), path: "/_ilm/policy/" + n.policy(), body: template("ilm.json")}
}

// place is what documents are sent to.
type place struct {
	Kind     string // as people call it
	Name     string // of the data stream, or the alias
	first    string // the first index behind an alias; "" for a data stream
	mappings string // the file of the templates
}

func (n names) places() []place {
	list := []place{
		{"data stream", n.sightings(), "", "ecs.json"},
		{"data stream", n.verdicts(), "", "ecs.json"},
		{"alias", n.files(), n.filesIndex(1), "ecs.json"},
	}
	for _, kind := range Reports {
		list = append(list, place{"alias", n.reportWrite(kind), n.reportIndex(kind), "reports.json"})
	}
	return list
}
