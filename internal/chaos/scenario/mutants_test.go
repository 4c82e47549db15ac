//go:build unix

package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
	"waybill/internal/chaos/link"
	"waybill/internal/jobs"
)

func TestNothingIsFoundWithoutASaboteur(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.sink.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.StoredLost}, Times: 1})
	require.Empty(t, s.play())
}

// Every mutant is Waybill with one promise taken out. The checker must notice, under the
// name of that promise: a checker that lets a mutant pass proves nothing about the rest.
func TestEveryMutantIsCaught(t *testing.T) {
	t.Parallel()
	mutants := []struct {
		name     string
		rule     checker.Rule
		sabotage func(t *testing.T, s *stage)
	}{
		{"an event in fifty is not sent", checker.NoLoss, loseEvents},
		{"a commit error is swallowed", checker.Commits, swallowCommitErrors},
		{"every attempt has a new insert_id", checker.CountedOnce, renewInsertIDs},
		{"an event goes out before the commit", checker.NoPhantom, sendUncommitted},
		{"a retry has the time of the retry", checker.RetriesEqual, renewTimes},
		{"traits arrive in another order", checker.NewestTraits, reverseRequests},
		{"a record is applied twice", checker.ExactCounters, recordTwice},
		{"an orphan is lost", checker.NoLoss, loseOrphans},
		{"a job ends without an outcome", checker.StatusTruth, completeEarly},
		{"reservations are ignored", checker.NewestTraits, ignoreReservations},
		{"a bundle's events travel apart", checker.AtomicBundle, splitBundles},
		{"what was taken is recorded as rejected", checker.StatusTruth, flipOutcomes},
		{"everything is sent three times", checker.Waste, sendThrice},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			m.sabotage(t, s)
			found := s.play()
			require.True(t, slices.ContainsFunc(found, func(v checker.Violation) bool { return v.Rule == m.rule }),
				"nothing under %q: %v", m.rule, found)
		})
	}
}

func loseEvents(_ *testing.T, s *stage) {
	seen := 0
	s.upload = rewriting(func(_ int, events []json.RawMessage) []json.RawMessage {
		return slices.DeleteFunc(slices.Clone(events), func(json.RawMessage) bool {
			seen++
			return seen%50 == 0
		})
	})
}

func swallowCommitErrors(t *testing.T, s *stage) {
	t.Helper()
	config, err := pgx.ParseConfig(s.db.URL)
	require.NoError(t, err)
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	commits := 0
	way, err := link.Open(context.Background(), network, address, func() link.Cut {
		if commits++; commits%20 == 0 {
			return link.Before
		}
		return link.None
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, way.Close()) })
	s.url = fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", config.User, config.Password, way.Addr(), config.Database)
	s.judge = func(error) history.Type { return history.OK }
}

// losingFirstAnswers makes the first requests be repeated.
func losingFirstAnswers(s *stage) {
	s.sink.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.StoredLost}, Times: 1})
}

func renewInsertIDs(_ *testing.T, s *stage) {
	losingFirstAnswers(s)
	s.upload = rewriting(func(n int, events []json.RawMessage) []json.RawMessage {
		return editAll(events, func(fields map[string]any) {
			id := fields["insert_id"].(string)
			fields["insert_id"] = strings.Replace(id, ":act:", fmt.Sprintf(":attempt%d:act:", n), 1)
		})
	})
}

func renewTimes(_ *testing.T, s *stage) {
	losingFirstAnswers(s)
	s.upload = rewriting(func(_ int, events []json.RawMessage) []json.RawMessage {
		now := time.Now().UnixMilli()
		return editAll(events, func(fields map[string]any) { fields["time"] = now })
	})
}

func editAll(events []json.RawMessage, change func(map[string]any)) []json.RawMessage {
	changed := make([]json.RawMessage, len(events))
	for i, event := range events {
		changed[i] = edit(event, change)
	}
	return changed
}

func sendUncommitted(t *testing.T, s *stage) {
	t.Helper()
	client := s.client()
	s.before = func(ctx context.Context) {
		var install string
		require.NoError(t, s.pool.QueryRow(ctx, "SELECT id FROM waybill.install").Scan(&install))
		event := fmt.Sprintf(`{"event_type":"Order_Completed","user_id":"u-01","insert_id":"%s:act:9:9:track"}`, install)
		require.Equal(t, amplitude.Delivered, client.Upload(ctx, []json.RawMessage{json.RawMessage(event)}).Verdict)
	}
}

func reverseRequests(_ *testing.T, s *stage) {
	s.upload = rewriting(func(_ int, events []json.RawMessage) []json.RawMessage {
		events = slices.Clone(events)
		slices.Reverse(events)
		return events
	})
}

// recordTwice makes each record of a request count its increments once more, as if it
// had been applied twice.
func recordTwice(_ *testing.T, s *stage) {
	s.exec(`CREATE FUNCTION chaos.again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			UPDATE waybill.profile AS p
			SET counters = jsonb_set(p.counters, '{orders_total,sum}', to_jsonb((p.counters -> 'orders_total' ->> 'sum')::int + 1))
			WHERE p.dest = NEW.dest AND p.kind = NEW.kind AND p.id = NEW.id;
			RETURN NULL;
		END $$;
		CREATE TRIGGER again AFTER UPDATE ON waybill.profile FOR EACH ROW
		WHEN (NEW.counters -> 'orders_total' IS NOT NULL AND OLD.request_id IS NOT NULL AND NEW.request_id IS NULL)
		EXECUTE FUNCTION chaos.again()`)
	s.upload = func(sender jobs.Sender) jobs.Sender { return limited{sender, fewEvents} }
}

func loseOrphans(_ *testing.T, s *stage) {
	s.before = func(context.Context) {
		s.exec(`WITH lost AS (DELETE FROM waybill.river_job WHERE id % 25 = 0 RETURNING id)
			DELETE FROM waybill.bundle USING lost WHERE job_id = lost.id`)
	}
}

func completeEarly(_ *testing.T, s *stage) {
	s.patience = 3 * time.Second
	s.before = func(context.Context) {
		s.exec(`UPDATE waybill.river_job SET state = 'completed', finalized_at = now() WHERE id % 25 = 0`)
	}
}

// ignoreReservations takes every reservation away and lets requests overtake each other. Those
// of one worker know of each other without the database, so that it takes two.
func ignoreReservations(_ *testing.T, s *stage) {
	s.workers = 2
	s.exec(`CREATE FUNCTION chaos.free() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			NEW.request_id := NULL;
			RETURN NEW;
		END $$;
		CREATE TRIGGER free BEFORE INSERT OR UPDATE ON waybill.profile FOR EACH ROW EXECUTE FUNCTION chaos.free()`)
	const (
		flights = 6                      // that one worker has under way
		apart   = 200 * time.Millisecond // longer than it takes to prepare the next one
	)
	var sent atomic.Int64
	s.upload = func(sender jobs.Sender) jobs.Sender {
		return senderFunc{limited{sender, fewEvents}, func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
			n := sent.Add(1) % flights
			wait(ctx, time.Duration(flights-n)*apart)
			return sender.Upload(ctx, events)
		}}
	}
}

// fewEvents in a request make many requests.
const fewEvents = 20

// limited is a Sender that takes few events at once.
type limited struct {
	jobs.Sender
	events int
}

func (l limited) Limits() amplitude.Limits {
	limits := l.Sender.Limits()
	limits.MaxEvents = l.events
	return limits
}

func splitBundles(_ *testing.T, s *stage) {
	s.upload = func(sender jobs.Sender) jobs.Sender {
		return senderFunc{sender, func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
			var traits, tracks []json.RawMessage
			for _, event := range events {
				if strings.HasPrefix(string(event), `{"event_type":"$`) {
					traits = append(traits, event)
				} else {
					tracks = append(tracks, event)
				}
			}
			answer := amplitude.Answer{Verdict: amplitude.Delivered, Status: 200}
			for _, part := range [][]json.RawMessage{traits, tracks} {
				if len(part) > 0 && answer.Verdict == amplitude.Delivered {
					answer = sender.Upload(ctx, part)
				}
			}
			return answer
		}}
	}
}

func flipOutcomes(_ *testing.T, s *stage) {
	s.exec(`CREATE FUNCTION chaos.flip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.bundle_id % 40 = 0 THEN
				NEW.outcome := 'rejected';
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER flip BEFORE INSERT ON waybill.delivery FOR EACH ROW EXECUTE FUNCTION chaos.flip()`)
}

func sendThrice(_ *testing.T, s *stage) {
	s.upload = func(sender jobs.Sender) jobs.Sender {
		return senderFunc{sender, func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
			for range 2 {
				sender.Upload(ctx, events)
			}
			return sender.Upload(ctx, events)
		}}
	}
}
