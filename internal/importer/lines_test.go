package importer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// readAll reads an input to its end, or to its error.
func readAll(r io.Reader) (texts []string, ends []int64, err error) {
	in := newLines(r)
	for {
		l, err := in.next()
		if errors.Is(err, io.EOF) {
			return texts, ends, nil
		}
		if err != nil {
			return texts, ends, err
		}
		text := string(l.text)
		if l.tooLong {
			text = "TOO LONG"
		}
		if l.number != len(texts)+1 {
			return texts, ends, errors.New("line numbers are not in order")
		}
		texts, ends = append(texts, text), append(ends, l.end)
	}
}

func TestLinesAreCutWhereverTheyBreak(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("w", 200<<10) // more than the reader's buffer
	for name, c := range map[string]struct {
		input string
		want  []string
		ends  []int64
	}{
		"nothing":                   {"", nil, nil},
		"one line break":            {"\n", []string{""}, []int64{1}},
		"last line without a break": {"a\nb", []string{"a", "b"}, []int64{2, 3}},
		"Windows line breaks":       {"a\r\n\r\nb\r\n", []string{"a", "", "b"}, []int64{3, 5, 8}},
		"carriage return inside":    {"a\rb\n", []string{"a\rb"}, []int64{4}},
		"byte order mark":           {"\xef\xbb\xbfa\nb\n", []string{"a", "b"}, []int64{5, 7}},
		"only a byte order mark":    {"\xef\xbb\xbf", nil, nil},
		"a later byte order mark":   {"a\n\xef\xbb\xbfb\n", []string{"a", "\xef\xbb\xbfb"}, []int64{2, 7}},
		"NUL and invalid UTF-8":     {"\x00\xff\n", []string{"\x00\xff"}, []int64{3}},
		"wider than the buffer":     {wide + "\nb\n", []string{wide, "b"}, []int64{204801, 204803}},
		"wide and last":             {"b\n" + wide, []string{"b", wide}, []int64{2, 204802}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(c.input), iotest.OneByteReader(strings.NewReader(c.input))} {
				texts, ends, err := readAll(r)
				require.NoError(t, err)
				require.Equal(t, c.want, texts)
				require.Equal(t, c.ends, ends)
			}
		})
	}
}

func TestALineThatIsTooLongIsPassedOverInBoundedMemory(t *testing.T) {
	t.Parallel()
	long := func(n int64) io.Reader { return io.LimitReader(endless('x'), n) }
	in := newLines(io.MultiReader(
		strings.NewReader("first\n"),
		long(3*maxLine), strings.NewReader("\n"),
		long(maxLine), strings.NewReader("\r\n"),
		long(maxLine+1), strings.NewReader("\n"),
		strings.NewReader("between\n"),
		long(maxLine+1),
	))
	var got []string
	for {
		l, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch {
		case l.tooLong:
			require.Empty(t, l.text)
			got = append(got, "too long")
		case len(l.text) == maxLine:
			got = append(got, "just fits")
		default:
			got = append(got, string(l.text))
		}
	}
	require.Equal(t, []string{"first", "too long", "just fits", "too long", "between", "too long"}, got)
	require.Less(t, cap(in.long), 2*maxLine, "bytes held for a line")
}

// endless repeats one byte.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte{byte(e)}, len(p))), nil
}

func TestAnInputThatIsNoTextIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]error{
		"\x1f\x8b\x08\x00 …":  ErrCompressed,
		"\xff\xfe{\x00}\x00":  ErrUTF16,
		"\xfe\xff\x00{\x00\n": ErrUTF16,
	} {
		_, _, err := readAll(strings.NewReader(input))
		require.ErrorIs(t, err, want)
	}
}

func TestALineCutShortByAFailingReaderIsNotALine(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	texts, _, err := readAll(io.MultiReader(strings.NewReader("whole\n{\"key\":\"or"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"whole"}, texts)
}

// FuzzLines compares the reader, fed in small pieces, with cutting the input as a
// whole.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n\xef\xbb\xbf"))
	f.Fuzz(func(t *testing.T, input []byte) {
		texts, ends, err := readAll(iotest.HalfReader(bytes.NewReader(input)))
		if errors.Is(err, ErrCompressed) || errors.Is(err, ErrUTF16) {
			return
		}
		require.NoError(t, err)
		rest := strings.TrimPrefix(string(input), "\xef\xbb\xbf")
		var want []string
		for part := range strings.SplitAfterSeq(rest, "\n") {
			if part != "" {
				want = append(want, strings.TrimSuffix(strings.TrimSuffix(part, "\n"), "\r"))
			}
		}
		require.Equal(t, want, texts)
		if len(ends) > 0 {
			require.EqualValues(t, len(input), ends[len(ends)-1])
		}
	})
}
