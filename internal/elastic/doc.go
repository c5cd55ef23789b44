// Package elastic tells Elasticsearch or OpenSearch what is in the database.
//
// Changes come in, from an outbox that the store writes, and whole tables the first
// time; documents go out, in bulk, and each answer is looked at and noted. What an index
// is like stands in templates, which are installed and compared.
//
// It never shows a password or a key, never takes a change for done that was not
// answered, and forgets nothing that was refused.
package elastic
