package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPlanThatNothingWouldCheckIsRefused(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"run"}, []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/none", "ANALYTICS_PLAN=plan.json"}, nil, &stderr, &stderr)
	require.Equal(t, exitConfiguration, code)
	require.Contains(t, stderr.String(), "ANALYTICS_PLAN")
	require.Contains(t, stderr.String(), "unset it")
}
