package elastictest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestNode(t *testing.T) {
	r, err := http.Get(Node(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(body), `"distribution" : "opensearch"`) {
		t.Errorf("%v: %s", err, body)
	}
}
