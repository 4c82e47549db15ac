package waybill_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill"
)

const hashKey = "a-key-of-some-length"

func hasher(t *testing.T, key string) *waybill.Hasher {
	t.Helper()
	h, err := waybill.NewHasher(key)
	require.NoError(t, err)
	return h
}

// The vector is checked by hand: HMAC-SHA-256 of 0000000000000005 "phone"
// "+49301234567" under the key, its first 16 bytes.
func TestTokenIsAStableKeyedHash(t *testing.T) {
	t.Parallel()
	require.Equal(t, "k1_5a9ab05faa38d6d66f56c30ec87b11f0", hasher(t, hashKey).Token("phone", "+49301234567").String())
}

func TestTokensTellApartWhatDiffers(t *testing.T) {
	t.Parallel()
	h := hasher(t, hashKey)
	tokens := map[waybill.Token]bool{}
	for _, token := range []waybill.Token{
		h.Token("phone", "+49301234567"),
		h.Token("phone", "+49301234568"),
		h.Token("email", "+49301234567"),
		h.Token("phone+", "49301234567"),
		hasher(t, hashKey+"!").Token("phone", "+49301234567"),
	} {
		require.Len(t, token.String(), len("k1_")+32)
		tokens[token] = true
	}
	require.Len(t, tokens, 5)
	require.Equal(t, h.Token("phone", "1"), hasher(t, "  "+hashKey+"\n").Token("phone", "1"), "white space is not part of a key")
}

func TestKeysHaveNames(t *testing.T) {
	t.Parallel()
	named := hasher(t, "k12:"+hashKey).Token("phone", "1").String()
	require.True(t, strings.HasPrefix(named, "k12_"))
	require.Equal(t, strings.TrimPrefix(hasher(t, hashKey).Token("phone", "1").String(), "k1_"), strings.TrimPrefix(named, "k12_"))
}

func TestNothingToHashIsNull(t *testing.T) {
	t.Parallel()
	var none *waybill.Hasher
	for _, token := range []waybill.Token{{}, none.Token("phone", "1"), new(waybill.Hasher).Token("phone", "1"), hasher(t, hashKey).Token("phone", "")} {
		require.True(t, token.IsZero())
		raw, err := json.Marshal(map[string]any{"phone": token})
		require.NoError(t, err)
		require.JSONEq(t, `{"phone":null}`, string(raw))
	}
}

func TestTokenIsAJSONString(t *testing.T) {
	t.Parallel()
	token := hasher(t, hashKey).Token("phone", "1")
	raw, err := json.Marshal(token)
	require.NoError(t, err)
	require.Equal(t, `"`+token.String()+`"`, string(raw))
}

func TestHasherNeverShowsItsKey(t *testing.T) {
	t.Parallel()
	h := hasher(t, "k7:"+hashKey)
	config := waybill.Config{Hasher: h}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "hasher", h, "config", config)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "hasher", h, "config", config)
	for _, shown := range []string{
		fmt.Sprint(h), fmt.Sprintf("%v %+v %#v %s", h, h, h, h), fmt.Sprintf("%v %+v %#v", *h, *h, *h),
		fmt.Sprintf("%v %+v %#v", config, config, config), log.String(),
	} {
		require.NotContains(t, shown, hashKey)
		require.NotContains(t, shown, fmt.Sprintf("%v", []byte(hashKey)))
		require.NotContains(t, shown, fmt.Sprintf("%#v", []byte(hashKey)))
	}
	require.Equal(t, "waybill.Hasher(k7)", h.String())
	require.Equal(t, "waybill.Hasher(none)", (*waybill.Hasher)(nil).String())
}

func TestShortKeysAreRefusedUnseen(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "short", "k1:also-short", strings.Repeat(" ", 40), "k1:" + strings.Repeat("x", 15)} {
		_, err := waybill.NewHasher(key)
		require.EqualError(t, err, "the key is shorter than 16 bytes; make one with: openssl rand -hex 32")
	}
}

func TestClientMakesTokensOfItsHasher(t *testing.T) {
	t.Parallel()
	h := hasher(t, hashKey)
	client, err := waybill.New(waybill.Config{Hasher: h})
	require.NoError(t, err)
	require.Equal(t, h.Token("phone", "1"), client.Token("phone", "1"))

	client, err = waybill.New(waybill.Config{})
	require.NoError(t, err)
	require.True(t, client.Token("phone", "1").IsZero())
}
