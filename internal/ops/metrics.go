package ops

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"waybill/internal/amplitude"
	"waybill/internal/jobs"
)

// namespace begins the name of every metric of ours.
const namespace = "waybill"

// The closed sets of label values.
var (
	outcomes    = []string{"delivered", "rejected", "skipped", "uncertain"}
	waitReasons = []string{"parked", "reserved", "newer_version"}
	planModes   = []string{"observe", "quarantine", "enforce"}
)

// Meter counts what a worker's loop does. Every label value exists from the start, at
// zero, so that an alert can be written on the first failure. It implements jobs.Meter.
type Meter struct {
	requests       family
	requestSeconds prometheus.Histogram
	requestEvents  prometheus.Histogram
	requestBytes   prometheus.Histogram
	settled        family
	deliveryLag    prometheus.Histogram
	eventsSent     prometheus.Counter
	eventsElided   prometheus.Counter
	stringsCut     prometheus.Counter
	putBack        family
	violations     family
	jobsRescued    prometheus.Counter
	bundlesRescued prometheus.Counter
}

var _ jobs.Meter = (*Meter)(nil)

// NewMeter makes a Meter and registers it, together with the metrics of the Go runtime
// and of the process. It panics when the registry has these already.
func NewMeter(registry *prometheus.Registry) *Meter {
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r := registrar{registry}
	return &Meter{
		requests: r.family("requests_total", "verdict", verdicts(),
			"Requests to Amplitude, by what the answer meant."),
		requestSeconds: r.histogram("request_duration_seconds", []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
			"Time from the start of a request to its answer."),
		requestEvents: r.histogram("request_events", []float64{1, 5, 20, 50, 100, 200, 500, 1000, 1500, 2000},
			"Events in one request."),
		requestBytes: r.histogram("request_body_bytes", prometheus.ExponentialBuckets(1024, 4, 8),
			"Size of one request before compression."),
		settled: r.family("bundles_settled_total", "outcome", outcomes,
			"Bundles that got an outcome."),
		deliveryLag: r.histogram("delivery_lag_seconds",
			[]float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 518400},
			"Time from the enqueue of a bundle to its recorded delivery."),
		eventsSent: r.counter("events_sent_total",
			"Events in recorded requests."),
		eventsElided: r.counter("events_elided_total",
			"Identify and group events left out, because Amplitude knows what they say."),
		stringsCut: r.counter("strings_cut_total",
			"Strings cut to Amplitude's 1,024 characters."),
		putBack: r.family("bundles_put_back_total", "reason", waitReasons,
			"Bundles that went back to wait."),
		violations: r.family("plan_violations_total", "mode", planModes,
			"Ways in which settled bundles broke the tracking plan, by what followed."),
		jobsRescued: r.counter("rescued_jobs_total",
			"Jobs taken over from dead workers or found without an owner."),
		bundlesRescued: r.counter("rescued_bundles_total",
			"Bundles taken over from dead workers or found without a job."),
	}
}

// Request counts one POST that ended with a verdict.
func (m *Meter) Request(verdict string, events, bytes int, took time.Duration) {
	m.requests.of(verdict).Inc()
	m.requestSeconds.Observe(took.Seconds())
	m.requestEvents.Observe(float64(events))
	m.requestBytes.Observe(float64(bytes))
}

// Outcome counts one bundle that got an outcome, lag after it was enqueued.
func (m *Meter) Outcome(outcome string, lag time.Duration) {
	m.settled.of(outcome).Inc()
	if outcome == "delivered" {
		m.deliveryLag.Observe(lag.Seconds())
	}
}

// Events counts what one recorded request held and what was left out of it.
func (m *Meter) Events(sent, elided, cut int) {
	m.eventsSent.Add(float64(sent))
	m.eventsElided.Add(float64(elided))
	m.stringsCut.Add(float64(cut))
}

// Waiting counts n bundles put back for a reason.
func (m *Meter) Waiting(reason string, n int) { m.putBack.of(reason).Add(float64(n)) }

// Violations counts the ways in which one settled bundle breaks the tracking plan.
func (m *Meter) Violations(mode string, n int) { m.violations.of(mode).Add(float64(n)) }

// Rescued counts what came back from a dead worker or was found by the sweep.
func (m *Meter) Rescued(jobs, bundles int) {
	m.jobsRescued.Add(float64(jobs))
	m.bundlesRescued.Add(float64(bundles))
}

func verdicts() []string {
	var names []string
	for _, v := range amplitude.Verdicts() {
		names = append(names, v.String())
	}
	return names
}

// family is a counter with one label whose values are a closed set.
type family struct {
	vec    *prometheus.CounterVec
	values []string
}

// of is the counter of one value; whatever is not in the set is counted as unknown.
func (f family) of(value string) prometheus.Counter {
	if !slices.Contains(f.values, value) {
		value = "unknown"
	}
	return f.vec.WithLabelValues(value)
}

// registrar makes metrics and registers them.
type registrar struct{ registry *prometheus.Registry }

func (r registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	r.registry.MustRegister(c)
	return c
}

func (r registrar) histogram(name string, buckets []float64, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	r.registry.MustRegister(h)
	return h
}

func (r registrar) family(name, label string, values []string, help string) family {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{label})
	r.registry.MustRegister(vec)
	for _, value := range values {
		vec.WithLabelValues(value)
	}
	return family{vec, values}
}
