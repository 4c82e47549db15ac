package ops

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// tableFacts is a row of doctor_tables.sql.
type tableFacts struct {
	Name            string
	Live, Dead      int64
	Bytes           int64
	IndexBytes      int64
	AutovacuumIsOff bool
}

func (e *examination) checkAutovacuum(ctx context.Context) ([]Finding, error) {
	tables, err := read(ctx, e, "doctor_tables", pgx.RowToStructByPos[tableFacts])
	if err != nil {
		return nil, err
	}
	present, err := read(ctx, e, "manifest", pgx.RowToStructByPos[object])
	if err != nil {
		return nil, err
	}
	var findings []Finding
	if !e.server.Autovacuum || !e.server.TrackCounts {
		findings = append(findings, fail("ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()",
			"autovacuum is off on this server; a queue slows down within minutes")...)
	}
	for _, t := range tables {
		if t.AutovacuumIsOff {
			findings = append(findings, fail(fmt.Sprintf("ALTER TABLE waybill.%s RESET (autovacuum_enabled)", t.Name),
				"autovacuum is off for waybill.%s", t.Name)...)
		}
	}
	there := catalogueOf(present)
	for _, o := range manifest() {
		if _, set := there[o.key()]; o.Kind == "option" && !set {
			findings = append(findings, warn(o.Detail, "the setting %s is missing", o.Name)...)
		}
	}
	if findings == nil {
		return ok("on, and set for a queue"), nil
	}
	return findings, nil
}

func (e *examination) checkBloat(ctx context.Context) ([]Finding, error) {
	tables, err := read(ctx, e, "doctor_tables", pgx.RowToStructByPos[tableFacts])
	if err != nil {
		return nil, err
	}
	return judgeBloat(tables, *e.limits), nil
}

// indexBytesPerRow is generous: all indexes of the widest table take about 300 bytes a
// row when they are fresh.
const indexBytesPerRow = 1000

func judgeBloat(tables []tableFacts, l limits) []Finding {
	var findings []Finding
	for _, t := range tables {
		if t.Dead > l.deadRows && t.Dead > t.Live {
			findings = append(findings, warn(fmt.Sprintf("VACUUM (ANALYZE) waybill.%s; if they stay, see the horizon", t.Name),
				"waybill.%s has %s dead rows and %s live ones", t.Name, thousands(t.Dead, false), thousands(t.Live, false))...)
		}
		if t.IndexBytes > l.indexBytes && t.IndexBytes > indexBytesPerRow*(t.Live+t.Dead) {
			findings = append(findings, warn(fmt.Sprintf("REINDEX TABLE CONCURRENTLY waybill.%s", t.Name),
				"the indexes of waybill.%s take %s MB for %s rows", t.Name, thousands(t.IndexBytes>>20, false), thousands(t.Live, false))...)
		}
	}
	if findings == nil {
		return ok("few dead rows, no swollen index")
	}
	return findings
}

// snapshot is a row of doctor_horizon.sql: somebody who holds dead rows in place.
type snapshot struct {
	Kind         string
	Name         string
	Seconds      *float64
	Transactions int64
	Active       *bool
}

func (e *examination) checkHorizon(ctx context.Context) ([]Finding, error) {
	snapshots, err := read(ctx, e, "doctor_horizon", pgx.RowToStructByPos[snapshot])
	if err != nil {
		return nil, err
	}
	sight, err := read(ctx, e, "doctor_sight", pgx.RowTo[bool])
	if err != nil {
		return nil, err
	}
	findings := judgeHorizon(snapshots, *e.limits)
	if findings == nil && !sight[0] {
		return ok("no old snapshot among the sessions that role %s may see; GRANT pg_read_all_stats shows it all", e.server.Role), nil
	}
	if findings == nil {
		return ok("nobody holds an old snapshot"), nil
	}
	return findings, nil
}

// judgeHorizon returns nil when nobody holds dead rows in place for long.
func judgeHorizon(snapshots []snapshot, l limits) []Finding {
	var findings []Finding
	for _, s := range snapshots {
		old := s.Transactions > l.snapshotTransactions
		held := plural(s.Transactions, false, "transaction")
		if s.Seconds != nil {
			since := time.Duration(*s.Seconds * float64(time.Second))
			old = old || since > l.snapshot
			held = span(since)
		}
		abandoned := s.Kind == "slot" && s.Active != nil && !*s.Active
		if !old && !abandoned {
			continue
		}
		const effect = "vacuum can remove nothing newer, and the queue slows down"
		switch s.Kind {
		case "transaction":
			findings = append(findings, warn(fmt.Sprintf("end it in its application, or: SELECT pg_terminate_backend(%s)", s.Name),
				"the session with pid %s has held a snapshot for %s; %s", s.Name, held, effect)...)
		case "prepared":
			findings = append(findings, warn(fmt.Sprintf("COMMIT PREPARED or ROLLBACK PREPARED %s", quoteLiteral(s.Name)),
				"the prepared transaction %s has held a snapshot for %s; %s", s.Name, held, effect)...)
		case "slot":
			findings = append(findings, warn(fmt.Sprintf("start its reader, or: SELECT pg_drop_replication_slot(%s)", quoteLiteral(s.Name)),
				"the replication slot %s holds a snapshot that is %s old; %s", s.Name, held, effect)...)
		default:
			findings = append(findings, warn("look for long queries there, or turn hot_standby_feedback off",
				"the standby %s holds a snapshot that is %s old; %s", s.Name, held, effect)...)
		}
	}
	return findings
}
