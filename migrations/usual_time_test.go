package migrations_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/devpg/pgtest"
	"waybill/migrations"
)

// aTime is RFC 3339 more often than not, and past more often than to come.
func aTime(random *rand.Rand) string {
	pick := func(usual, odd []string) string {
		if random.IntN(12) == 0 {
			return odd[random.IntN(len(odd))]
		}
		return usual[random.IntN(len(usual))]
	}
	return pick([]string{"2026", "2025", "2024", "1999", "1000"}, []string{"0000", "0001", "0999", "9999", "2126", "02026", "-2026", "２０２６"}) +
		"-" + pick([]string{"01", "02", "04", "09", "10", "11", "12"}, []string{"00", "13", "1", "99"}) +
		"-" + pick([]string{"01", "09", "19", "28", "29", "30", "31"}, []string{"00", "32", "7", "٣١"}) +
		pick([]string{"T"}, []string{"t", " ", "", "T "}) +
		pick([]string{"00", "09", "19", "23"}, []string{"24", "7", "60"}) +
		":" + pick([]string{"00", "59"}, []string{"60", "5"}) +
		pick([]string{":00", ":59"}, []string{":60", ":61", "", ":5"}) +
		pick([]string{"", ".5", ".123", ".123456", ".9999999", ".123456789"}, []string{".", ".1234567890", ",5"}) +
		pick([]string{"Z", "+00:00", "-23:59", "+05:30", "-12:00", "+15:59"}, []string{"z", "", "+0530", "+16:00", "+24:00", " UTC", "Z Z", "Z\\n", " BC"})
}

// TestWhatUsualTimeReadsReadTimeReadsTheSame, and neither raises for anything.
func TestWhatUsualTimeReadsReadTimeReadsTheSame(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	var usual, unusual int
	rapid.Check(t, func(r *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
		var given []string
		for range 40 {
			given = append(given, aTime(random))
		}
		rows, err := pool.Query(t.Context(), `
			SELECT waybill.usual_time(g), waybill.read_time(g) FROM unnest($1::text[]) WITH ORDINALITY AS u (g, n) ORDER BY n`, given)
		require.NoError(r, err)
		type reading struct{ Usual, Any *time.Time }
		readings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[reading])
		require.NoErrorf(r, err, "%q", given)
		for i, reading := range readings {
			if reading.Usual == nil {
				unusual++
				continue
			}
			usual++
			require.NotNilf(r, reading.Any, "%q", given[i])
			require.Truef(r, reading.Usual.Equal(*reading.Any), "%q", given[i])
		}
	})
	require.Greater(t, usual, 100)
	require.Greater(t, unusual, 100)
}

// TestUsualTimeKnowsEveryDay but the one that most years lack.
func TestUsualTimeKnowsEveryDay(t *testing.T) {
	t.Parallel()
	var given []string
	var usual, known []bool
	for _, year := range []int{2023, 2024} {
		for month := range 14 {
			for day := range 33 {
				at := fmt.Sprintf("%d-%02d-%02dT10:15:00Z", year, month, day)
				_, err := time.Parse(time.RFC3339, at)
				given = append(given, at)
				known = append(known, err == nil)
				usual = append(usual, err == nil && (month != 2 || day != 29))
			}
		}
	}
	require.Empty(t, column(t, pgtest.New(t).Pool(t), `
		SELECT given FROM unnest($1::text[], $2::boolean[], $3::boolean[]) AS d (given, usual, known)
		WHERE (waybill.usual_time(given) IS NOT NULL, waybill.read_time(given) IS NOT NULL) <> (usual, known)`, given, usual, known))
}

// TestNoPatternDependsOnTheLocale: what \d, \w and \s mean is the database's to say.
func TestNoPatternDependsOnTheLocale(t *testing.T) {
	t.Parallel()
	for _, step := range migrations.Steps() {
		require.NotRegexp(t, `[!]?~[*]? '[^']*\\[dwsDWS]`, step.Up, step.Name)
	}
}
