package amplitude

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxReason = 300
	removed   = "[removed]"
)

// scrubber takes out of a text what it must not repeat: the API key, and what the events said. Amplitude's errors
// quote the key, and a firewall's page may quote anything; reasons end up in tables, logs and pages.
type scrubber struct {
	key    string
	events []json.RawMessage
	known  map[string]bool // what echoes found before: a thousand reasons share their words
}

func newScrubber(key string, events []json.RawMessage) scrubber {
	return scrubber{key: key, events: events, known: make(map[string]bool)}
}

// clean returns the text in at most 300 characters on one line, with the key and every word that is a value
// in the events replaced. Words of Amplitude's own messages and names of fields stay.
func (s scrubber) clean(text string) string {
	text = oneLine(text)
	if s.key != "" {
		text = strings.ReplaceAll(text, s.key, removed)
	}

	var out strings.Builder
	for length := 0; len(text) > 0 && length <= maxReason; length = utf8.RuneCountInString(out.String()) {
		word, rest := cutWord(text)
		if s.echoes(word) {
			word = removed
		}
		separator, rest := cutSeparator(rest)
		out.WriteString(word)
		out.WriteString(separator)
		text = rest
	}
	text = out.String()
	for twice := removed + " " + removed; strings.Contains(text, twice); {
		text = strings.ReplaceAll(text, twice, removed)
	}
	return truncate(text, maxReason)
}

// oneLine makes control characters and runs of white space single spaces, and keeps the text short enough for
// what follows. It cuts between words, because half a value would not be recognised.
func oneLine(text string) string {
	const enough = 2_000
	whole := len(text) <= enough
	if !whole {
		text = text[:enough]
	}
	text = strings.ToValidUTF8(text, " ")
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if !whole && len(words) > 0 {
		words = words[:len(words)-1]
	}
	return strings.Join(words, " ")
}

// A word is what a value can be recognised by: letters and digits, and the marks inside of names, addresses and
// numbers.
func inWord(r rune) bool {
	return alphanumeric(r) || unicode.IsMark(r) || strings.ContainsRune("_-.@+$", r)
}

func cutWord(text string) (word, rest string) {
	end := strings.IndexFunc(text, func(r rune) bool { return !inWord(r) })
	if end < 0 {
		end = len(text)
	}
	word = strings.TrimRight(text[:end], ".")
	return word, text[len(word):]
}

func cutSeparator(text string) (separator, rest string) {
	start := strings.IndexFunc(text, func(r rune) bool { return inWord(r) && r != '.' })
	if start < 0 {
		start = len(text)
	}
	return text[:start], text[start:]
}

// echoes says whether the word, or a part of it, stands in the events as something else than the name of a field.
func (s scrubber) echoes(word string) bool {
	if s.heldByEvent(word) {
		return true
	}
	const shortest = 3 // anything shorter tells nothing
	parts := strings.FieldsFunc(word, func(r rune) bool { return !alphanumeric(r) })
	return slices.ContainsFunc(parts, func(part string) bool {
		return len(part) >= shortest && s.heldByEvent(part)
	})
}

func (s scrubber) heldByEvent(word string) bool {
	if word == "" || ownWords[strings.ToLower(word)] {
		return false
	}
	held, known := s.known[word]
	if !known {
		// JSON writers differ in whether they escape letters outside of ASCII.
		escaped := strconv.QuoteToASCII(word)
		escaped = escaped[1 : len(escaped)-1]
		held = slices.ContainsFunc(s.events, func(event json.RawMessage) bool {
			return holdsValue(event, []byte(word)) || escaped != word && holdsValue(event, []byte(escaped))
		})
		s.known[word] = held
	}
	return held
}

// holdsValue looks for the word in the JSON, other than inside of a plain field name. A short word counts only
// where it stands alone; a longer one anywhere, since an error may quote the beginning of a value.
func holdsValue(event, word []byte) bool {
	const wholeBelow = 5
	for from := 0; ; {
		i := bytes.Index(event[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		alone := !continuesBefore(event[:start]) && !continuesAfter(event[end:])
		if (alone || len(word) >= wholeBelow) && !inFieldName(event, start, end) {
			return true
		}
		from = start + 1
	}
}

func continuesBefore(text []byte) bool {
	if n := len(text); n >= 2 && text[n-2] == '\\' || n >= 6 && text[n-6] == '\\' {
		return false // the letters before belong to an escape such as \n or \u00e9
	}
	r, size := utf8.DecodeLastRune(text)
	return size > 0 && alphanumeric(r)
}

func continuesAfter(text []byte) bool {
	r, size := utf8.DecodeRune(text)
	return size > 0 && alphanumeric(r)
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// inFieldName says whether event[start:end] lies in a JSON key that is an identifier. Any other key, an address for
// instance, may be personal data.
func inFieldName(event []byte, start, end int) bool {
	for start > 0 && identifierByte(event[start-1]) {
		start--
	}
	for end < len(event) && identifierByte(event[end]) {
		end++
	}
	name := event[start:end]
	return bytes.HasSuffix(event[:start], []byte(`"`)) && bytes.HasPrefix(event[end:], []byte(`":`)) &&
		!bytes.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf || !identifierByte(byte(r)) })
}

func identifierByte(b byte) bool {
	return b == '_' || b == '$' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func truncate(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	return string(runes[:limit-1]) + "…"
}

// ownWords are the words of Amplitude's documented messages, of ours around them, and the names of event
// fields. They stay even if a value happens to be spelled alike: "Invalid" tells nobody anything about a person.
var ownWords = func() map[string]bool {
	const text = `invalid request path missing body json required field fields event events api key values on some
		silenced for device_id user_id id length or too many requests devices and users payload large forbidden
		http not amplitude s the answer broke off no complete within gave up caller waiting sent device
		event_type time insert_id event_id session_id event_properties user_properties groups group_properties
		price quantity revenue producttype productid revenuetype currency platform language ip plan options a an
		is of to in with from by html nginx error bad gateway server service unavailable
		400 401 403 404 405 408 413 429 500 502 503 504`
	words := make(map[string]bool)
	for word := range strings.FieldsSeq(text) {
		words[word] = true
	}
	return words
}()
