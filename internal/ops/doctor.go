package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/settings"
	"waybill/migrations"
)

// Level is how bad a finding is.
type Level string

// The levels. A warning is worth a look; a failure keeps bundles from going out, or
// will soon.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is what one check of the doctor says.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"` // what to do or to run; empty when nothing is wrong
}

// Doctor examines what a worker depends on. It changes nothing and sends nothing.
type Doctor struct {
	// Decision is what the environment amounts to.
	Decision settings.Decision
	// Plan names the tracking plan of the environment; empty: none.
	Plan string
	// Config is how a worker would connect. The doctor opens one connection of its own, to a
	// read-only server too.
	Config *pgxpool.Config
	// Now and Dial stand in for the clock and the network in tests; nil means the real ones.
	Now  func() time.Time
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	limits *limits // nil: usualLimits
}

// limits are where a finding begins.
type limits struct {
	skewWarn, skewFail   time.Duration
	snapshot             time.Duration // a transaction that holds one for so long
	snapshotTransactions int64
	deadRows             int64
	indexBytes           int64
	waiting              time.Duration
	doubtWarn, doubtFail time.Duration
}

var usualLimits = limits{
	skewWarn: time.Second, skewFail: 30 * time.Second,
	snapshot: 10 * time.Minute, snapshotTransactions: 10_000_000,
	deadRows: 200_000, indexBytes: 256 << 20,
	waiting:   5 * time.Minute,
	doubtWarn: time.Hour, doubtFail: 5 * 24 * time.Hour,
}

// examination is one visit.
type examination struct {
	Doctor
	conn   *pgx.Conn
	server serverFacts
	status Status
}

// check is one thing to look at. It returns at least one finding, or why it could not
// look.
type check struct {
	name string
	look func(*examination, context.Context) ([]Finding, error)
}

// The checks, in the order in which they are shown: those that need a server, those that
// need the schema, those that need its content.
var (
	serverChecks = []check{
		{"version", (*examination).checkVersion},
		{"writable", (*examination).checkWritable},
		{"pool", (*examination).checkPool},
		{"clock", (*examination).checkClock},
		{"horizon", (*examination).checkHorizon},
		{"migrations", (*examination).checkMigrations},
	}
	schemaChecks = []check{
		{"grants", (*examination).checkGrants},
		{"exposure", (*examination).checkExposure},
		{"schema", (*examination).checkSchema},
		{"indexes", (*examination).checkIndexes},
		{"autovacuum", (*examination).checkAutovacuum},
		{"bloat", (*examination).checkBloat},
	}
	contentChecks = []check{
		{"queue", (*examination).checkQueue},
		{"job_states", (*examination).checkJobStates},
		{"dead_letters", (*examination).checkDeadLetters},
		{"in_doubt", (*examination).checkInDoubt},
		{"workers", (*examination).checkWorkers},
		{"lane", (*examination).checkLane},
		{"plan", (*examination).checkPlan},
	}
)

// Examine looks at everything that can be looked at. Without a database, or without our
// schema in it, what depends on that is left out.
func (d Doctor) Examine(ctx context.Context) []Finding {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Dial == nil {
		d.Dial = (&net.Dialer{}).DialContext
	}
	if d.limits == nil {
		d.limits = &usualLimits
	}
	e := &examination{Doctor: d}
	findings := []Finding{configurationFinding(d.Decision)}
	findings = append(findings, e.checkDatabase(ctx)...)
	if e.conn != nil {
		defer func() { _ = e.conn.Close(context.WithoutCancel(ctx)) }()
		findings = append(findings, e.examineDatabase(ctx)...)
	}
	return append(findings, e.run(ctx, []check{{"endpoint", (*examination).checkEndpoint}})...)
}

func (e *examination) examineDatabase(ctx context.Context) []Finding {
	findings := e.run(ctx, serverChecks)
	if err := migrations.Check(ctx, e.conn); err != nil {
		return findings // which say so
	}
	findings = append(findings, e.run(ctx, schemaChecks)...)
	status, err := ReadStatus(ctx, e.conn, Most)
	switch {
	case isDenied(err):
		return findings // the grants say so
	case err != nil:
		return append(findings, Finding{"queue", Fail, "could not be read: " + err.Error(), "mend what is named above, then run the doctor again"})
	}
	e.status = status
	return append(findings, e.run(ctx, contentChecks)...)
}

func isDenied(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "42501"
}

func (e *examination) run(ctx context.Context, checks []check) []Finding {
	var all []Finding
	for _, c := range checks {
		findings, err := c.look(e, ctx)
		if err != nil {
			findings = []Finding{{Level: Warn, Says: "could not be checked: " + err.Error(), Fix: "run the doctor as the role of a worker, or as the owner"}}
		}
		for _, f := range findings {
			f.Check = c.name
			all = append(all, f)
		}
	}
	return all
}

// read runs one of our queries, and gives up after a few seconds.
func read[T any](ctx context.Context, e *examination, name string, row pgx.RowToFunc[T]) ([]T, error) {
	var all []T
	err := inTime(ctx, e.conn, statusTimeout, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query(name))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, row)
		return err
	})
	return all, err
}

func ok(format string, args ...any) []Finding {
	return []Finding{{Level: OK, Says: fmt.Sprintf(format, args...)}}
}

func warn(fix, format string, args ...any) []Finding {
	return []Finding{{Level: Warn, Says: fmt.Sprintf(format, args...), Fix: fix}}
}

func fail(fix, format string, args ...any) []Finding {
	return []Finding{{Level: Fail, Says: fmt.Sprintf(format, args...), Fix: fix}}
}

// Worst is the highest level among findings.
func Worst(findings []Finding) Level {
	worst := OK
	for _, f := range findings {
		if f.Level == Fail || f.Level == Warn && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

// DoctorText writes findings in at most 80 columns, each with its fix below.
func DoctorText(w io.Writer, findings []Finding) error {
	var p page
	for _, f := range findings {
		p.line("%-5s %s", f.Level, f.Check)
		p.wrapped("", f.Says)
		if f.Fix != "" {
			p.wrapped("       fix:", f.Fix)
		}
	}
	counts := map[Level]int{}
	for _, f := range findings {
		counts[f.Level]++
	}
	p.line("")
	p.line("%d checks: %d ok, %d to look at, %d failed", len(findings), counts[OK], counts[Warn], counts[Fail])
	return p.writeTo(w)
}

// configurationFinding says where events go, and whether that can be meant.
func configurationFinding(d settings.Decision) Finding {
	f := Finding{Check: "configuration", Level: OK, Says: fmt.Sprintf("%s to %s: %s", d.Mode, d.Destination, d.Reason)}
	switch d.Mode {
	case settings.ModeHold:
		f.Level, f.Fix = Warn, "bundles wait until a worker may deliver: set AMPLITUDE_API_KEY, or unset ANALYTICS_MODE"
	case settings.ModeDiscard:
		f.Level, f.Fix = Warn, "bundles are recorded as skipped; unset ANALYTICS_MODE to deliver, then: worker retry --outcome skipped"
	case settings.ModeDeliver, settings.ModeDebug:
	}
	return f
}
