package migrations_test

import (
	"testing"

	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, pgtest.IgnoreServer()) }
