package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// input is where the bundles come from.
type input struct {
	name   string // for people
	single bool   // one bundle, from the flags
	reader io.Reader
	size   int64    // bytes; 0 where it is not known beforehand
	file   *os.File // nil for flags and standard input
}

func (in input) close() {
	if in.file != nil {
		_ = in.file.Close() // it was only read
	}
}

// open finds out what the command line asks for.
func (p *program) open(args []string) (input, error) {
	given := p.bundle.given()
	switch {
	case len(args) == 0 && len(given) == 0:
		return input{}, usageError("what? Name a file, - for standard input, or describe a bundle with flags")
	case len(args) == 0:
		line, err := p.bundle.line()
		return input{name: "flags", single: true, reader: bytes.NewReader(line)}, err
	case len(given) > 0:
		return input{}, usageError(strings.Join(given, ", ") + ": flags describe one bundle, a file brings its own; use one of the two")
	case args[0] == "-":
		return input{name: "standard input", reader: p.stdin}, nil
	}
	return openFile(args[0])
}

func openFile(path string) (input, error) {
	file, err := os.Open(path)
	if err != nil {
		return input{}, usageError(fmt.Sprintf("%s: %v", show(path), cause(err)))
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a directory; name a file")
	}
	if err != nil {
		_ = file.Close()
		return input{}, usageError(fmt.Sprintf("%s: %v", show(path), err))
	}
	in := input{name: show(filepath.Base(path)), reader: file, file: file}
	if info.Mode().IsRegular() {
		in.size = info.Size()
	}
	return in, nil
}

// isFile reports whether path names the very file that is read.
func (in input) isFile(path string) bool {
	if in.file == nil {
		return false
	}
	mine, err := in.file.Stat()
	if err != nil {
		return false
	}
	other, err := os.Stat(path)
	return err == nil && os.SameFile(mine, other)
}

// cause is a file's error without the path, which may be longer than a line.
func cause(err error) error {
	var located *fs.PathError
	if errors.As(err, &located) {
		return located.Err
	}
	return err
}
