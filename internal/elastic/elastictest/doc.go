// Package elastictest has servers for tests: a real OpenSearch node, and a fake of
// Elasticsearch or OpenSearch that does what no real one does on demand.
package elastictest
