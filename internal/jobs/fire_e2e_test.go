package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
)

// TestThreeWorkersUnderFire lets three workers drain what many users did at once while
// Amplitude misbehaves in every way that costs an answer, and compares what it then holds
// with the ledger.
func TestThreeWorkersUnderFire(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{Seed: 7})
	h.fake.Inject(
		amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.StoredLost}, Probability: 0.06},
		amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.StoredLate, AfterRequests: 2}, Probability: 0.06},
		amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Reset}, Probability: 0.04},
		amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Unavailable}, Probability: 0.06},
		amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.GatewayTimeout}, Probability: 0.04},
	)
	const bundles = 3000
	random := rand.New(rand.NewPCG(1, 2))
	actions := make([]string, bundles)
	for i := range actions {
		actions[i] = randomAction(random, i)
	}
	var meters []*tally
	var stops []func()
	for range 3 {
		_, meter, stop := h.start(t, func(cfg *Config) { cfg.Concurrency = 40 })
		meters, stops = append(meters, meter), append(stops, stop)
	}
	for len(actions) > 0 {
		n := min(len(actions), 1+random.IntN(60))
		h.enqueue(t, actions[:n]...)
		actions = actions[n:]
	}
	untilAll(t, bundles, meters)
	for _, stop := range stops {
		stop()
	}

	h.fake.Settle()
	require.Equal(t, map[string]int{"delivered": bundles}, h.ledger(t))
	stats := h.fake.Stats()
	require.Equal(t, bundles, stats.Counted)
	require.Zero(t, stats.StoredTwice)
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.request"))
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE request_id IS NOT NULL"))
	h.requireNewestTraits(t)
	require.NotZero(t, stats.Duplicates, "the faults had an effect")
}

func randomAction(random *rand.Rand, i int) string {
	user := fmt.Sprintf("user-%02d", random.IntN(30))
	account := fmt.Sprintf("acc-%d", random.IntN(4))
	at := time.Now().Add(-time.Duration(random.IntN(3600)) * time.Second).UTC().Format(time.RFC3339Nano)
	identify := fmt.Sprintf(`{"set": {"plan": "p%d", "seats": %d}}`, random.IntN(3), random.IntN(3))
	if random.IntN(4) == 0 {
		identify = `{"unset": ["seats"]}`
	}
	return fmt.Sprintf(`{"key": "action:%d", "user_id": %q, "occurred_at": %q, "identify": %s, "increment": {"actions_total": 1},
		"groups": [{"type": "account", "id": %q, "set": {"name": "n%d"}}], "track": {"event": "Acted", "properties": {"i": %d}}}`,
		i, user, at, identify, account, random.IntN(2), i)
}

func untilAll(t *testing.T, n int, meters []*tally) {
	t.Helper()
	deadline := time.After(patience)
	for {
		var sum int
		changed := make([]chan struct{}, 0, len(meters))
		for _, m := range meters {
			m.mu.Lock()
			for _, count := range m.outcomes {
				sum += count
			}
			changed = append(changed, m.changed)
			m.mu.Unlock()
		}
		if sum >= n {
			return
		}
		select {
		case <-anyOf(changed):
		case <-deadline:
			t.Fatalf("%d of %d outcomes in time", sum, n)
		}
	}
}

// anyOf is closed when one of them is.
func anyOf(all []chan struct{}) <-chan struct{} {
	one := make(chan struct{})
	closeOne := sync.OnceFunc(func() { close(one) })
	for _, c := range all {
		go func() {
			select {
			case <-c:
				closeOne()
			case <-one:
			}
		}()
	}
	return one
}

// requireNewestTraits compares every user's and account's properties at Amplitude with
// the newest committed ones in the ledger.
func (h *house) requireNewestTraits(t *testing.T) {
	t.Helper()
	rows, err := h.pool.Query(t.Context(), `
		SELECT user_id, jsonb_object_agg(name, value) FILTER (WHERE value IS NOT NULL) || jsonb_build_object('actions_total', max(total))
		FROM (
			SELECT DISTINCT ON (b.user_id, t.name) b.user_id, t.name, t.value,
				(SELECT count(*) FROM waybill.bundle AS c WHERE c.user_id = b.user_id) AS total
			FROM waybill.bundle AS b
			CROSS JOIN LATERAL (
				SELECT key AS name, value FROM jsonb_each(b.payload -> 'identify' -> 'set')
				UNION ALL SELECT jsonb_array_elements_text(b.payload -> 'identify' -> 'unset'), NULL
			) AS t
			ORDER BY b.user_id, t.name, b.occurred_at DESC, b.id DESC
		) AS newest
		GROUP BY user_id`)
	require.NoError(t, err)
	var user string
	var text []byte
	_, err = pgx.ForEachRow(rows, []any{&user, &text}, func() error {
		var want map[string]any
		require.NoError(t, json.Unmarshal(text, &want))
		got, ok := h.fake.User(user)
		require.True(t, ok, user)
		require.Equalf(t, want, got.Properties, "user %s", user)
		return nil
	})
	require.NoError(t, err)

	rows, err = h.pool.Query(t.Context(), `
		SELECT DISTINCT ON (g ->> 'id') g ->> 'id', g -> 'set' ->> 'name'
		FROM waybill.bundle AS b, jsonb_array_elements(b.payload -> 'groups') AS g
		ORDER BY g ->> 'id', b.occurred_at DESC, b.id DESC`)
	require.NoError(t, err)
	var account, name string
	_, err = pgx.ForEachRow(rows, []any{&account, &name}, func() error {
		got, ok := h.fake.Group("account", account)
		require.True(t, ok, account)
		require.Equalf(t, name, got["name"], "account %s", account)
		return nil
	})
	require.NoError(t, err)
}

// TestADatabaseThatGoesAwayIsWaitedFor cuts every connection again and again.
func TestADatabaseThatGoesAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{Latency: 20 * time.Millisecond})
	_, meter, stop := h.start(t)
	const bundles = 600
	for i := range bundles / 20 {
		batch := make([]string, 20)
		for j := range batch {
			batch[j] = onPlan(fmt.Sprintf("k%d", i*20+j), fmt.Sprintf("u%d", j), fmt.Sprintf("p%d", i%2))
		}
		h.enqueue(t, batch...)
		h.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'keep'")
	}
	meter.untilOutcomes(t, bundles)
	stop()

	require.Equal(t, map[string]int{"delivered": bundles}, h.ledger(t))
	require.Equal(t, bundles, h.fake.Stats().Counted)
}

// TestAPausedWorkerDoesNotSpeakForOthers holds a worker's request back until another one
// has taken over, as a suspended machine would.
func TestAPausedWorkerDoesNotSpeakForOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	client := h.sender(t)
	paused, proceed := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	sleeper := senderFunc(func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
		if calls.Add(1) == 1 {
			close(paused)
			<-proceed
		}
		return client.Upload(ctx, events)
	})
	_, asleep, stopAsleep := h.start(t, func(cfg *Config) { cfg.Sender = sleeper })
	h.enqueue(t, onPlan("a", "u1", "old"))
	<-paused
	h.exec(t, `WITH dead AS (DELETE FROM waybill.worker RETURNING id),
		cut_off AS (DELETE FROM waybill.request USING dead WHERE worker = dead.id RETURNING request.id, bundle_ids, request.started_at),
		doubt AS (INSERT INTO waybill.delivery (bundle_id, outcome, request_id, doubt_since) SELECT unnest(bundle_ids), 'in_doubt', id, started_at FROM cut_off)
		UPDATE waybill.river_job SET state = 'available', attempt = 0 WHERE state = 'running'`)
	_, awake, _ := h.start(t)
	untilAll(t, 1, []*tally{asleep, awake})
	h.enqueue(t, onPlan("b", "u1", "new"))
	untilAll(t, 2, []*tally{asleep, awake})

	close(proceed)
	asleep.until(t, "its answer", func(m *tally) bool { return m.requests["delivered"] >= int(calls.Load()) })
	stopAsleep()

	require.Equal(t, map[string]int{"delivered": 2}, h.ledger(t))
	require.Equal(t, 2, h.fake.Stats().Counted)
	user, _ := h.fake.User("u1")
	require.Equal(t, "new", user.Properties["plan"], "what it sent late was known already")
	require.Equal(t, "new", strings.Trim(ask[string](t, h, "SELECT traits -> 'plan' ->> 'value' FROM waybill.profile WHERE id = 'u1'"), `"`))
}

// TestPreparesThatMeetSeeEachOther lets many flights prepare bundles of one user at once:
// whoever waits for the profile's lock must see the reservation that was taken meanwhile.
func TestPreparesThatMeetSeeEachOther(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const flying = 8
	var ids []int64
	for i := range flying {
		ids = append(ids, h.enqueue(t, fmt.Sprintf(`{"key": "k%d", "user_id": "u1", "increment": {"n": 1}}`, i))...)
	}
	pool := h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.MaxConns = flying })
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
	workers := make([]*loop, flying)
	for i := range workers {
		workers[i] = &loop{
			cfg:       Config{Mode: Deliver, Meter: NoMeter{}},
			store:     &store{pool: pool, worker: "w", dest: "test", install: "x"},
			throttled: newThrottled(amplitude.Limits{ThrottlePause: time.Minute}),
			turn:      make(chan struct{}, 1),
			known:     newKnown(knownProfiles, knownBytes),
			batcher:   newBatcher(1),
		}
	}
	// Everybody is held at the row's lock first.
	holder, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id) VALUES ('test', 'user', 'u1')")
	_, err = holder.Exec(t.Context(), "SELECT FROM waybill.profile FOR UPDATE")
	require.NoError(t, err)
	sends := make([]int, flying)
	errs := make([]error, flying)
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			var out *sorted
			out, errs[i] = workers[i].prepare(t.Context(), []ref{{bundle: id, job: &heldJob{}}}, 0, requestLimits{events: 100, bytes: 1 << 20})
			if errs[i] == nil {
				sends[i] = len(out.send.items)
			}
		})
	}
	for waiting := 0; waiting < flying; {
		waiting = ask[int](t, h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	}
	require.NoError(t, holder.Commit(t.Context()))
	all.Wait()

	var sum int
	for i := range sends {
		require.NoError(t, errs[i])
		sum += sends[i]
	}
	require.Equal(t, 1, sum, "one of them sends, the others wait for it")
}

// What was read and put back is planned again as it was read, within one life of the
// worker and unless it has come to an outcome since. What is in doubt is always read.
func TestABundleThatWasPutBackIsNotReadAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, `{"key": "sure", "user_id": "u1", "track": {"event": "E"}}`, `{"key": "doubtful", "user_id": "u2", "track": {"event": "E"}}`)
	h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome, doubt_since, request_id) VALUES ($1, 'in_doubt', clock_timestamp(), 7)", ids[1])
	l := &loop{cfg: Config{Mode: Deliver, Meter: NoMeter{}}, store: &store{pool: h.pool, worker: "w", dest: "test", install: "x"}, throttled: newThrottled(amplitude.Limits{ThrottlePause: time.Minute})}
	const life = 3
	load := func(life int64, refs ...ref) (*sorted, []*item) {
		out, read, err := l.load(t.Context(), refs, life)
		require.NoError(t, err)
		return out, read
	}
	_, first := load(life, ref{bundle: ids[0], job: &heldJob{}}, ref{bundle: ids[1], job: &heldJob{}})
	require.Len(t, first, 2)

	_, again := load(life, first[0].back(), first[1].back())
	require.Len(t, again, 2)
	require.Same(t, first[0], again[0])
	require.NotSame(t, first[1], again[1])
	_, reborn := load(life+1, first[0].back())
	require.NotSame(t, first[0], reborn[0])

	h.exec(t, "UPDATE waybill.bundle SET payload = NULL WHERE id = $1", ids[0])
	_, erased := load(life, first[0].back())
	require.Empty(t, erased)
	h.exec(t, "UPDATE waybill.bundle SET payload = '{}' WHERE id = $1", ids[0])
	h.exec(t, "INSERT INTO waybill.delivery (bundle_id, outcome) VALUES ($1, 'delivered')", ids[0])
	out, late := load(life, first[0].back())
	require.Empty(t, late, "somebody has settled it")
	require.Equal(t, []ref{{bundle: ids[0], job: first[0].job}}, out.overflow, "what has become of it is read")
	out, _ = load(life, out.overflow...)
	require.Len(t, out.settled, 1)
	require.Empty(t, out.settled[0].outcome)
}
