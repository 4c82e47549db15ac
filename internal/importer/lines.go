package importer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine is the longest line that is read, in bytes, its line break not counted.
// A bundle is far smaller; the room is for what cleaning cuts away, a property of
// 10 MB for example.
const maxLine = 16 << 20

// ErrCompressed and ErrUTF16 say that the input is not lines of UTF-8 at all, so
// that one message takes the place of one refusal per line.
var (
	ErrCompressed = errors.New("the input is gzip: decompress it first, gzip -dc FILE | enqueue -")
	ErrUTF16      = errors.New("the input is UTF-16: turn it into UTF-8 first, iconv -f UTF-16 -t UTF-8")
)

// line is one line of the input.
type line struct {
	number  int    // from 1
	end     int64  // bytes of the input up to and including its line break
	text    []byte // without the line break; valid until the next call
	tooLong bool   // it was longer than maxLine; text is empty
}

// lines cuts an input into lines. Its memory is bounded by maxLine, whatever comes.
type lines struct {
	in     *bufio.Reader
	long   []byte // a line that did not fit in the reader's buffer
	number int
	offset int64
}

func newLines(r io.Reader) *lines {
	return &lines{in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line, or io.EOF after the last one, ErrCompressed, ErrUTF16
// or the reader's own error. A last line without a line break is a line; a line that
// a failing reader cut short is not.
func (l *lines) next() (line, error) {
	if l.number == 0 {
		if err := l.begin(); err != nil {
			return line{}, err
		}
	}
	text, tooLong, err := l.read()
	if err != nil {
		return line{}, err
	}
	l.number++
	return line{number: l.number, end: l.offset, text: text, tooLong: tooLong}, nil
}

// begin looks at the first bytes: a UTF-8 byte order mark is skipped.
func (l *lines) begin() error {
	head, err := l.in.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		n, _ := l.in.Discard(len(head))
		l.offset += int64(n)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return ErrCompressed
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return ErrUTF16
	case len(head) == 0:
		return err
	}
	return nil
}

// read returns the bytes up to the next line break, and goes past it.
func (l *lines) read() (text []byte, tooLong bool, err error) {
	l.long = l.long[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		l.offset += int64(len(part))
		switch {
		case len(l.long)+len(part) > maxLine+len("\r\n"):
			tooLong = true // the rest of it is read and dropped
		case err == nil && len(l.long) == 0:
			return trim(part) // the usual case: nothing is copied
		default:
			l.long = append(l.long, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(l.long) > 0:
		case err != nil:
			return nil, false, err
		}
		if tooLong {
			return nil, true, nil
		}
		return trim(l.long)
	}
}

// trim takes off the line break and measures what is left.
func trim(text []byte) ([]byte, bool, error) {
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	if len(text) > maxLine {
		return nil, true, nil
	}
	return text, false, nil
}

// isBlank reports whether a line holds nothing but white space.
func isBlank(text []byte) bool {
	return len(bytes.Trim(text, " \t\r\n")) == 0
}
