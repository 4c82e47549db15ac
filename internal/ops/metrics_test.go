package ops

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/jobs"
)

func TestEveryCounterStartsAtZero(t *testing.T) {
	t.Parallel()
	_, body := get(t, serve(t, func(c *ServerConfig) { NewMeter(c.Registry) })+"/metrics")
	for _, v := range amplitude.Verdicts() {
		require.Contains(t, body, `waybill_requests_total{verdict="`+v.String()+`"} 0`)
	}
	for _, series := range []string{
		`waybill_bundles_settled_total{outcome="delivered"} 0`, `waybill_bundles_settled_total{outcome="rejected"} 0`,
		`waybill_bundles_settled_total{outcome="skipped"} 0`, `waybill_bundles_settled_total{outcome="uncertain"} 0`,
		`waybill_bundles_put_back_total{reason="parked"} 0`, `waybill_bundles_put_back_total{reason="reserved"} 0`,
		`waybill_bundles_put_back_total{reason="newer_version"} 0`,
		`waybill_plan_violations_total{mode="observe"} 0`, `waybill_plan_violations_total{mode="quarantine"} 0`,
		`waybill_plan_violations_total{mode="enforce"} 0`,
		"waybill_rescued_jobs_total 0", "waybill_rescued_bundles_total 0", "waybill_events_sent_total 0",
		"waybill_delivery_lag_seconds_count 0", "go_goroutines ", "process_open_fds ",
	} {
		require.Contains(t, body, series)
	}
}

func TestMeterCounts(t *testing.T) {
	t.Parallel()
	var m *Meter
	base := serve(t, func(c *ServerConfig) { m = NewMeter(c.Registry) })
	m.Request("delivered", 700, 5000, 80*time.Millisecond)
	m.Request("brand_new", 1, 1, time.Second)
	m.Outcome("delivered", 2*time.Second)
	m.Outcome("rejected", time.Second)
	m.Outcome("no such thing", 0)
	m.Events(10, 20, 1)
	m.Waiting("parked", 5)
	m.Waiting("reason with user u-1 in it", 1)
	m.Violations("enforce", 2)
	m.Violations("shout", 1)
	m.Rescued(3, 4)

	_, body := get(t, base+"/metrics")
	for _, series := range []string{
		`waybill_requests_total{verdict="delivered"} 1`, `waybill_requests_total{verdict="unknown"} 1`,
		"waybill_request_duration_seconds_sum 1.08", "waybill_request_events_sum 701", "waybill_request_body_bytes_sum 5001",
		`waybill_bundles_settled_total{outcome="delivered"} 1`, `waybill_bundles_settled_total{outcome="unknown"} 1`,
		"waybill_delivery_lag_seconds_sum 2", "waybill_delivery_lag_seconds_count 1",
		"waybill_events_sent_total 10", "waybill_events_elided_total 20", "waybill_strings_cut_total 1",
		`waybill_bundles_put_back_total{reason="parked"} 5`, `waybill_bundles_put_back_total{reason="unknown"} 1`,
		`waybill_plan_violations_total{mode="enforce"} 2`, `waybill_plan_violations_total{mode="unknown"} 1`,
		"waybill_rescued_jobs_total 3", "waybill_rescued_bundles_total 4",
	} {
		require.Contains(t, body, series+"\n")
	}
	require.NotContains(t, body, "u-1")
}

func TestScrapeShowsTheQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue(keys("a", 7)...)
	f.exec("UPDATE waybill.river_job SET created_at = now() - interval '90 seconds'")
	f.given("rejected", "x", "b:1")
	f.settle("in_doubt", "", f.enqueue("c:1")...)
	f.exec("UPDATE waybill.delivery SET doubt_since = now() - interval '1 hour' WHERE outcome = 'in_doubt'")
	f.exec("INSERT INTO waybill.river_queue (name, paused_at) VALUES ('analytics', now())")
	f.beat("w-1", 0, "{}")

	_, body := get(t, serve(t, func(c *ServerConfig) { c.Pool = f.pool })+"/metrics")

	for _, series := range []string{
		"waybill_queue_readable 1", `waybill_queue_jobs{state="available"} 1`, `waybill_queue_bundles{state="available"} 7`,
		`waybill_queue_jobs{state="discarded"} 0`, "waybill_queue_paused 1", "waybill_workers 1",
		`waybill_dead_letters{outcome="rejected"} 1`, `waybill_dead_letters{outcome="skipped"} 0`,
		"waybill_in_doubt_bundles 1", "waybill_parked_identities 0",
	} {
		require.Contains(t, body, series+"\n")
	}
	require.Regexp(t, `waybill_queue_oldest_age_seconds\{state="available"\} 9\d\.`, body)
	require.Regexp(t, `waybill_in_doubt_oldest_age_seconds 36\d\d\.`, body)
	require.NotContains(t, body, payloadCanary)
}

func TestScrapeShowsTheWorker(t *testing.T) {
	t.Parallel()
	_, body := get(t, serve(t, func(c *ServerConfig) {
		c.State = func() jobs.State {
			return jobs.State{
				HeldJobs: 12, InFlightBundles: 34, LastBeat: time.Now().Add(-3 * time.Second), ClockSkew: -1500 * time.Millisecond,
				Draining: true, Lane: jobs.LaneState{Reason: "key_refused"},
			}
		}
	})+"/metrics")
	for _, series := range []string{
		"waybill_held_jobs 12", "waybill_in_flight_bundles 34", "waybill_database_clock_skew_seconds -1.5", "waybill_draining 1",
		"waybill_lane_open 0", `waybill_lane_closed{reason="key_refused"} 1`, `waybill_lane_closed{reason="unavailable"} 0`,
		"waybill_pool_max_connections 8", `waybill_pool_connections{state="acquired"}`,
	} {
		require.Contains(t, body, series)
	}
	require.Regexp(t, `waybill_heartbeat_age_seconds 3\.`, body)
}

// Prometheus' own rules for names: https://prometheus.io/docs/practices/naming/
func TestMetricNames(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	_, body := get(t, serve(t, func(c *ServerConfig) { NewMeter(c.Registry); registry = c.Registry })+"/metrics")
	families, err := registry.Gather()
	require.NoError(t, err)
	name := regexp.MustCompile(`^waybill(_[a-z]+)+$`)
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "waybill_") {
			continue
		}
		require.Regexp(t, name, family.GetName())
		require.NotEmpty(t, family.GetHelp(), family.GetName())
		require.Equal(t, family.GetType().String() == "COUNTER", strings.HasSuffix(family.GetName(), "_total"), family.GetName())
	}
	require.NotContains(t, body, "error gathering")
}
