package devpg

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Only Linux tells a child that its parent has been killed.
func TestKillingOwnerAndWatchdogEndsTheServer(t *testing.T) {
	t.Parallel()
	server, kill := startOwner(t)
	require.Empty(t, server.ErrText)
	client := connect(t, server.URL)
	require.NoError(t, syscall.Kill(server.Dog, syscall.SIGKILL))

	kill()

	_, err := client.WaitForNotification(t.Context())
	require.Error(t, err)
	require.NoError(t, os.RemoveAll(filepath.Dir(server.DataDir))) // or the next sweep
}
