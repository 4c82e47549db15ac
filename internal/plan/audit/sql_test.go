package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan/audit"
)

// TestATriggerIsACall: what the database tells by itself is wired as well as Go is.
func TestATriggerIsACall(t *testing.T) {
	t.Parallel()
	root, p := shop(t, map[string]string{
		"sql/trigger.sql": "-- 'search_performed' is not meant here\nPERFORM waybill.enqueue(jsonb_build_object(\n    'event', 'Report_Created',\n    report_created, 'stars', 'x_report_created'));\n",
		"sql/notes.txt":   "'search_performed'",
	})
	report := audit.Audit(p, read(t, root, p, "./sql"))
	calls := map[string][]string{}
	for _, e := range report.Events {
		for _, site := range e.Sites {
			calls[e.Name] = append(calls[e.Name], site.Pos.String())
		}
	}
	require.Equal(t, map[string][]string{"report_created": {"sql/trigger.sql:3"}}, calls)
	require.NotContains(t, findings(report), "report_created is live and nothing calls it")
}
