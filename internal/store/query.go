package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"midden/internal/cowrie"
)

// conditions are joined by AND. Their parameters are written ? and numbered
// when the text is made.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(part string, args ...any) {
	c.parts = append(c.parts, part)
	c.args = append(c.args, args...)
}

// times asks for since <= column < until; NoTime asks for nothing. text is the column's form.
func (c *conditions) times(column string, text func(cowrie.Time) string, since, until cowrie.Time) {
	if since != cowrie.NoTime {
		c.add(column+" >= ?", bound(text, since))
	}
	if until != cowrie.NoTime {
		c.add(column+" < ?", bound(text, until))
	}
}

func (c *conditions) text() string { return strings.Join(c.parts, " AND ") }

// clause is the WHERE clause, with its parameters numbered.
func (c *conditions) clause() string {
	if len(c.parts) == 0 {
		return ""
	}
	var b strings.Builder
	n := 0
	for _, r := range " WHERE " + c.text() {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

func limit(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" LIMIT %d", n)
}

// like is the condition that a text fits a pattern of likePattern, whatever the
// case of its ASCII letters.
func (s *Store) like(column string) string { return column + " " + s.engine.Like + ` ? ESCAPE '\'` }

// likePattern makes a LIKE pattern, with \ as its escape, of what a person
// types: * and ? stand for any text and any character; without them the text
// may stand anywhere.
func likePattern(s string) string {
	anywhere := !strings.ContainsAny(s, "*?")
	s = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`, `*`, `%`, `?`, `_`).Replace(s)
	if anywhere {
		return "%" + s + "%"
	}
	return s
}

// each calls f for each row of a query. The row's columns are read by the
// function that f is given.
func (s *Store) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	return s.eachOf(ctx, s.db, query, args, f)
}

// scan is each for reading much, once.
func (s *Store) scan(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	return s.eachOf(ctx, s.engine.Scan, query, args, f)
}

// querier is a database, a connection to it, or a transaction.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func (s *Store) eachOf(ctx context.Context, db querier, query string, args []any, f func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return s.explain(rows.Err())
}
