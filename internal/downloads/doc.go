// Package downloads reads the files that sensors captured: Cowrie's downloads
// directories, copies of them, and archives of them.
//
// In go paths, out come contents: their hashes, sizes, types and the rest of
// cowrie.Content, stored as sightings on disk and as facts of files. What was
// read before and did not change is not read again.
//
// Attackers wrote the files and, by way of archives, their names. The package
// never writes, runs or follows anything: a directory is opened once and nothing
// outside of it can be reached, links are not followed, only regular files are
// read, archives are read as streams within limits and never unpacked, and no
// name in one is used as a path.
package downloads
