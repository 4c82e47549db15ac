package ops

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// width is what a terminal shows of a line.
const width = 80

// page collects lines of text. Values that come from outside are cleaned of what could
// move a cursor or forge a line.
type page struct{ text []byte }

func (p *page) line(format string, args ...any) {
	p.text = append(p.text, strings.TrimRight(fmt.Sprintf(format, args...), " ")+"\n"...)
}

// row is a label in its column and one line beside it, cut at the terminal's edge.
func (p *page) row(label, format string, args ...any) {
	p.line("%s", fit(fmt.Sprintf("%-*s%s", labelWidth, label, fmt.Sprintf(format, args...)), width))
}

// wrapped is a label and as many lines beside it as the text takes.
func (p *page) wrapped(label, text string) {
	room := width - labelWidth
	line := ""
	flush := func() {
		p.row(label, "%s", line)
		label, line = "", ""
	}
	for word := range strings.FieldsSeq(printable(text)) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			flush()
		}
		for utf8.RuneCountInString(word) > room {
			head := []rune(word)[:room]
			line, word = string(head), string([]rune(word)[room:])
			flush()
		}
		line = strings.TrimSpace(line + " " + word)
	}
	flush()
}

func (p *page) writeTo(w io.Writer) error {
	_, err := w.Write(p.text)
	return err
}

// labelWidth is the first column of all our pages.
const labelWidth = 12

// fit cuts a text to at most n characters.
func fit(text string, n int) string {
	text = printable(text)
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}

// printable replaces whatever a terminal would act upon.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// thousands writes a count with separators, and a + when it stopped there.
func thousands(n int64, capped bool) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if capped {
		b.WriteByte('+')
	}
	return b.String()
}

// plural is a count with its noun: "1 bundle", "2,000+ bundles". A y at the end of the
// noun becomes ies.
func plural(n int64, capped bool, noun string) string {
	if n == 1 && !capped {
		return "1 " + noun
	}
	if stem, isY := strings.CutSuffix(noun, "y"); isY {
		return thousands(n, capped) + " " + stem + "ies"
	}
	return thousands(n, capped) + " " + noun + "s"
}

// span writes a duration in its two largest units, or one where the other is zero.
func span(d time.Duration) string {
	d = max(d, 0)
	day := 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return units(d, time.Second, "s", 0, "")
	case d < time.Hour:
		return units(d, time.Minute, "min", time.Second, "s")
	case d < day:
		return units(d, time.Hour, "h", time.Minute, "min")
	default:
		return units(d, day, "d", time.Hour, "h")
	}
}

func units(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d %s", d/large, largeName)
	if small > 0 && d%large >= small {
		text += fmt.Sprintf(" %d %s", d%large/small, smallName)
	}
	return text
}

// instant writes a moment in UTC, to the second.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
