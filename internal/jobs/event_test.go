package jobs

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files of events anew")

// goldens are bundles and what was delivered before them, oldest first. What Amplitude
// is sent for the last one of each stands in testdata/events.
var goldens = map[string][]string{
	"identify": {
		`{"user_id":"usr_42","identify":{"set":{"plan":"pro","seats":5}}}`,
	},
	"identify_folded": {
		`{"user_id":"usr_42","identify":{"set":{"seats":5,"plan":"pro","city":"Ulm"}},"track":{"event":"Plan_Chosen"}}`,
	},
	"identify_beside_an_event": {
		`{"user_id":"usr_42","identify":{"set":{"plan":"pro"},"set_once":{"signup_date":"2026-01-01"},"unset":["trial_ends","coupon"]},"track":{"event":"Plan_Chosen"}}`,
	},
	"increment": {
		`{"user_id":"usr_42","increment":{"orders_total":41,"spent":10.5}}`,
		`{"user_id":"usr_42","increment":{"orders_total":1,"spent":0.25},"track":{"event":"Order_Completed"}}`,
	},
	"groups": {
		`{"user_id":"usr_42","groups":[{"type":"account","id":"acc_1","set":{"name":"Acme","since":2019}},{"type":"workspace","id":"ws_7","parent":"acc_1","set":{"name":"Berlin"}},{"type":"team","id":"t_3","parent":"ws_7"}],"track":{"event":"Report_Created","properties":{"rows":12}}}`,
	},
	"groups_alone": {
		`{"user_id":"usr_42","groups":[{"type":"account","id":"acc_1","set":{"seats":{"used":3,"free":[1,2]}}}]}`,
	},
	"device": {
		`{"device_id":"dev_9","identify":{"set":{"consent":true}},"track":{"event":"Page_Viewed"}}`,
	},
	"user_and_device": {
		`{"user_id":"usr_42","device_id":"dev_9","track":{"event":"Signed_In"}}`,
	},
	"revenue": {
		`{"user_id":"usr_42","track":{"event":"Order_Refunded","properties":{"total_cents":1299},"revenue":{"amount":-12.99,"currency":"EUR"}}}`,
	},
	"context": {
		`{"user_id":"usr_42","track":{"event":"Opened","version":"1.0"},"context":{"platform":"web","app_version":"4.2.0","session_id":1790000000000,"language":"de","ip":"203.0.113.7"},"source":"client","trace":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`,
	},
	"outside_of_any_session": {
		`{"user_id":"usr_42","track":{"event":"Synced"},"context":{"session_id":-1}}`,
	},
	"late": {
		`{"user_id":"usr_42","identify":{"set":{"plan":"pro","city":"Ulm"},"unset":["coupon"]},"increment":{"orders_total":3}}`,
		`{"user_id":"usr_42","identify":{"set":{"plan":"trial","coupon":"X","lang":"de"}},"groups":[{"type":"account","id":"acc_1"}],"track":{"event":"Trial_Started","properties":{"days":14}}}`,
	},
	"instance": {
		`{"user_id":"usr_42","identify":{"set":{"plan":"pro"}},"groups":[{"type":"account","id":"acc_1"}],"track":{"event":"Opened"}}`,
	},
	"text": {
		`{"user_id":"Jörg \"J\" \\ <b>&</b>","identify":{"set":{"größe":"\u2028line\u2029","emoji":"🧾","path":"a/b","tab":"\t"}},"groups":[{"type":"account","id":"Ünïcode & Söhne"}],"track":{"event":"Straße <1>","properties":{"naïve":"Ω\u0001"}}}`,
	},
}

func TestEventsAsAmplitudeIsSentThem(t *testing.T) {
	t.Parallel()
	for name, bundles := range goldens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := goldenEvents(t, name, bundles)
			for range 50 { // maps have no order
				require.Equal(t, got, goldenEvents(t, name, bundles))
			}
			file := filepath.Join("testdata", "events", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

// goldenEvents is what is sent for the last bundle, as a JSON array of an event a line.
// The bundles before it happened later: what is late stays late.
func goldenEvents(t *testing.T, name string, bundles []string) string {
	t.Helper()
	base := map[identity]*profile{}
	var events []string
	for i, b := range bundles {
		it := itemOf(t, int64(8412+i), len(bundles)-i, b)
		it.bundle.Key = "order:8412:" + name
		if name == "instance" {
			byInstance(it.bundle)
		}
		p := newPlanner("i7x2q", epoch, base)
		events = nil
		for _, event := range p.add(it) {
			decodeEvent(t, event)
			events = append(events, string(event))
		}
		p.accepted()
	}
	return "[\n" + strings.Join(events, ",\n") + "\n]\n"
}

func TestEveryGoldenFileIsMeant(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/events/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(goldens))
}

func TestStringsAreJSON(t *testing.T) {
	t.Parallel()
	require.Equal(t, `x"plain"`, string(appendString([]byte("x"), "plain")))
	require.Equal(t, `x"<&>"`, string(appendString([]byte("x"), "<&>")), "no escape that HTML would need")
	require.Equal(t, `x"ä\""`, string(appendString([]byte("x"), `ä"`)))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a\"\\\x00\x1f\x7f\u2028é")))).Draw(t, "s")
		if !utf8.ValidString(s) {
			return
		}
		written := appendString([]byte("kept"), s)
		rest, ok := bytes.CutPrefix(written, []byte("kept"))
		require.True(t, ok)
		var read string
		require.NoError(t, json.Unmarshal(rest, &read))
		require.Equal(t, s, read)
	})
}

func TestObjectsAreSortedByName(t *testing.T) {
	t.Parallel()
	var all members
	for _, m := range [][2]string{{"b", `9`}, {"ä", `null`}, {"a", `{"z":0}`}, {"b", `1`}} {
		all.add(m[0], json.RawMessage(m[1]))
	}
	require.Equal(t, //nolint:testifylint // byte by byte: the order counts
		`{"a":{"z":0},"b":1,"ä":null}`, string(appendObject(nil, all)), "the last of a name counts")
	require.Equal(t, `{}`, string(appendObject(nil, nil)))
}
