package waybill

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"log/slog"
	"regexp"
	"strings"
)

// Hasher turns identifiers that must not leave the house, such as phone numbers,
// into tokens: the same identifier is always the same token, and nobody without
// the key can tell which. It may be used from several goroutines, and prints
// nothing of its key.
type Hasher struct {
	id  string
	mac func() hash.Hash // holds the key where no printing can reach it
}

const minHashKeyBytes = 16

var (
	hashKeyName = regexp.MustCompile(`^(k[0-9]{1,4}):`)

	errShortHashKey = errors.New("the key is shorter than 16 bytes; make one with: openssl rand -hex 32")
)

// NewHasher makes a Hasher. key is any secret of at least 16 bytes, and may
// begin with its name, such as "k2:", which then begins every token; without one
// it is "k1". Give a new key a new name: tokens of two keys never match, and the
// name shows which is which. White space around the key is not part of it, so
// that a secret read from a file and one from the environment agree.
func NewHasher(key string) (*Hasher, error) {
	id, key := "k1", strings.TrimSpace(key)
	if m := hashKeyName.FindStringSubmatch(key); m != nil {
		id, key = m[1], key[len(m[0]):]
	}
	if len(key) < minHashKeyBytes {
		return nil, errShortHashKey
	}
	secret := []byte(key)
	return &Hasher{id: id, mac: func() hash.Hash { return hmac.New(sha256.New, secret) }}, nil
}

// Token is the token of value. label says what kind of identifier it is
// ("phone", "email"): equal values under two labels have unrelated tokens.
// Bring value into one spelling first; +49 30 1 and +49301 are two identifiers.
//
// An empty value, or a nil or zero Hasher, gives the zero Token, which is sent as null:
// a key that was forgotten never lets the identifier itself through.
func (h *Hasher) Token(label, value string) Token {
	if h == nil || h.mac == nil || value == "" {
		return Token{}
	}
	mac := h.mac()
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(label))))
	mac.Write([]byte(label))
	mac.Write([]byte(value))
	return Token{h.id + "_" + hex.EncodeToString(mac.Sum(nil)[:tokenBytes])}
}

const tokenBytes = 16

// String names the key without showing it.
func (h *Hasher) String() string {
	if h == nil {
		return "waybill.Hasher(none)"
	}
	return "waybill.Hasher(" + h.id + ")"
}

// GoString is String, for %#v.
func (h *Hasher) GoString() string { return h.String() }

// LogValue is String, for log/slog.
func (h *Hasher) LogValue() slog.Value { return slog.StringValue(h.String()) }

// Token stands for an identifier: the name of the key, an underscore and 128
// bits of HMAC-SHA-256 in hexadecimal. Only a [Hasher] makes one, so a property
// of this type can hold no raw identifier. It may stand wherever a property
// value may.
type Token struct{ text string }

// String is the token as it is sent.
func (t Token) String() string { return t.text }

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.text == "" }

// MarshalJSON writes the token as a string, the zero Token as null.
func (t Token) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.text + `"`), nil
}
