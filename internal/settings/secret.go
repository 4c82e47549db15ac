package settings

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that is never printed: fmt, log/slog and the encoders show [set] for it, or nothing if it is unset.
// The zero value is unset.
//
// It hides its text behind a pointer because fmt cannot call methods on the unexported fields of a struct; a secret kept
// in one prints as an address, never as itself. For the same reason == compares identity; compare what Reveal returns.
type Secret struct{ text *string }

// NewSecret wraps text; an empty one gives the unset Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text itself, for the one place that sends it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.text != nil }

// String returns "[set]", or "" if there is nothing to hide.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return "[set]"
}

// Format implements [fmt.Formatter]: String, whatever the verb and the flags.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON, XML and YAML. It does not round-trip.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]: it is how a variable becomes a Secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
