package amplitudetest

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func postForm(t *testing.T, f *Fake, path, apiKey string, identification any) answer {
	t.Helper()
	text, err := json.Marshal(identification)
	require.NoError(t, err)
	form := url.Values{"api_key": {apiKey}, "identification": {string(text)}}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return serve(f, r)
}

func TestIdentifyAPIAnswersInPlainTextAndDoesNotDeduplicate(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	add := object{"user_id": "usr_42", "user_properties": object{"$add": object{"n": 1}}, "groups": object{"account": "a"}}
	for range 2 {
		a := postForm(t, f, "/identify", key, add)
		require.Equal(t, 200, a.status)
		require.Equal(t, "success", a.text)
	}
	require.Equal(t, 200, postForm(t, f, "/identify", key, []object{add, {"user_id": "usr_43"}}).status)
	u, _ := f.User("usr_42")
	require.Equal(t, object{"n": 3.0}, u.Properties)
	require.Equal(t, map[string][]string{"account": {"a"}}, u.Groups)
	require.Zero(t, f.Total())
	require.Zero(t, u.Events)

	postForm(t, f, "/identify", key, object{"user_id": strings.Repeat("u", 1_025)})
	_, ok := f.User(strings.Repeat("u", 1_024))
	require.True(t, ok, "long ids are cut as in events")
}

func TestGroupIdentifyAPISetsGroupProperties(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	a := postForm(t, f, "/groupidentify", key, object{
		"group_type": "account", "group_value": "a\"1", "group_properties": object{"$set": object{"name": "Acme"}},
	})
	require.Equal(t, "success", a.text)
	properties, ok := f.Group("account", "a\"1")
	require.True(t, ok)
	require.Equal(t, object{"name": "Acme"}, properties)
}

func TestFormAPIsRefuse(t *testing.T) {
	t.Parallel()
	good := object{"user_id": "usr_42", "user_properties": object{"a": 1}}
	cases := map[string]struct {
		path           string
		key            string
		identification any
		status         int
		text           string
	}{
		"a wrong key":        {"/identify", "wrong", good, 400, "invalid_api_key"},
		"nothing":            {"/identify", key, []object{}, 400, "missing_event"},
		"no object":          {"/identify", key, "text", 400, "missing_event"},
		"no id":              {"/identify", key, object{"user_properties": object{"a": 1}}, 400, "missing_event"},
		"an insert_id":       {"/identify", key, object{"user_id": "u", "insert_id": "i"}, 400, "missing_event"},
		"a number as id":     {"/identify", key, object{"user_id": 1}, 400, "missing_event"},
		"an invalid id":      {"/identify", key, object{"user_id": "null"}, 400, "missing_event"},
		"mixed operators":    {"/identify", key, object{"user_id": "u", "user_properties": object{"$set": object{"a": 1}, "b": 2}}, 400, "missing_event"},
		"one bad of two":     {"/identify", key, []object{good, {}}, 400, "missing_event"},
		"too many":           {"/identify", key, many(1_025, func(int) object { return good }), 400, "missing_event"},
		"too much":           {"/identify", key, object{"user_id": strings.Repeat("u", 1_000_000)}, 413, "request_too_large"},
		"a group of several": {"/groupidentify", key, object{"group_type": "a", "group_value": []string{"x"}, "group_properties": object{"$set": object{"a": 1}}}, 400, "missing_event"},
		"a group of no type": {"/groupidentify", key, object{"group_value": "x", "group_properties": object{"$set": object{"a": 1}}}, 400, "missing_event"},
		"plain group values": {"/groupidentify", key, object{"group_type": "a", "group_value": "x", "group_properties": object{"a": 1}}, 400, "missing_event"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{APIKeys: []string{key}})
			a := postForm(t, f, c.path, c.key, c.identification)
			require.Equal(t, c.status, a.status, a.text)
			require.Equal(t, c.text, a.text)
			require.Zero(t, f.Stats().Users)
			require.Zero(t, f.Stats().Groups)
		})
	}
}

func TestFormAPIsTakeQueriesAndMultipart(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	query := func(padding string) string {
		return "/identify?" + url.Values{"api_key": {key}, "identification": {`{"user_id":"usr_42","user_properties":{"a":"` + padding + `"}}`}}.Encode()
	}
	require.Equal(t, "success", serve(f, httptest.NewRequest(http.MethodGet, query("x"), nil)).text)
	require.Equal(t, 414, serve(f, httptest.NewRequest(http.MethodGet, query(strings.Repeat("x", 9_000)), nil)).status)

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	require.NoError(t, w.WriteField("api_key", key))
	require.NoError(t, w.WriteField("identification", `{"device_id":"d","user_properties":{"a":1}}`))
	require.NoError(t, w.Close())
	r := httptest.NewRequest(http.MethodPost, "/identify", &form)
	r.Header.Set("Content-Type", w.FormDataContentType())
	require.Equal(t, "success", serve(f, r).text)
	require.Equal(t, 2, f.Stats().Users)
}
