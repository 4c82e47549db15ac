package waybilltest_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
	"waybill/waybilltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, pgtest.IgnoreServer()) }

// probe is a test that may fail: what it is told is kept.
type probe struct {
	testing.TB
	said string
}

func (p *probe) Helper() {}

func (p *probe) Fatalf(format string, args ...any) {
	p.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure is what a check tells a test that it fails, or nothing.
func failure(t *testing.T, check func(p *probe)) string {
	t.Helper()
	p := &probe{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(p)
	}()
	<-done
	return p.said
}

// ledgerFailure is the failure of a check on what tx has enqueued.
func ledgerFailure(t *testing.T, tx pgx.Tx, check func(*waybilltest.Ledger)) string {
	t.Helper()
	return failure(t, func(p *probe) { check(waybilltest.New(p, tx)) })
}
