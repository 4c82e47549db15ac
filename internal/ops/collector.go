package ops

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/internal/jobs"
)

// collector turns the state of the queue, of this worker and of its connections into
// metrics when they are scraped. A scrape waits for the database a moment at most;
// when it does not answer, the metrics of the queue are missing rather than old.
type collector struct {
	queue *memo[Status]
	state func() jobs.State
	pool  *pgxpool.Pool
}

// scrapedMost is how far scraped counts go: as many rows are read every 10 s.
const scrapedMost = 10_000

// tooOld is the age at which an answer is not shown any more.
const tooOld = time.Minute

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	queueReadable   = desc("queue_readable", "1 when the metrics of the queue could be read from the database.")
	queueJobs       = desc("queue_jobs", "Jobs by River's state, counted up to about 10,000; completed ones are not counted.", "state")
	queueBundles    = desc("queue_bundles", "Bundles in those jobs.", "state")
	queueOldest     = desc("queue_oldest_age_seconds", "How long the oldest of those jobs has been in the queue.", "state")
	queuePaused     = desc("queue_paused", "1 while somebody has paused River's queue.")
	deadLetters     = desc("dead_letters", "Bundles that wait for a person, counted up to 10,000.", "outcome")
	inDoubtBundles  = desc("in_doubt_bundles", "Bundles that may have been accepted and are still due, counted up to 10,000.")
	inDoubtOldest   = desc("in_doubt_oldest_age_seconds", "Time since the oldest doubt; after six days the bundle becomes uncertain.")
	parkedCount     = desc("parked_identities", "Users and groups that Amplitude asked to leave alone, counted up to 10,000.")
	workersAlive    = desc("workers", "Workers whose heartbeat is younger than 10 s.")
	laneOpen        = desc("lane_open", "1 while this worker's connection to Amplitude is open.")
	laneClosed      = desc("lane_closed", "1 for the reason why it is closed.", "reason")
	heldJobs        = desc("held_jobs", "Jobs that this worker holds.")
	inFlight        = desc("in_flight_bundles", "Bundles of requests that this worker prepares, sends or records.")
	heartbeatAge    = desc("heartbeat_age_seconds", "Time since this worker's last heartbeat was written.")
	clockSkew       = desc("database_clock_skew_seconds", "How far the database's clock is ahead of this worker's.")
	draining        = desc("draining", "1 while this worker is stopping.")
	poolConnections = desc("pool_connections", "Connections to the database by what they do.", "state")
	poolMax         = desc("pool_max_connections", "The most connections that this worker opens.")
	poolWaits       = desc("pool_waits_total", "How often a statement had to wait for a connection.")
	poolWaitSeconds = desc("pool_wait_seconds_total", "How long statements waited for a connection.")
)

// Describe implements prometheus.Collector. It names nothing, which makes the collector
// unchecked: what it sends depends on what can be read.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	status, at, err := c.queue.get(context.Background())
	readable := err == nil && time.Since(at) < tooOld
	gauge(queueReadable, truth(readable))
	if readable {
		collectQueue(gauge, status)
	}
	collectWorker(gauge, c.state())
	c.collectPool(gauge, metrics)
}

type gaugeFunc func(d *prometheus.Desc, value float64, labels ...string)

func collectQueue(gauge gaugeFunc, s Status) {
	for _, d := range s.Queue.States {
		gauge(queueJobs, float64(d.Jobs), d.State)
		gauge(queueBundles, float64(d.Bundles), d.State)
		gauge(queueOldest, age(s.At, d.Oldest), d.State)
	}
	gauge(queuePaused, truth(s.Queue.PausedAt != nil))
	for _, outcome := range outcomes[1:] { // delivered is no dead letter
		bundles, _, _ := s.DeadLetterCount(outcome)
		gauge(deadLetters, float64(bundles), outcome)
	}
	gauge(inDoubtBundles, float64(s.InDoubt.Bundles))
	gauge(inDoubtOldest, age(s.At, s.InDoubt.Oldest))
	gauge(parkedCount, float64(s.Parked.Identities))
	gauge(workersAlive, float64(s.AliveWorkers()))
}

func collectWorker(gauge gaugeFunc, s jobs.State) {
	gauge(laneOpen, truth(s.Lane.Open))
	for _, verdict := range verdicts()[1:] { // delivered closes nothing
		gauge(laneClosed, truth(!s.Lane.Open && s.Lane.Reason == verdict), verdict)
	}
	gauge(heldJobs, float64(s.HeldJobs))
	gauge(inFlight, float64(s.InFlightBundles))
	if !s.LastBeat.IsZero() {
		gauge(heartbeatAge, time.Since(s.LastBeat).Seconds())
	}
	gauge(clockSkew, s.ClockSkew.Seconds())
	gauge(draining, truth(s.Draining))
}

func (c *collector) collectPool(gauge gaugeFunc, metrics chan<- prometheus.Metric) {
	stat := c.pool.Stat()
	gauge(poolConnections, float64(stat.AcquiredConns()), "acquired")
	gauge(poolConnections, float64(stat.IdleConns()), "idle")
	gauge(poolConnections, float64(stat.ConstructingConns()), "connecting")
	gauge(poolMax, float64(stat.MaxConns()))
	metrics <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(stat.EmptyAcquireCount()))
	metrics <- prometheus.MustNewConstMetric(poolWaitSeconds, prometheus.CounterValue, stat.EmptyAcquireWaitTime().Seconds())
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// age is 0 where there is nothing old.
func age(now time.Time, then *time.Time) float64 {
	if then == nil {
		return 0
	}
	return max(now.Sub(*then).Seconds(), 0)
}
