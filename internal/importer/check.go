package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/bundle"
)

// check reads one line: the bundle it holds, ready to be enqueued, or why it is
// refused. The strings of values are mended; an identity never is, because a key or
// an id that was cut or had a character replaced may be another one's. key is what
// could be read of the action key, for the report. now bounds occurred_at.
//
// The result shares no memory with text.
func check(text []byte, now time.Time) (doc json.RawMessage, key, refusal string) {
	b, err := read(text)
	if err != nil {
		var whole bundle.Refusal
		if errors.As(err, &whole) && whole.Field == "" {
			err = whole.In("bundle")
		}
		return nil, readableKey(text), err.Error()
	}
	if refusals := b.Refusals(now); len(refusals) > 0 {
		return nil, b.Key, describe(refusals)
	}
	doc, err = b.AppendJSON(nil)
	switch {
	case err != nil:
		return nil, b.Key, err.Error()
	case len(doc) > bundle.MaxBytes:
		return nil, b.Key, bundle.Refusal{Field: "bundle", Problem: "is larger than 256 KB; send less"}.Error()
	}
	return doc, b.Key, ""
}

func read(text []byte) (*bundle.Bundle, error) {
	cleaned, changed, err := bundle.Clean(text)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Parse(cleaned)
	if errors.Is(err, bundle.ErrNewerVersion) {
		return nil, bundle.Refusal{Field: "v", Problem: "is newer than this program; upgrade it"}
	}
	if err != nil {
		return nil, err
	}
	given := b
	if changed != (bundle.Cleaned{}) {
		if given, err = bundle.Parse(text); err != nil {
			return nil, err
		}
	}
	return b, sameIdentity(given, b)
}

// sameIdentity refuses a bundle whose identity cleaning changed.
func sameIdentity(given, cleaned *bundle.Bundle) error {
	before, after := identity(given), identity(cleaned)
	for i, was := range before {
		switch {
		case was.text != after[i].text:
			return bundle.Refusal{Field: was.field, Problem: "is too long or holds NUL or invalid UTF-8; send it as it is known"}
		case strings.ContainsRune(was.text, utf8.RuneError):
			return bundle.Refusal{Field: was.field, Problem: "holds a character that was lost on the way (U+FFFD); send it as it is known"}
		}
	}
	return nil
}

type identifier struct{ field, text string }

// identity lists what names the action, the user, the groups and the event of b.
func identity(b *bundle.Bundle) []identifier {
	ids := []identifier{{"key", b.Key}, {"user_id", b.UserID}, {"device_id", b.DeviceID}}
	for i, g := range b.Groups {
		ids = append(ids, identifier{fmt.Sprintf("groups[%d].id", i), g.ID})
	}
	if b.Track != nil {
		ids = append(ids, identifier{"track.event", b.Track.Event})
	}
	return ids
}

func describe(refusals []bundle.Refusal) string {
	reasons := make([]string, len(refusals))
	for i, r := range refusals {
		reasons[i] = r.Error()
	}
	return strings.Join(reasons, " | ")
}

// readableKey is the action key of a line that is no bundle, if it is JSON that far.
func readableKey(text []byte) string {
	var named struct {
		Key any `json:"key"`
	}
	if json.Unmarshal(text, &named) != nil {
		return ""
	}
	key, _ := named.Key.(string)
	if len(key) > bundle.MaxKeyBytes {
		key = strings.ToValidUTF8(key[:bundle.MaxKeyBytes], "")
	}
	return key
}
