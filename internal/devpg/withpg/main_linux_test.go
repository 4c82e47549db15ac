package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Only Linux tells a child that its parent has been killed.
func TestKillingWithpgEndsTheCommand(t *testing.T) {
	t.Parallel()
	cmd, _, said := startCommand(t)

	require.NoError(t, cmd.Process.Kill())

	rest, err := io.ReadAll(said) // until the command, too, has closed it
	require.NoError(t, err)
	require.Equal(t, "terminated\n", string(rest))
	require.Equal(t, -1, exit(t, cmd.Wait()))
}

// A key reaches everybody in the terminal's foreground group. The command here
// has left that group, so that all it hears comes from withpg.
func TestControlCIsNotPassedOn(t *testing.T) {
	t.Parallel()
	keyboard, terminal := openTerminal(t)
	cmd, _, said := startCommand(t, func(cmd *exec.Cmd) {
		cmd.Stdin = terminal
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
		cmd.Env = append(cmd.Env, "WITHPG_PLAY_ALONE=1")
	})

	_, err := io.WriteString(keyboard, "\x03")
	require.NoError(t, err)
	echo := make([]byte, len("^C"))
	_, err = io.ReadFull(keyboard, echo) // the signal comes before the echo
	require.NoError(t, err)
	require.Equal(t, "^C", string(echo))
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))

	rest, err := io.ReadAll(said)
	require.NoError(t, err)
	require.Equal(t, "terminated\n", string(rest))
	require.Equal(t, 9, exit(t, cmd.Wait()))
}

// openTerminal makes a pseudo-terminal.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, keyboard.Close()) })
	require.NoError(t, unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, terminal.Close()) })
	return keyboard, terminal
}
