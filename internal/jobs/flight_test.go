package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
)

// script is a Sender that gives prepared answers, the last one for ever, and keeps what
// it was sent.
type script struct {
	answers  []amplitude.Answer
	judge    func(events []string) amplitude.Answer // instead of answers
	requests [][]string                             // event types with their action keys
	bodies   [][]json.RawMessage
}

func (s *script) Limits() amplitude.Limits { return amplitude.HTTP.Limits() }

func (s *script) Upload(_ context.Context, events []json.RawMessage) amplitude.Answer {
	var names []string
	for _, raw := range events {
		var e wireEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			panic(err)
		}
		names = append(names, e.EventType)
	}
	s.requests, s.bodies = append(s.requests, names), append(s.bodies, events)
	if s.judge != nil {
		return s.judge(names)
	}
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer
}

// aboard is a flight in a bubble, without a database: its worker's heart beats as long as
// the test runs.
type aboard struct {
	*flight
	script *script
	beat   *beat
}

// flying runs a test on a flight of bundles, on a clock of its own.
func flying(t *testing.T, s *script, bundles []string, test func(t *testing.T, f aboard)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &beat{last: time.Now()}
		stopped := make(chan struct{})
		defer close(stopped)
		go func() {
			for {
				select {
				case <-time.After(time.Second):
					b.mu.Lock()
					b.last = time.Now()
					b.mu.Unlock()
				case <-stopped:
					return
				}
			}
		}()
		l := &loop{
			cfg:   Config{Sender: s, Meter: NoMeter{}, Logger: slog.New(slog.DiscardHandler)},
			store: &store{install: "w"}, lane: newLane(6, time.Now), throttled: newThrottled(amplitude.Limits{ThrottlePause: time.Minute}), beat: b,
		}
		out := &sorted{behind: map[int64][]ref{}}
		out.send.now, out.send.startedAt, out.send.base = time.Now(), time.Now(), map[identity]*profile{}
		var items []*item
		for i, text := range bundles {
			it := itemOf(t, int64(i+1), i, text)
			items = append(items, it)
			for _, id := range it.touches() {
				out.send.base[id] = &profile{}
			}
		}
		out.pack("w", items, requestLimits{2000, 1 << 20})
		test(t, aboard{l.newFlight(out.send, 0), s, b})
	})
}

// events are E0, E1, … of as many users.
func events(n int) []string {
	var bundles []string
	for i := range n {
		bundles = append(bundles, fmt.Sprintf(`{"user_id":"u%d","track":{"event":"E%d"}}`, i, i))
	}
	return bundles
}

func (f aboard) outcomes() []string {
	var all []string
	for _, fate := range f.fates {
		all = append(all, fate.outcome)
	}
	return all
}

// deliverFor lets the flight try for a while and then ends its waiting.
func (f aboard) deliverFor(t *testing.T, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return f.deliver(ctx, t.Context(), false)
}

func TestDelivered(t *testing.T) {
	flying(t, &script{answers: []amplitude.Answer{delivered}}, events(3), func(t *testing.T, f aboard) {
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.Equal(t, [][]string{{"E0", "E1", "E2"}}, f.script.requests)
		require.Equal(t, []string{"delivered", "delivered", "delivered"}, f.outcomes())
		require.Equal(t, 3, f.sent)
	})
}

func TestRejectedByName(t *testing.T) {
	s := &script{answers: []amplitude.Answer{
		{Verdict: amplitude.Rejected, Status: 400, Rejected: map[int]string{2: "time: invalid field"}},
		{Verdict: amplitude.Rejected, Status: 400, Rejected: map[int]string{0: "user_id: missing field"}},
		delivered,
	}}
	bundles := append(events(1), `{"user_id":"u","groups":[{"type":"account","id":"a"}],"track":{"event":"Bad"}}`, `{"user_id":"u9","track":{"event":"E9"}}`)
	flying(t, s, bundles, func(t *testing.T, f aboard) {
		began := time.Now()
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.Equal(t, [][]string{{"E0", "$groupidentify", "Bad", "E9"}, {"E0", "E9"}, {"E9"}}, s.requests, "the rest goes out at once, a bundle as a whole")
		require.Equal(t, []string{"rejected", "rejected", "delivered"}, f.outcomes())
		require.Equal(t, "Amplitude: time: invalid field", f.fates[1].reason)
		require.Equal(t, "Amplitude: user_id: missing field", f.fates[0].reason)
		require.Equal(t, began, time.Now())
	})
}

func TestRefusedWithoutAName(t *testing.T) {
	s := &script{judge: func(events []string) amplitude.Answer {
		if slices.Contains(events, "E5") {
			return refusal
		}
		return delivered
	}}
	flying(t, s, events(8), func(t *testing.T, f aboard) {
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.LessOrEqual(t, len(s.requests), 6)
		want := slices.Repeat([]string{"delivered"}, 8)
		want[5] = "rejected"
		require.Equal(t, want, f.outcomes())
		require.Equal(t, "Amplitude: Forbidden", f.fates[5].reason)
		require.True(t, f.loop.lane.state().Open)
	})
}

func TestEverythingIsRefused(t *testing.T) {
	flying(t, &script{answers: []amplitude.Answer{refusal}}, events(8), func(t *testing.T, f aboard) {
		require.ErrorIs(t, f.deliverFor(t, time.Hour-time.Minute), context.DeadlineExceeded)
		require.Equal(t, slices.Repeat([]string{""}, 8), f.outcomes())
		require.False(t, f.loop.lane.state().Open)
		require.Less(t, len(f.script.requests), 14+200)
		for _, fate := range f.fates {
			require.False(t, fate.doubt)
		}
		require.Empty(t, f.recording().ids, "all go back as they came")
	})
}

// A bundle alone is rejected once another flight's request was accepted that was sent
// after its refusal. One that was under way before proves nothing.
func TestALoneBundleIsJudgedByTheOthers(t *testing.T) {
	flying(t, &script{answers: []amplitude.Answer{refusal}}, events(1), func(t *testing.T, f aboard) {
		slow := delivered
		slow.Elapsed = time.Hour
		f.loop.lane.leave(slow, 1, false)
		f.loop.lane.sending++
		require.Error(t, f.deliverFor(t, 10*time.Second))
		require.Equal(t, []string{""}, f.outcomes())

		require.NoError(t, f.loop.lane.enter(t.Context()))
		f.loop.lane.leave(slow, 1, false)
		require.Error(t, f.deliverFor(t, 10*time.Second))
		require.Equal(t, []string{""}, f.outcomes())

		require.NoError(t, f.loop.lane.enter(t.Context()))
		f.loop.lane.leave(delivered, 1, false)
		require.NoError(t, f.deliverFor(t, 10*time.Second))
		require.Equal(t, []string{"rejected"}, f.outcomes())
	})
}

func TestTooLarge(t *testing.T) {
	s := &script{judge: func(events []string) amplitude.Answer {
		if len(events) > 2 || slices.Contains(events, "E0") {
			return amplitude.Answer{Verdict: amplitude.TooLarge, Status: 413, Bytes: 1 << 20}
		}
		return delivered
	}}
	flying(t, s, events(5), func(t *testing.T, f aboard) {
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.Equal(t, []string{"rejected", "delivered", "delivered", "delivered", "delivered"}, f.outcomes())
		require.Contains(t, f.fates[0].reason, "too large")
		require.Less(t, f.loop.lane.bytes(20_000_000), 1<<20, "the next flights are smaller")
	})
}

// Whatever may have been accepted is repeated byte for byte once the lane lets it, and
// nothing is rejected.
func TestWhatMayHaveBeenAcceptedIsRepeatedUnchanged(t *testing.T) {
	t.Parallel()
	for _, verdict := range []amplitude.Verdict{amplitude.WrongEndpoint, amplitude.Ambiguous} {
		t.Run(verdict.String(), func(t *testing.T) {
			a := amplitude.Answer{Verdict: verdict, Status: 599}
			bundles := append(events(2), `{"user_id":"u1","identify":{"set":{"a":1,"b":2}},"increment":{"n":1}}`, `{"user_id":"u1","identify":{"set":{"a":2}},"increment":{"n":1},"track":{"event":"E"}}`)
			flying(t, &script{answers: []amplitude.Answer{a, unavailable, a, slowDownNow, delivered}}, bundles, func(t *testing.T, f aboard) {
				require.ErrorIs(t, f.deliverFor(t, 200*time.Millisecond), context.DeadlineExceeded)
				require.Equal(t, verdict.String(), f.loop.lane.state().Reason)
				require.Len(t, f.script.requests, 1, "no hurry")
				for _, fate := range f.fates {
					require.True(t, fate.doubt)
				}

				require.NoError(t, f.deliver(t.Context(), t.Context(), false))
				require.Len(t, f.script.requests, 5)
				for _, body := range f.script.bodies {
					require.Equal(t, f.script.bodies[0], body)
				}
				require.Equal(t, slices.Repeat([]string{"delivered"}, 4), f.outcomes())
			})
		})
	}
}

// What was certainly not accepted goes back in line, to be prepared again when the lane
// lets it: nothing waits in memory, and nobody waits for it.
func TestWhatWasNotAcceptedGoesBackWhileTheLaneWaits(t *testing.T) {
	t.Parallel()
	for _, verdict := range []amplitude.Verdict{amplitude.KeyRefused, amplitude.Unavailable, amplitude.SlowDown} {
		t.Run(verdict.String(), func(t *testing.T) {
			flying(t, &script{answers: []amplitude.Answer{{Verdict: verdict, Status: 599}}}, events(3), func(t *testing.T, f aboard) {
				require.ErrorIs(t, f.deliver(t.Context(), t.Context(), false), errLaneClosed)
				require.Len(t, f.script.requests, 1)
				require.True(t, f.loop.lane.state().waits())
				require.Zero(t, f.loop.lane.sending)
				require.Empty(t, f.recording().ids, "as it came")
			})
		})
	}
}

// A lane that is closed by one bad bundle must still find the next one: a flight that
// is refused goes on with its search, one probe at a time.
func TestASearchGoesOnInAClosedLane(t *testing.T) {
	s := &script{judge: func(events []string) amplitude.Answer {
		if slices.Contains(events, "E0") {
			return refusal
		}
		return delivered
	}}
	flying(t, s, events(8), func(t *testing.T, f aboard) {
		require.NoError(t, f.loop.lane.enter(t.Context()))
		f.loop.lane.leave(refusal, 1, true)
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.Equal(t, append([]string{"rejected"}, slices.Repeat([]string{"delivered"}, 7)...), f.outcomes())
		require.LessOrEqual(t, len(s.requests), 6)
	})
}

// A later refusal does not clear what an earlier attempt left in doubt.
func TestDoubtStays(t *testing.T) {
	lost := amplitude.Answer{Verdict: amplitude.Ambiguous, Status: 504}
	flying(t, &script{answers: []amplitude.Answer{lost, unavailable}}, events(2), func(t *testing.T, f aboard) {
		require.Error(t, f.deliverFor(t, time.Minute))
		r := f.recording()
		require.Equal(t, []int64{1, 2}, r.ids)
		require.Equal(t, []string{"in_doubt", "in_doubt"}, r.outcomes)
		require.Equal(t, f.send.startedAt, *r.doubts[0], "since the request began")
	})
	t.Run("from before", func(t *testing.T) {
		flying(t, &script{answers: []amplitude.Answer{unavailable}}, events(2), func(t *testing.T, f aboard) {
			first := f.send.startedAt.Add(-5 * 24 * time.Hour)
			f.send.items[1].doubtSince = first
			require.Error(t, f.deliverFor(t, time.Minute))
			r := f.recording()
			require.Equal(t, []int64{2}, r.ids)
			require.Equal(t, first, *r.doubts[0])
		})
	})
}

func TestABundleThatHasNothingLeftToSayIsDelivered(t *testing.T) {
	s := &script{judge: func(events []string) amplitude.Answer {
		if len(events) > 1 {
			return amplitude.Answer{Verdict: amplitude.TooLarge, Status: 413, Bytes: 1000}
		}
		return delivered
	}}
	trait := `{"user_id":"u","identify":{"set":{"a":1}}}`
	flying(t, s, []string{trait, `{"user_id":"v","track":{"event":"E"}}`, trait, trait}, func(t *testing.T, f aboard) {
		require.NoError(t, f.deliver(t.Context(), t.Context(), false))
		require.Equal(t, slices.Repeat([]string{"delivered"}, 4), f.outcomes())
		require.Equal(t, [][]string{{"$identify", "E"}, {"$identify", "E"}, {"$identify"}, {"E"}}, s.requests, "the last two were told by the first")
	})
}

// That nobody refused what was not sent is no sign that anything is accepted.
func TestABundleThatHasNothingLeftToSayIsNoEvidence(t *testing.T) {
	flying(t, &script{}, events(2), func(t *testing.T, f aboard) {
		at := f.split.next()
		f.take(f.plan(at), refusal)
		silent := f.plan(f.split.next())
		silent.events = nil
		f.accept(silent)
		require.True(t, f.take(f.plan(f.split.next()), refusal), "everything is refused, for all that is known")
		require.Equal(t, []string{"delivered", ""}, f.outcomes())
	})
}

func TestAFlightOfAnEarlierLifeIsNotSent(t *testing.T) {
	flying(t, &script{answers: []amplitude.Answer{delivered}}, events(1), func(t *testing.T, f aboard) {
		f.beat.life++
		require.ErrorIs(t, f.deliver(t.Context(), t.Context(), false), errStale)
		require.Empty(t, f.script.requests)
		require.Zero(t, f.loop.lane.sending)
	})
}

func TestAFlightIsPreparedAnewAfterAnHour(t *testing.T) {
	lost := amplitude.Answer{Verdict: amplitude.Ambiguous, Status: 504}
	flying(t, &script{answers: []amplitude.Answer{lost}}, events(1), func(t *testing.T, f aboard) {
		began := time.Now()
		require.ErrorIs(t, f.deliver(t.Context(), t.Context(), false), errStale)
		require.Greater(t, time.Since(began), staleAfter)
		require.Less(t, time.Since(began), staleAfter+probeMost+time.Second)
		require.Zero(t, f.loop.lane.sending)
	})
}

func TestAStopEndsTheWaitingInAClosedLane(t *testing.T) {
	flying(t, &script{answers: []amplitude.Answer{refusal}}, events(1), func(t *testing.T, f aboard) {
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() { result <- f.deliver(ctx, t.Context(), false) }()
		pass(time.Minute)
		stop := errors.New("stop")
		cancel(stop)
		require.ErrorIs(t, <-result, stop)
		require.Empty(t, f.recording().ids)
		require.Zero(t, f.loop.lane.sending)
	})
}

// A flight that was let in before it was prepared uses that place, or gives it back.
func TestAPlaceTakenBeforeIsUsedOnce(t *testing.T) {
	flying(t, &script{answers: []amplitude.Answer{delivered}}, events(1), func(t *testing.T, f aboard) {
		require.NoError(t, f.loop.lane.enter(t.Context()))
		require.NoError(t, f.deliver(t.Context(), t.Context(), true))
		require.Zero(t, f.loop.lane.sending)
	})
	t.Run("with nothing to send", func(t *testing.T) {
		flying(t, &script{}, events(1), func(t *testing.T, f aboard) {
			f.split.next()
			f.split.passed()
			require.NoError(t, f.loop.lane.enter(t.Context()))
			require.NoError(t, f.deliver(t.Context(), t.Context(), true))
			require.Zero(t, f.loop.lane.sending)
		})
	})
}

// A reservation outlives its request for bundles that go back in doubt, unless they are
// parked and would hold the others for too long.
func TestReservationsOfBundlesInDoubtAreKept(t *testing.T) {
	lost := amplitude.Answer{Verdict: amplitude.Ambiguous, Status: 504}
	throttle := amplitude.Answer{Verdict: amplitude.Throttled, Status: 429, ThrottledUsers: map[string]bool{"hot": false}}
	bundles := []string{`{"user_id":"hot","identify":{"set":{"a":1}}}`, `{"user_id":"cool","identify":{"set":{"a":1}}}`, `{"user_id":"new","track":{"event":"E"}}`}
	flying(t, &script{answers: []amplitude.Answer{lost, throttle, unavailable}}, bundles, func(t *testing.T, f aboard) {
		require.Error(t, f.deliverFor(t, time.Minute))
		r := f.recording()
		require.Equal(t, []string{"cool", "hot"}, r.profiles.ids)
		require.Equal(t, []bool{true, false}, r.keep)
		require.Equal(t, []string{"a", "a"}, r.profiles.unsure)
		require.JSONEq(t, fmt.Sprintf(`{"a":{"value":1,"at":%d,"bundle_id":2}}`, f.send.items[1].at.UnixMicro()), r.profiles.traits[0])
		require.Equal(t, []int64{1, 2, 3}, r.ids)
	})
}

func TestWhatWasNotAcceptedLeavesNoTrace(t *testing.T) {
	bundles := []string{`{"user_id":"u","identify":{"set":{"a":1}},"increment":{"n":1}}`}
	flying(t, &script{answers: []amplitude.Answer{unavailable}}, bundles, func(t *testing.T, f aboard) {
		require.Error(t, f.deliverFor(t, time.Minute))
		r := f.recording()
		require.Equal(t, []string{"{}"}, r.profiles.traits)
		require.Equal(t, []string{"{}"}, r.profiles.counters)
		require.Equal(t, []string{""}, r.profiles.unsure)
		require.Equal(t, []bool{false}, r.keep)
	})
}
