// Package crashtest tries to break midden: it holds tests alone.
//
// The real program is killed, its disk, its power and its database server fail, and its
// input goes out of all bounds, on databases that grow from trial to trial. After each
// trial the promises are looked at; in the end the database must hold what one holds that
// nobody disturbed. docs/reliability.md says how to run it longer, and what came of that.
package crashtest
