// Package vttest is a VirusTotal for tests, on a port of the loopback.
//
// Files, keys with their quotas, a clock and faults come in from the test;
// requests come in from what is tested, and are answered in the forms of
// VirusTotal's API, version 3, with its errors, its quotas and, where the test
// wants them, the faults of real outages. What was asked, and when, goes out.
//
// It answers only what midden may ask: reports on files, and quotas. It makes
// no request itself, and knows nothing that was not put into it.
package vttest
