package ident_test

import (
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/plan/ident"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ exported, local, camel, pascal string }{
		"report_created":        {"ReportCreated", "reportCreated", "reportCreated", "ReportCreated"},
		"report_id":             {"ReportID", "reportID", "reportId", "ReportId"},
		"id":                    {"ID", "id", "id", "Id"},
		"llm_request_completed": {"LLMRequestCompleted", "llmRequestCompleted", "llmRequestCompleted", "LlmRequestCompleted"},
		"cost_usd":              {"CostUSD", "costUSD", "costUsd", "CostUsd"},
		"Report_Created":        {"ReportCreated", "reportCreated", "reportCreated", "ReportCreated"},
		"user.signup_completed": {"UserSignupCompleted", "userSignupCompleted", "userSignupCompleted", "UserSignupCompleted"},
		"gpt-4o":                {"Gpt4o", "gpt4o", "gpt4o", "Gpt4o"},
		"type":                  {"Type", "type_", "type", "Type"},
		"error":                 {"Error", "error_", "error", "Error"},
		"e":                     {"E", "e_", "e", "E"},
		"occurred_at":           {"OccurredAt", "occurredAt_", "occurredAt", "OccurredAt"},
		"scope":                 {"Scope", "scope_", "scope", "Scope"},
		"slices":                {"Slices", "slices_", "slices", "Slices"},
		"stamp":                 {"Stamp", "stamp_", "stamp", "Stamp"},
		"2fa":                   {"X2fa", "x2fa", "2fa", "2fa"},
	} {
		require.Equal(t, want.exported, ident.Exported(name), name)
		require.Equal(t, want.local, ident.Local(name), name)
		require.Equal(t, want.camel, ident.Camel(name), name)
		require.Equal(t, want.pascal, ident.Pascal(name), name)
	}
}

func TestGoNamesAreGo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		require.True(t, token.IsIdentifier(ident.Exported(name)), ident.Exported(name))
		require.True(t, token.IsExported(ident.Exported(name)))
		require.True(t, token.IsIdentifier(ident.Local(name)), ident.Local(name))
		require.False(t, token.IsExported(ident.Local(name)))
	})
}
