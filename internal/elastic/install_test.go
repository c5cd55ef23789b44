package elastic

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"midden/internal/elastic/elastictest"
)

// server is a cluster for a test: a fake, or the real node.
type server struct {
	name   string
	client *Client
	prefix string
	fake   *elastictest.Fake // nil: the real node
}

func connect(t testing.TB, url string) *Client {
	t.Helper()
	c, err := NewClient(Options{URLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// onFakes runs a test on the fakes.
func onFakes(t *testing.T, f func(*testing.T, *server)) {
	for _, openSearch := range []bool{false, true} {
		name := map[bool]string{false: "Elasticsearch", true: "OpenSearch"}[openSearch]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := elastictest.NewFake(t, openSearch)
			f(t, &server{name, connect(t, fake.URL), DefaultPrefix, fake})
		})
	}
}

// onNode runs a test on the real node, with a prefix of its own.
func onNode(t *testing.T, f func(*testing.T, *server)) {
	url := elastictest.Node(t)
	prefix := strings.ToLower(strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()))
	f(t, &server{"node", connect(t, url), prefix, nil})
}

func (s *server) install(t testing.TB) (steps []Step, in *Installer) {
	t.Helper()
	in, err := NewInstaller(t.Context(), s.client, s.prefix)
	if err == nil {
		steps, err = in.Install(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return steps, in
}

func (s *server) put(t testing.TB, path string, body any) {
	t.Helper()
	if err := s.client.do(t.Context(), http.MethodPut, path, body, nil); err != nil {
		t.Fatal(err)
	}
}

func TestInstall(t *testing.T)     { t.Parallel(); onFakes(t, testInstall) }
func TestNodeInstall(t *testing.T) { onNode(t, testInstall) }

// testInstall: what is not there is made, a second time changes nothing, what is
// different is named and put right, and what is the user's is left.
func testInstall(t *testing.T, s *server) {
	in, err := NewInstaller(t.Context(), s.client, s.prefix)
	if err != nil {
		t.Fatal(err)
	}
	diff := func() string {
		t.Helper()
		list, err := in.Diff(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, d := range list {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s / %s", d.Kind, strings.TrimPrefix(d.Name, s.prefix), d.Path, d.Ours, d.Theirs))
		}
		return strings.Join(lines, "\n")
	}
	if n := strings.Count(diff(), "is to be there"); n < 20 {
		t.Errorf("%d things are to be there before anything is", n)
	}
	steps, _ := s.install(t)
	for _, step := range steps {
		if step.State != Made && !(s.fake == nil && step.Kind == "ISM policy" && step.State == NotHere) {
			t.Errorf("the first time: %+v", step)
		}
	}
	if d := diff(); d != "" {
		t.Errorf("after the first time:\n%s", d)
	}
	custom := "/_component_template/" + s.prefix + ".files@custom"
	s.put(t, custom, map[string]any{"template": map[string]any{"settings": map[string]any{"index": map[string]any{"refresh_interval": "30s"}}}})
	steps, _ = s.install(t)
	for _, step := range steps {
		if custom := strings.HasSuffix(step.Name, "@custom"); step.State != Same && !custom && step.State != NotHere || custom && step.State != Left {
			t.Errorf("the second time: %+v", step)
		}
	}
	if s.fake != nil {
		before, _ := s.fake.Changes()
		s.install(t)
		if after, _ := s.fake.Changes(); after != before {
			t.Errorf("a second time changes %d things", after-before)
		}
	}

	s.put(t, "/_component_template/"+s.prefix+".files@settings", map[string]any{"template": map[string]any{"settings": map[string]any{
		"index": map[string]any{"number_of_shards": 3, "number_of_replicas": 2, "auto_expand_replicas": "0-1"}}}})
	want := strings.Join([]string{
		"component template .files@settings _meta.managed_by: midden / ",
		"component template .files@settings template.settings.index.number_of_replicas:  / 2",
		"component template .files@settings template.settings.index.number_of_shards: 1 / 3",
		"component template .files@settings version: 1 / "}, "\n")
	if d := diff(); d != want {
		t.Errorf("got\n%s\nwant\n%s", d, want)
	}
	steps, _ = s.install(t)
	for _, step := range steps {
		if (step.State == Changed) != (step.Name == s.prefix+".files@settings") {
			t.Errorf("put right: %+v", step)
		}
	}
	if d := diff(); d != "" {
		t.Errorf("after it was put right:\n%s", d)
	}
	var answer map[string]any
	if err := s.client.do(t.Context(), http.MethodGet, custom, nil, &answer); err != nil || !strings.Contains(fmt.Sprint(answer), "refresh_interval:30s") {
		t.Errorf("the user's template is %v, %v", answer, err)
	}
}
