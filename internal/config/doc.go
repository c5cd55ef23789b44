// Package config reads the configuration file, midden.toml.
//
// In comes the name of a file, out go its settings, checked. A setting that the
// file does not have stays empty, so that whoever asks can tell.
//
// It never looks at flags, reads no variable of the environment but through the
// function that it is given, and opens nothing that a setting names.
package config
