package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

var roomy = requestLimits{events: 100, bytes: 1 << 20}

// flyBundle prepares one bundle and, if something has to be sent, lets it be accepted and
// records that.
func flyBundle(t *testing.T, l *loop, id int64) *sorted {
	t.Helper()
	out, err := l.prepare(t.Context(), []ref{{bundle: id, job: &heldJob{id: id, open: 1}}}, 0, roomy)
	require.NoError(t, err)
	if len(out.send.items) > 0 {
		f := l.newFlight(out.send, 0)
		f.accept(f.plan(f.split.next()))
		require.NoError(t, f.record(t.Context()))
		l.batcher.settled(out.send.request)
	}
	return out
}

// lock reads profiles as Prepare does, and lets go of them.
func lock(t *testing.T, l *loop, how access, ids ...identity) (map[identity]*profile, error) {
	t.Helper()
	tx, err := l.store.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	var w wanted
	for _, id := range ids {
		w.add(id)
	}
	base, _, err := l.lockProfiles(t.Context(), tx, w, how, newSettledMeanwhile(nil))
	return base, err
}

// traitOf is the value of a user's trait `a`, as Prepare finds it.
func traitOf(t *testing.T, l *loop, id identity) string {
	t.Helper()
	found, err := lock(t, l, asking, id)
	require.NoError(t, err)
	value, _ := found[id].traits.get("a")
	return string(value.Value)
}

func user(id string) identity { return identity{kindUser, id} }

// knowing is a worker that knows one user, whose trait `a` is 1 at Amplitude.
func knowing(t *testing.T, h *house, id string) *loop {
	t.Helper()
	h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w') ON CONFLICT DO NOTHING")
	l := preparing(h)
	for i := range 2 { // told by the first, moved on by the second
		bundles := h.enqueue(t, fmt.Sprintf(`{"key": "%s%d", "user_id": %q, "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`, id, i, id))
		flyBundle(t, l, bundles[0])
	}
	require.NotNil(t, l.known.get(user(id)))
	return l
}

// Two workers deliver the bundles of a few users and groups in turn. Whatever one of them
// remembers and is told still holds, is what the row says; and what a bundle says stands in
// the row, even if each of them takes itself to be alone.
func TestWhatIsKnownIsWhatStands(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"and knows of the other": false, "and takes itself to be alone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.exec(t, "INSERT INTO waybill.worker (id) VALUES ('w')")
			workers := []*loop{preparing(h), preparing(h)}
			random := rand.New(rand.NewPCG(7, 11))
			everybody := []identity{{"group:account", "a0"}, {"group:account", "a1"}, user("u0"), user("u1"), user("u2")}
			for _, l := range workers {
				l.known.trusted.Store(alone)
			}
			var held int
			newest := map[identity]map[string]trait{user("u0"): {}, user("u1"): {}, user("u2"): {}}
			for i := range 150 {
				name := []string{"a", "b"}[random.IntN(2)]
				value, err := json.Marshal([]any{1, "x", "é<", map[string]any{"n": []int{1, 2}}}[random.IntN(4)])
				require.NoError(t, err)
				who := fmt.Sprintf("u%d", random.IntN(3))
				bundles := h.enqueue(t, fmt.Sprintf(
					`{"key": "k%d", "user_id": %q, "identify": {"set": {%q: %s}}, "increment": %s, "groups": [{"type": "account", "id": "a%d", "set": {"name": "n%d"}}], "track": {"event": "E"}}`,
					i, who, name, value, []string{`{"n": 1}`, `{"n": 0.5, "m": -2}`, "{}", "{}", "{}"}[random.IntN(5)], random.IntN(2), random.IntN(8)/7))
				l := workers[random.IntN(2)]
				flyBundle(t, l, bundles[0])
				newest[user(who)][name] = trait{Value: value, BundleID: bundles[0]}

				if i < 20 {
					continue // somebody has not been heard of yet
				}
				quick, err := lock(t, l, asking, everybody...)
				require.NoError(t, err)
				stands, err := lock(t, l, patient, everybody...)
				require.NoError(t, err)
				for _, id := range everybody {
					if quick[id] == l.known.get(id) {
						held++
					}
					require.Equal(t, stands[id], quick[id], "%v after %d bundles", id, i+1)
				}
				for id, traits := range newest {
					for name, want := range traits {
						stands, _ := stands[id].traits.get(name)
						require.JSONEq(t, string(want.Value), string(stands.Value), "%s of %v after %d bundles", name, id, i+1)
						require.LessOrEqual(t, stands.BundleID, want.BundleID)
					}
				}
			}
			require.Greater(t, held, 130, "else nothing was shown")
		})
	}
}

func TestAProfileThatAnotherWorkerChangedIsReadAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	l := knowing(t, h, "u1")
	require.Equal(t, "1", traitOf(t, l, user("u1")))
	h.exec(t, `UPDATE waybill.profile SET traits = jsonb_set(traits, '{a,value}', '2')`)
	require.Equal(t, "2", traitOf(t, l, user("u1")))
}

// A row that moves away makes room for its own later version.
func TestAPlaceThatWasTakenAgainIsNotTheOldRow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	l := knowing(t, h, "u1")
	move := func(value int) (at string) {
		h.exec(t, `UPDATE waybill.profile SET traits = jsonb_set(traits, '{a,value}', $1::text::jsonb)`, fmt.Sprint(value))
		h.exec(t, "VACUUM waybill.profile")
		return ask[string](t, h, "SELECT ctid::text FROM waybill.profile")
	}
	for range 5 { // from here on it goes back and forth
		move(1)
	}
	known := move(1)
	base, err := lock(t, l, patient, user("u1"))
	require.NoError(t, err)
	l.known.replace(user("u1"), base[user("u1")])
	require.NotEqual(t, known, move(2))
	require.Equal(t, known, move(3))
	require.Equal(t, "3", traitOf(t, l, user("u1")))
}

// After a failover that lost transactions, their ids and places are given out again.
func TestAPlaceIsBelievedOnlyForItsOwnRowAndVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	l := knowing(t, h, "u1")
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id, traits) SELECT dest, kind, 'u2', jsonb_set(traits, '{a,value}', '2') FROM waybill.profile")
	for _, id := range []identity{user("u2"), {"group:account", "u2"}} {
		l.known.replace(id, l.known.get(user("u1")))
	}
	require.Equal(t, "2", traitOf(t, l, user("u2")))
	_, err := lock(t, l, asking, identity{"group:account", "u2"})
	require.ErrorIs(t, err, errShort)

	other := *l.known.get(user("u1"))
	other.place.seenID++
	l.known.replace(user("u1"), &other)
	found, err := lock(t, l, asking, user("u1"))
	require.NoError(t, err)
	require.NotSame(t, &other, found[user("u1")])
}

func TestWhatARequestMayBeChangingIsNotKnown(t *testing.T) {
	t.Parallel()
	k := newKnown(10, knownBytes)
	k.replace(user("u1"), &profile{})
	k.replace(user("u1"), &profile{heldBy: 7})
	require.Nil(t, k.get(user("u1")))
}

// Whoever holds what it knows waits for nobody: else two workers that each hold what the
// other one wants would wait for each other. It lets go, and takes its place in line.
func TestAKnownProfileThatIsLockedIsWaitedForWithEmptyHands(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	l := knowing(t, h, "u1")
	second := h.enqueue(t, `{"key": "both", "user_id": "u1", "identify": {"set": {"a": 1}}, "groups": [{"type": "account", "id": "a1"}], "track": {"event": "E"}}`)
	h.exec(t, "INSERT INTO waybill.profile (dest, kind, id) VALUES ('test', 'group:account', 'a1')")
	other, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "SELECT FROM waybill.profile WHERE kind = 'group:account' FOR UPDATE")
	require.NoError(t, err)

	_, err = lock(t, l, asking, identity{"group:account", "a1"}, user("u1"))
	require.ErrorIs(t, err, errShort)

	var failed error
	prepared := make(chan *sorted, 1)
	go func() {
		var out *sorted
		out, failed = l.prepare(t.Context(), []ref{{bundle: second[0], job: &heldJob{}}}, 0, roomy)
		prepared <- out
	}()
	for waiting := 0; waiting == 0; {
		waiting = ask[int](t, h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	}
	// What the other worker wants next is free: the group comes before the user.
	_, err = other.Exec(t.Context(), "SELECT FROM waybill.profile WHERE id = 'u1' FOR UPDATE NOWAIT")
	require.NoError(t, err)
	require.NoError(t, other.Commit(t.Context()))
	out := <-prepared
	require.NoError(t, failed)
	require.Len(t, out.send.items, 1)
}

// The answer to a COMMIT may be lost. What a worker then believes to have written may not
// be there, and what it believes to stand may be gone.
// A worker that takes itself to be alone finds out that it is not, also where a bundle changes
// nothing in what is remembered.
func TestWhatIsOnlyReadHasToStandToo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other string // what another worker delivers meanwhile, "" for a profile that is erased
		next  string
		want  string
	}{
		"a first value, after a removal": {
			`"identify": {"unset": ["a"]}, "track": {"event": "E"}`, `"identify": {"set_once": {"a": 5}}, "track": {"event": "E"}`, "5",
		},
		"an old value, after an erasure": {
			"", `"occurred_at": "2020-01-01T00:00:00Z", "identify": {"set": {"a": 7}}, "track": {"event": "E"}`, "7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			l := knowing(t, h, "u1")
			l.known.trusted.Store(true)
			if c.other == "" {
				h.exec(t, "DELETE FROM waybill.profile")
			} else {
				flyBundle(t, preparing(h), h.enqueue(t, fmt.Sprintf(`{"key": "other", "user_id": "u1", %s}`, c.other))[0])
			}
			flyBundle(t, l, h.enqueue(t, fmt.Sprintf(`{"key": "next", "user_id": "u1", %s}`, c.next))[0])
			require.Equal(t, c.want, traitOf(t, preparing(h), user("u1")))
		})
	}
}

// What is remembered is written without having been locked: whoever holds one of the rows and
// wants another one must not be waited for.
func TestAWorkerThatTrustsDeadlocksNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	l := knowing(t, h, "u1")
	for i := range 2 {
		flyBundle(t, l, h.enqueue(t, fmt.Sprintf(`{"key": "u2%d", "user_id": "u2", "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`, i))[0])
	}
	l.known.trusted.Store(true)
	other, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), "SELECT FROM waybill.profile WHERE id = 'u2' FOR UPDATE")
	require.NoError(t, err)

	next := h.enqueue(t, `{"key": "tells", "user_id": "u1", "identify": {"set": {"a": 2}}}`, `{"key": "repeats", "user_id": "u2", "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`)
	var failed error
	prepared := make(chan *sorted, 1)
	go func() {
		var out *sorted
		out, failed = l.prepare(t.Context(), []ref{{bundle: next[0], job: &heldJob{}}, {bundle: next[1], job: &heldJob{}}}, 0, roomy)
		prepared <- out
	}()
	for waiting := 0; waiting == 0; {
		waiting = ask[int](t, h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	}
	_, err = other.Exec(t.Context(), "SELECT FROM waybill.profile WHERE id = 'u1' FOR UPDATE")
	require.NoError(t, err)
	require.NoError(t, other.Commit(t.Context()))
	out := <-prepared
	require.NoError(t, failed)
	require.Len(t, out.send.items, 2)
}

func TestAWorkerThatDoesNotKnowWhatItWroteForgetsEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	l := knowing(t, h, "u1")
	bundles := h.enqueue(t, `{"key": "next", "user_id": "u1", "identify": {"set": {"a": 1}}, "track": {"event": "E"}}`)
	h.exec(t, "DELETE FROM waybill.worker") // the request cannot be opened
	_, err := l.prepare(t.Context(), []ref{{bundle: bundles[0], job: &heldJob{}}}, 0, roomy)
	require.ErrorIs(t, err, errDeclaredDead)
	require.Nil(t, l.known.get(user("u1")))
}

func TestOnlySoManyProfilesAreKnown(t *testing.T) {
	t.Parallel()
	k := newKnown(10, knownBytes)
	often := user("often")
	k.replace(often, &profile{place: somewhere})
	for i := range 1000 {
		k.replace(user(fmt.Sprint(i)), &profile{place: somewhere})
		require.Len(t, k.profiles, min(i+2, 10))
		require.Contains(t, k.profiles, user(fmt.Sprint(i)), "the newest one")
		require.NotNil(t, k.get(often))
	}
}

func TestAsManyAreKnownAsThereIsRoomFor(t *testing.T) {
	t.Parallel()
	k := newKnown(10, knownBytes)
	for round := range 5 {
		for i := range 10 {
			id := user(fmt.Sprint(i))
			require.Equal(t, round > 0, k.get(id) != nil)
			k.replace(id, &profile{place: somewhere})
		}
	}
}

// TestKnownProfilesTakeOnlySoMuchMemory: somebody may have a thousand traits of a kilobyte.
func TestKnownProfilesTakeOnlySoMuchMemory(t *testing.T) {
	t.Parallel()
	long := func(bytes int) *profile {
		return &profile{place: somewhere, traits: traits{{name: "t", trait: trait{Value: make([]byte, bytes)}}}}
	}
	const most = 100_000
	k := newKnown(1000, most)
	sum := func() (bytes int) {
		for _, r := range k.profiles {
			bytes += r.profile.bytes()
		}
		return bytes
	}
	for i := range 500 {
		id := user(fmt.Sprint(i % 60)) // some anew, some again
		k.replace(id, long(7*i))
		require.NotNil(t, k.get(id), "the newest one")
		require.Equal(t, sum(), k.bytes)
		require.LessOrEqual(t, k.bytes, most)
	}
	require.Greater(t, k.bytes, most*9/10, "there was room")

	few := k.bytes
	k.replace(user("huge"), long(most/8))
	require.Nil(t, k.get(user("huge")))
	require.Equal(t, few, k.bytes, "and nobody had to go for it")
	k.replace(user("59"), long(most/8))
	require.Nil(t, k.get(user("59")), "what it was before is not what it is")
	k.forgetAll()
	require.Zero(t, k.bytes)
}
