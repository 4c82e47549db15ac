package waybill

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// door is the database's side of a call, for one kind of transaction. bundles is
// one bundle or a JSON array of them; the answers are one a bundle.
type door[TTx any] interface {
	// enqueue is one statement of tx.
	enqueue(ctx context.Context, tx TTx, bundles string) ([]answer, error)
	// tryEnqueue leaves tx usable even if it fails: the database function
	// catches whatever goes wrong inside it, and a savepoint whatever keeps it
	// from running, such as a schema that is not there yet.
	tryEnqueue(ctx context.Context, tx TTx, bundles string) ([]answer, error)
}

// answer is one row of waybill.enqueue.
type answer struct {
	n        int // position of the bundle in the call, from 1
	bundleID int64
	outcome  Outcome
	reason   string
}

var (
	//go:embed enqueue.sql
	enqueueSQL string
	//go:embed try_enqueue.sql
	tryEnqueueSQL string
)

const (
	savepoint         = "SAVEPOINT waybill_try"
	releaseSavepoint  = "RELEASE SAVEPOINT waybill_try"
	rollbackSavepoint = "ROLLBACK TO SAVEPOINT waybill_try"
)

type pgxDoor struct{}

func (pgxDoor) enqueue(ctx context.Context, tx pgx.Tx, bundles string) ([]answer, error) {
	if tx == nil {
		return nil, errNoTx
	}
	rows, err := tx.Query(ctx, enqueueSQL, bundles)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (answer, error) { return scan(row.Scan) })
}

// tryEnqueue sends the savepoint, the call and the release together. pgx.Batch
// would not do: it prepares all its statements first, where nothing protects the
// transaction.
func (pgxDoor) tryEnqueue(ctx context.Context, tx pgx.Tx, bundles string) ([]answer, error) {
	if tx == nil {
		return nil, errNoTx
	}
	// An empty batch costs no round trip and fails if tx has ended; its
	// connection may be somebody else's by then.
	if err := tx.SendBatch(ctx, &pgx.Batch{}).Close(); err != nil {
		return nil, err
	}
	conn := tx.Conn()
	if conn == nil {
		return nil, errNoConn
	}
	var batch pgconn.Batch
	batch.ExecParams(savepoint, nil, nil, nil, nil)
	batch.ExecParams(tryEnqueueSQL, [][]byte{[]byte(bundles)}, nil, nil, nil)
	batch.ExecParams(releaseSavepoint, nil, nil, nil, nil)
	results, err := conn.PgConn().ExecBatch(ctx, &batch).ReadAll()
	if err != nil {
		_, back := tx.Exec(ctx, rollbackSavepoint)
		return nil, errors.Join(err, back)
	}
	return scanText(results[1].Rows)
}

var (
	errNoTx   = errors.New("the transaction is nil; pass the open one")
	errNoConn = errors.New("the transaction has no connection of pgx; pass one that pgx began")
)

// scanText reads rows in Postgres's text format.
func scanText(rows [][][]byte) ([]answer, error) {
	answers := make([]answer, 0, len(rows))
	for _, row := range rows {
		n, err := strconv.Atoi(string(row[0]))
		if err != nil {
			return nil, fmt.Errorf("n: %w", err)
		}
		id, _ := strconv.ParseInt(string(row[1]), 10, 64) // null, for 0
		answers = append(answers, answer{n, id, Outcome(row[2]), string(row[3])})
	}
	return answers, nil
}

type sqlDoor struct{}

func (sqlDoor) enqueue(ctx context.Context, tx *sql.Tx, bundles string) ([]answer, error) {
	if tx == nil {
		return nil, errNoTx
	}
	return querySQL(ctx, tx, enqueueSQL, bundles)
}

func (sqlDoor) tryEnqueue(ctx context.Context, tx *sql.Tx, bundles string) ([]answer, error) {
	if tx == nil {
		return nil, errNoTx
	}
	if _, err := tx.ExecContext(ctx, savepoint); err != nil {
		return nil, err
	}
	answers, err := querySQL(ctx, tx, tryEnqueueSQL, bundles)
	end := releaseSavepoint
	if err != nil {
		end = rollbackSavepoint
	}
	_, ended := tx.ExecContext(ctx, end)
	return answers, errors.Join(err, ended)
}

func querySQL(ctx context.Context, tx *sql.Tx, query, bundles string) (answers []answer, err error) {
	rows, err := tx.QueryContext(ctx, query, bundles)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		a, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, rows.Err()
}

// scan reads one row with the Scan of either driver.
func scan(into func(...any) error) (answer, error) {
	var a answer
	var reason *string
	var id *int64
	if err := into(&a.n, &id, &a.outcome, &reason); err != nil {
		return answer{}, err
	}
	if id != nil {
		a.bundleID = *id
	}
	if reason != nil {
		a.reason = *reason
	}
	return a, nil
}

// explain adds to an error of the database what to do about it.
func explain(err error) error {
	if fix := fixes[sqlState(err)]; fix != "" {
		return fmt.Errorf("waybill: enqueue: %s: %w", fix, err)
	}
	return fmt.Errorf("waybill: enqueue: %w", err)
}

// fixes are for the errors that one meets when something was not set up.
var fixes = map[string]string{
	"3F000": "this database has no waybill schema; run: worker migrate",
	"42883": "the waybill schema of this database is too old; run: worker migrate",
	"42501": "this login may not enqueue; grant it the role waybill_producer",
	"25P02": "the transaction had failed before; roll it back",
}

// sqlState is the SQLSTATE of err, whatever the driver, or empty.
func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}
