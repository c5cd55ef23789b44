// Package secret keeps API keys and passwords, and finds them where they are
// kept.
//
// In come references: texts that say where a secret is and may stand in any
// configuration file (env:VT_API_KEY, op://vault/item/field). Out goes a Secret,
// whose text comes to light by Reveal alone: printing, logging and encoding it in
// any way gives "[secret]".
//
// It never puts a secret, or a text that may be one, into an error or into the
// arguments of a program, never runs a shell, and keeps nothing on disk.
package secret
