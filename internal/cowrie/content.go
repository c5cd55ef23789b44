package cowrie

// Content is what a file's bytes themselves say.
type Content struct {
	Shasum, SHA1, MD5 string  // lower-case hex
	Size              int64   // bytes
	MimeType          string  // without parameters, such as application/x-executable
	Interpreter       string  // of a script: its name without the directory, such as sh or python3; else ""
	Head              []byte  // the first 64 bytes; fewer if there are no more
	Entropy           float64 // bits a byte, from 0 to 8
	// Of an ELF file; empty of any other, and where the file does not say.
	ELFClass   int    // 32 or 64
	ELFOrder   string // of bytes: little or big
	ELFMachine string // as in <elf.h>, in lower case and without EM_, such as x86_64 or arm; a number if it has no name
	ELFLinkage string // static or dynamic
	// ELFStripped: it has no table of symbols; nil if that cannot be told.
	ELFStripped *bool
}
