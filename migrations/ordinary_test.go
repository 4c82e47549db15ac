package migrations_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/devpg/pgtest"
)

// look is what waybill.ordinary and waybill.inspect say of one bundle.
type look struct {
	Ordinary bool
	Refusal  *string
	// Agrees: inspect gives it the key it carries, and the time it carries or now.
	Agrees bool
}

func looksAt(ctx context.Context, t require.TestingT, pool *pgxpool.Pool, bundles ...string) []look {
	rows, err := pool.Query(ctx, `
		SELECT waybill.ordinary(g.b::jsonb), i.refusal,
			i.action_key = g.b::jsonb ->> 'key' AND CASE
				WHEN NOT waybill.ordinary(g.b::jsonb) THEN false
				WHEN g.b::jsonb ->> 'occurred_at' IS NULL THEN i.occurred_at BETWEEN now() AND clock_timestamp()
				ELSE i.occurred_at = (g.b::jsonb ->> 'occurred_at')::timestamptz
			END
		FROM unnest($1::text[]) WITH ORDINALITY AS g (b, n)
		CROSS JOIN LATERAL waybill.inspect(g.b::jsonb) AS i
		ORDER BY g.n`, bundles)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[look])
	require.NoError(t, err)
	return all
}

// TestWhatIsOrdinaryIsNeverRefused holds the short way to the long one: whatever takes it
// would have been let through, as it is.
func TestWhatIsOrdinaryIsNeverRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	var ordinary, timed, odd, refused int
	rapid.Check(t, func(r *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		bundles := []string{"null", "7", `"key"`, "[]"}
		for range 40 {
			bundles = append(bundles, aBundle(random))
		}
		for i, l := range looksAt(t.Context(), r, pool, bundles...) {
			switch {
			case l.Refusal != nil:
				refused++
				require.Falsef(r, l.Ordinary, "%.300s: %s", bundles[i], *l.Refusal)
			case l.Ordinary:
				ordinary++
				if strings.Contains(bundles[i], `"occurred_at": "`) {
					timed++
				}
				require.Truef(r, l.Agrees, "%.300s", bundles[i])
			default:
				odd++
			}
		}
	})
	require.Greater(t, ordinary, 100)
	require.Greater(t, timed, 30)
	require.Greater(t, odd, 100)
	require.Greater(t, refused, 100)
}

// aBundle is an ordinary one with up to three of its members replaced.
func aBundle(random *rand.Rand) string {
	values := []string{
		`null`, `""`, `"u"`, `"1"`, `0`, `1`, `1.0`, `1e0`, `2`, `-1`, `1e300`, `true`, `false`, `{}`, `[]`, `[null]`, `[{"key": "x"}]`,
		`{"event": "X"}`, `{"set": {"plan": "pro"}}`, `"2026-01-01T00:00:00Z"`, `"2026-02-30T00:00:00Z"`, `"2126-01-01T00:00:00Z"`,
		`"` + strings.Repeat("k", 256) + `"`, `"` + strings.Repeat("k", 257) + `"`, `"` + strings.Repeat("é", 128) + `"`, `"` + strings.Repeat("é", 129) + `"`,
		nested(37), nested(38), nested(39), nested(40), nested(41), listed(38), listed(39), listed(40),
		`[` + strings.TrimSuffix(strings.Repeat("1e300,", 900), ",") + `]`,
	}
	names := []string{
		"v", "key", "user_id", "device_id", "occurred_at", "identify", "increment", "groups", "track", "context", "source", "trace", "trak", "",
	}
	members := map[string]string{"key": `"k"`, "user_id": `"u"`, "track": `{"event": "X"}`}
	if random.IntN(2) == 0 {
		members["occurred_at"] = fmt.Sprintf("%q", aTime(random))
	}
	for range random.IntN(4) {
		name := names[random.IntN(len(names))]
		members[name] = values[random.IntN(len(values))]
		if random.IntN(5) == 0 {
			delete(members, name)
		}
	}
	var text []string
	for _, name := range names {
		if value, ok := members[name]; ok {
			text = append(text, fmt.Sprintf("%q: %s", name, value))
		}
	}
	bundle := "{" + strings.Join(text, ", ") + "}"
	if random.IntN(20) == 0 {
		return "[" + bundle + "]"
	}
	return bundle
}

func nested(levels int) string {
	return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
}

func listed(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

// TestTheLimitsOfWhatIsOrdinary are to the byte those of what is refused.
func TestTheLimitsOfWhatIsOrdinary(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	with := func(properties string) string {
		return fmt.Sprintf(`{"key": "k", "user_id": "u", "track": {"event": "X", "properties": %s}}`, properties)
	}
	text := func(bytes int) string {
		frame := len(`{"key": "k", "track": {"event": "X", "properties": ""}, "user_id": "u"}`)
		return with(`"` + strings.Repeat("x", bytes-frame) + `"`)
	}
	for name, bundle := range map[string]string{
		"256 KB":              text(262144),
		"a byte more":         text(262145),
		"nesting of 40":       with(nested(38)),
		"one level more":      with(nested(39)),
		"a key of 256 bytes":  strings.Replace(with("1"), `"k"`, `"`+strings.Repeat("k", 256)+`"`, 1),
		"a key of 257 bytes":  strings.Replace(with("1"), `"k"`, `"`+strings.Repeat("k", 257)+`"`, 1),
		"numbers that unfold": with(`[` + strings.TrimSuffix(strings.Repeat("1e300,", 900), ",") + `]`),
	} {
		l := looksAt(t.Context(), t, pool, bundle)[0]
		require.Equal(t, l.Refusal == nil, l.Ordinary, name)
	}
	require.True(t, looksAt(t.Context(), t, pool, text(262144))[0].Ordinary)
	require.True(t, looksAt(t.Context(), t, pool, with(nested(38)))[0].Ordinary)
}

// TestEveryRoadRecordsTheSame takes ordinary bundles and others through the door alone, in
// an array of one and among others, of which none or some have been here before.
func TestEveryRoadRecordsTheSame(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	for name, members := range map[string]string{
		"ordinary":       `"user_id": "u", "track": {"event": "X"}`,
		"every field":    `"v": 1, "user_id": "u", "device_id": "d", "occurred_at": null, "identify": {"set": {"a": 1}}, "increment": null, "groups": [], "track": {"event": "X"}, "context": {}, "source": "server", "trace": null`,
		"a device":       `"device_id": "d", "track": {"event": "X"}`,
		"no event":       `"user_id": "u", "identify": {"set": {"a": 1}}`,
		"a time":         `"user_id": "u", "occurred_at": "2026-01-31t10:00:00.5Z", "track": {"event": "X"}`,
		"a usual time":   `"user_id": "u", "occurred_at": "2026-01-31T10:00:00.5Z", "track": {"event": "X"}`,
		"a 61st second":  `"user_id": "u", "occurred_at": "2026-01-15T23:59:60.5Z", "track": {"event": "X"}`,
		"a new version":  `"v": 2, "user_id": "u", "brand_new": 1, "track": {"event": "X"}`,
		"an odd track":   `"user_id": "u", "track": "X"`,
		"long words":     fmt.Sprintf(`"user_id": %q, "track": {"event": %[1]q}`, strings.Repeat("w", 300)),
		"nobody":         `"track": {"event": "X"}`,
		"a typo":         `"user_id": "u", "trak": 1, "track": {"event": "X"}`,
		"a time to come": `"user_id": "u", "occurred_at": "2126-01-31T10:00:00Z", "track": {"event": "X"}`,
	} {
		road := func(by, format string) (got answer, row string) {
			key := name + " " + by
			bundle := fmt.Sprintf(`{"key": %q, %s}`, key, members)
			got = enqueue(t, onPool{pool}, fmt.Sprintf(format, bundle))[0]
			require.Equal(t, key, *got.Key, name)
			row = one[string](t, pool, `
				SELECT concat_ws(' | ', b.event, b.user_id, b.payload - 'key', b.job_id IS NULL, j.id IS NULL, d.outcome, d.reason,
					CASE WHEN b.occurred_at > b.enqueued_at - interval '1 minute' THEN 'now' ELSE b.occurred_at::text END,
					b.key_hash = sha256(convert_to(b.action_key, 'UTF8')), b.occurred_at <= b.enqueued_at)
				FROM waybill.bundle AS b LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id LEFT JOIN waybill.river_job AS j ON j.id = b.job_id
				WHERE b.id = $1 AND b.action_key = $2`, *got.BundleID, key)
			again := enqueue(t, onPool{pool}, fmt.Sprintf(format, bundle))[0]
			require.Equal(t, "duplicate", again.Outcome, name)
			require.Equal(t, []any{1, key, *got.BundleID}, []any{again.N, *again.Key, *again.BundleID}, name)
			require.Nil(t, again.Reason, name)
			got.BundleID, got.Key = nil, nil
			return got, row
		}
		alone, row := road("alone", "%s")
		for by, format := range map[string]string{
			"in an array of one":        "[%s]",
			"among new ones":            "[%s, " + order("beside "+name) + "]",
			"among some that are known": "[%s, " + order("known") + ", " + order("known") + "]",
			"and the same once more":    "[%[1]s, %[1]s]",
		} {
			got, same := road(by, format)
			require.Equal(t, alone, got, "%s %s", name, by)
			require.Equal(t, row, same, "%s %s", name, by)
		}
	}
}

// TestABulkCallLooksTwiceOnlyAtWhatIsNotOrdinary: it is what a bundle of a bulk call costs.
func TestABulkCallLooksTwiceOnlyAtWhatIsNotOrdinary(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	exec(t, pool, `CREATE OR REPLACE FUNCTION waybill.inspect(b jsonb, OUT action_key text, OUT refusal text, OUT occurred_at timestamptz)
		LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'looked at %', b ->> 'key'; END $$`)

	enqueue(t, onPool{pool}, order("a"))
	enqueue(t, onPool{pool}, "["+order("b")+"]")
	enqueue(t, onPool{pool}, "["+order("c")+","+order("d")+","+order("c")+"]")
	timed := strings.Replace(order("f"), "{", `{"occurred_at": "2026-01-31T10:00:00.5Z", `, 1)
	enqueue(t, onPool{pool}, timed)
	enqueue(t, onPool{pool}, "["+timed+","+order("g")+"]")
	_, err := onPool{pool}.Query(t, "SELECT * FROM waybill.enqueue($1::text::jsonb)", "["+order("e")+`, {"key": "odd"}]`)
	require.ErrorContains(t, err, "looked at odd")
}
