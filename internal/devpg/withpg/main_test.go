//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/devpg"
)

// The test program plays withpg itself, and a command run by it.
func TestMain(m *testing.M) {
	switch os.Getenv("WITHPG_PLAY") {
	case "withpg":
		_ = os.Setenv("WITHPG_PLAY", "command")
		main()
	case "command":
		playCommand()
	default:
		goleak.VerifyTestMain(m)
	}
}

// playCommand says where its server is, then which signals it gets, until
// SIGTERM ends it.
func playCommand() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if os.Getenv("WITHPG_PLAY_ALONE") != "" {
		_ = syscall.Setpgid(0, 0)
	}
	fmt.Println(os.Getenv("TEST_DATABASE_URL"))
	for received := range signals {
		fmt.Println(received)
		if received == syscall.SIGTERM {
			os.Exit(9)
		}
	}
}

// withpg prepares a run of the program in a session of its own, away from the
// terminal of whoever runs the tests.
func withpg(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TEST_DATABASE_URL=", "DATABASE_URL=", "WITHPG_PLAY=withpg", "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// startCommand runs the test program as the command and returns the URL it was
// given, and what it says after that.
func startCommand(t *testing.T, configure ...func(*exec.Cmd)) (cmd *exec.Cmd, url string, said *bufio.Reader) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd = withpg(t, nil, "--", program)
	for _, change := range configure {
		change(cmd)
	}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended
	said = bufio.NewReader(stdout)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	return cmd, strings.TrimSpace(line), said
}

func exit(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	return exit.ExitCode()
}

func TestExitCodeIsTheCommands(t *testing.T) {
	t.Parallel()
	server, err := devpg.Start(t.Context(), devpg.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	env := []string{"TEST_DATABASE_URL=" + server.URL()}

	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15} {
		require.Equal(t, want, exit(t, withpg(t, env, "--", "sh", "-c", script).Run()), script)
	}
	cmd := withpg(t, env, "no-such-command")
	out, err := cmd.CombinedOutput()
	require.Equal(t, exitNotRun, exit(t, err))
	require.Contains(t, string(out), "no-such-command")
}

func TestTestURLComesBeforeDatabaseURL(t *testing.T) {
	t.Parallel()
	server, err := devpg.Start(t.Context(), devpg.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	show := []string{"--", "sh", "-c", "echo $TEST_DATABASE_URL"}

	out, err := withpg(t, []string{"TEST_DATABASE_URL=" + server.URL(), "DATABASE_URL=postgres://unused"}, show...).Output()
	require.NoError(t, err)
	require.Equal(t, server.URL()+"\n", string(out))

	out, err = withpg(t, []string{"DATABASE_URL=" + server.URL()}, show...).Output()
	require.NoError(t, err)
	require.Equal(t, server.URL()+"\n", string(out))
}

func TestUnusableServerIsAnError(t *testing.T) {
	t.Parallel()
	ran := t.TempDir() + "/ran"
	var stderr bytes.Buffer
	cmd := withpg(t, []string{"DATABASE_URL=postgres:///x?host=" + t.TempDir()}, "--", "touch", ran)
	cmd.Stderr = &stderr
	require.Equal(t, exitDatabase, exit(t, cmd.Run()))
	require.Contains(t, stderr.String(), "given by URL cannot be used")
	require.NoFileExists(t, ran)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--"}} {
		var stderr bytes.Buffer
		require.Equal(t, exitUsage, run(args, nil, &stderr))
		require.Contains(t, stderr.String(), "usage: withpg -- COMMAND")
	}
}

func TestSignalsReachTheCommandAndTheServerGoesAfterIt(t *testing.T) {
	t.Parallel()
	cmd, databaseURL, said := startCommand(t)
	conn, err := pgx.Connect(t.Context(), databaseURL)
	require.NoError(t, err)

	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		require.NoError(t, cmd.Process.Signal(sent))
		line, err := said.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, sent.String()+"\n", line)
	}

	require.Equal(t, 9, exit(t, cmd.Wait()))
	require.Error(t, conn.Ping(t.Context()))
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	require.NoDirExists(t, u.Query().Get("host"))
}

func TestSignalWhileStarting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := dir + "/started"
	require.NoError(t, syscall.Mkfifo(fifo, 0o666))
	// Looking for Docker is the first step that can take long.
	require.NoError(t, os.WriteFile(dir+"/docker", []byte("#!/bin/sh\necho x >"+fifo+"\nexec sleep 60\n"), 0o755))
	cmd := withpg(t, []string{"DEVPG_SOURCE=docker", "PATH=" + dir + ":" + os.Getenv("PATH")}, "--", "true")
	require.NoError(t, cmd.Start())
	_, err := os.ReadFile(fifo) // returns once docker is running
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))

	require.Equal(t, 128+15, exit(t, cmd.Wait()))
}
