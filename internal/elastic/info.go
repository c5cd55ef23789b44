package elastic

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Info is what a cluster says that it is.
type Info struct {
	Cluster    string // its id
	Name       string
	OpenSearch bool
	Version    string
}

func (i *Info) String() string {
	if i.OpenSearch {
		return "OpenSearch " + i.Version
	}
	return "Elasticsearch " + i.Version
}

// Info asks a cluster what it is. One that is too old is an error.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	var answer struct {
		Name    string `json:"cluster_name"`
		UUID    string `json:"cluster_uuid"`
		Version struct{ Number, Distribution string }
	}
	if err := c.do(ctx, "GET", "/", nil, &answer); err != nil {
		return nil, err
	}
	i := &Info{Cluster: answer.UUID, Name: answer.Name, OpenSearch: answer.Version.Distribution == "opensearch", Version: answer.Version.Number}
	switch {
	case i.Version == "" || i.Cluster == "" || i.Cluster == "_na_":
		return nil, fmt.Errorf("%s does not answer as Elasticsearch or OpenSearch does, or its cluster is still forming", c.nodes[0].Host)
	case !i.OpenSearch && !i.atLeast(7, 14):
		return nil, fmt.Errorf("it is %s: midden needs 7.14 or a later one, or OpenSearch", i)
	}
	return i, nil
}

// atLeast compares the version.
func (i *Info) atLeast(major, minor int) bool {
	parts := strings.SplitN(i.Version, ".", 3)
	have := [2]int{}
	for n := range have {
		if n < len(parts) {
			have[n], _ = strconv.Atoi(parts[n])
		}
	}
	return have[0] > major || have[0] == major && have[1] >= minor
}

// matchOnly reports whether fields can be match_only_text. An old OpenSearch can be
// told to say that it is 7.10.2.
func (i *Info) matchOnly() bool { return !i.OpenSearch || i.atLeast(2, 12) && i.Version != "7.10.2" }
