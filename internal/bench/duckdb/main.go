// Duckdb runs SQL in DuckDB, as a yardstick for "make bench". It is a module of its own, since
// it needs cgo and midden's go.mod is not to name it.
//
//	duckdb FILE STATEMENT...
//
// An empty FILE is a database in memory. The rows of the last statement go to standard
// output, their columns divided by tabs.
package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: duckdb FILE STATEMENT...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "duckdb:", err)
		os.Exit(1)
	}
}

func run(file string, statements []string) error {
	db, err := sql.Open("duckdb", file)
	if err != nil {
		return err
	}
	defer db.Close()
	last := len(statements) - 1
	for _, statement := range statements[:last] {
		if _, err := db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	rows, err := db.Query(statements[last])
	if err != nil {
		return fmt.Errorf("%s: %w", statements[last], err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	out := bufio.NewWriter(os.Stdout)
	fields := make([]string, len(columns))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			fields[i] = v.String
		}
		fmt.Fprintln(out, strings.Join(fields, "\t"))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return out.Flush()
}
