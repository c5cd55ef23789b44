package elastic

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"midden/internal/secret"
)

// answers starts a server that says what it is, and notes who asks.
func answers(t *testing.T, tls bool, asked *[]string) *httptest.Server {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"cluster_name":"c","cluster_uuid":"u","version":{"number":"8.1.0"}}`)
	})
	s := httptest.NewUnstartedServer(handler)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func TestTLS(t *testing.T) {
	t.Parallel()
	var asked []string
	s := answers(t, true, &asked)
	c, err := NewClient(Options{URLs: []string{s.URL}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") || len(asked) > 0 {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if c, err = NewClient(Options{URLs: []string{s.URL}, CA: ca}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := NewClient(Options{URLs: []string{s.URL}, CA: []byte("nothing")}); !errors.Is(err, ErrCA) {
		t.Errorf("no certificate: %v", err)
	}
}

// TestNodes: a node that does not answer is passed over; where none does, the error
// says so. No redirect is followed.
func TestNodes(t *testing.T) {
	t.Parallel()
	var asked []string
	s := answers(t, false, &asked)
	gone := httptest.NewServer(nil)
	gone.Close()
	c, err := NewClient(Options{URLs: []string{gone.URL, s.URL + "/"}, User: "u", Password: secret.New("p")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := c.Info(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if c, err = NewClient(Options{URLs: []string{gone.URL}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); !IsPassing(err) {
		t.Errorf("nobody answers: %v", err)
	}
	asked = nil
	elsewhere := httptest.NewServer(http.RedirectHandler(s.URL, http.StatusFound))
	t.Cleanup(elsewhere.Close)
	if c, err = NewClient(Options{URLs: []string{elsewhere.URL}, User: "u"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Info(t.Context()); !isStatus(err, http.StatusFound) || len(asked) > 0 {
		t.Errorf("a redirect: %v, and %q", err, asked)
	}
}

func TestWho(t *testing.T) {
	t.Parallel()
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		o    Options
		user string // in the URL
		want string
	}{
		{Options{}, "", ""},
		{Options{}, "a:b@", basic("a:b")},
		{Options{User: "u", Password: secret.New("p")}, "a:b@", basic("u:p")},
		{Options{User: "u", APIKey: secret.New("a2V5")}, "", "ApiKey a2V5"},
		{Options{APIKey: secret.New("id:key")}, "", "ApiKey " + base64.StdEncoding.EncodeToString([]byte("id:key"))},
	} {
		var asked []string
		s := answers(t, false, &asked)
		c.o.URLs = []string{strings.Replace(s.URL, "//", "//"+c.user, 1)}
		client, err := NewClient(c.o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Info(t.Context()); err != nil || len(asked) != 1 || asked[0] != c.want {
			t.Errorf("%q, %v; want %q", asked, err, c.want)
		}
		if client.Insecure() {
			t.Error("the loopback is no network")
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	id := func(s string) string { return "name:" + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		o    Options
		want error
		node string
	}{
		{Options{}, ErrNoURL, ""},
		{Options{URLs: []string{"localhost:9200"}}, ErrURL, ""},
		{Options{URLs: []string{"ftp://h"}}, ErrURL, ""},
		{Options{URLs: []string{"http://h?x=y"}}, ErrURL, ""},
		{Options{URLs: []string{"http://h"}, APIKey: secret.New("a\nb")}, ErrHeader, ""},
		{Options{URLs: []string{"https://h/es/"}}, nil, "https://h/es"},
		{Options{CloudID: id("eu.example$abc$kib")}, nil, "https://abc.eu.example:443"},
		{Options{CloudID: id("eu.example:9243$abc")}, nil, "https://abc.eu.example:9243"},
		{Options{CloudID: id("eu.example")}, ErrCloudID, ""},
		{Options{CloudID: "nonsense"}, ErrCloudID, ""},
	} {
		client, err := NewClient(c.o)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, err, c.want)
		}
		if err == nil && client.nodes[0].String() != c.node {
			t.Errorf("%+v: %s", c.o, client.nodes[0])
		}
	}
	c, err := NewClient(Options{URLs: []string{"http://es.example"}, User: "u", Password: secret.New("canary-0x51")})
	if err != nil || !c.Insecure() {
		t.Error("a password through a network in the clear", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "canary") || strings.Contains(text, "dTpjYW5hcnkt") {
			t.Errorf("%s shows the password: %s", verb, text)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer, says string
		matchOnly    bool
	}{
		{`{"cluster_uuid":"u","version":{"number":"7.14.0"}}`, "Elasticsearch 7.14.0", true},
		{`{"cluster_uuid":"u","version":{"number":"9.2.1"}}`, "Elasticsearch 9.2.1", true},
		{`{"cluster_uuid":"u","version":{"number":"7.13.9"}}`, "needs 7.14", false},
		{`{"cluster_uuid":"u","version":{"number":"2.11.1","distribution":"opensearch"}}`, "OpenSearch 2.11.1", false},
		{`{"cluster_uuid":"u","version":{"number":"3.0.0","distribution":"opensearch"}}`, "OpenSearch 3.0.0", true},
		{`{"cluster_uuid":"u","version":{"number":"7.10.2","distribution":"opensearch"}}`, "OpenSearch 7.10.2", false},
		{`{"cluster_uuid":"_na_","version":{"number":"8.0.0"}}`, "still forming", false},
		{`{"a":1}`, "does not answer as", false},
		{`<html>`, "no JSON", false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, c.answer) }))
		t.Cleanup(s.Close)
		info, err := connect(t, s.URL).Info(t.Context())
		switch {
		case err != nil && !strings.Contains(err.Error(), c.says), err == nil && info.String() != c.says:
			t.Errorf("%s: %v, %v", c.answer, info, err)
		case err == nil && info.matchOnly() != c.matchOnly:
			t.Errorf("%s: match_only_text is %v", c.answer, info.matchOnly())
		}
	}
}
