//go:build unix

package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// playDocker is the docker command, with one container that is a process of
// this machine. Its state is in DEVPG_PLAY_DIR: the file calls has a line for
// every call, container has the process id.
func playDocker() error {
	dir, args := os.Getenv("DEVPG_PLAY_DIR"), os.Args[1:]
	calls, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(calls, strings.Join(args, " ")); err != nil {
		return err
	}
	switch args[0] {
	case "run":
		publish := args[slices.Index(args, "-p")+1]
		port := strings.Split(publish, ":")[1]
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err != nil {
			return errors.New("Error: port is already allocated")
		} else if err := listener.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "port"), []byte(port), 0o600); err != nil {
			return err
		}
		return startContainer(dir)
	case "start":
		return startContainer(dir)
	case "stop", "rm":
		stopContainer(dir)
	case "inspect":
		fmt.Println(processAlive(pidFile(filepath.Join(dir, "container"))))
	case "logs":
		fmt.Println("the last words of the container")
	}
	return nil
}

func startContainer(dir string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "DEVPG_PLAY=container")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "container"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}

// stopContainer returns when the container's process has ended: until then it
// holds the lock of its directory.
func stopContainer(dir string) {
	if pid := pidFile(filepath.Join(dir, "container")); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
	locks, _ := filepath.Glob(filepath.Join(dir, "server", "*", "lock"))
	for _, path := range locks {
		if lock, err := os.Open(path); err == nil {
			_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
			_ = lock.Close()
		}
	}
}

// playContainer is the container: a server on the port and with the password
// that docker run was given.
func playContainer() error {
	dir := os.Getenv("DEVPG_PLAY_DIR")
	b, err := findInstalled()
	if err != nil {
		return err
	}
	home := filepath.Join(dir, "server", "pg-"+strconv.Itoa(b.major))
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Dir(home), 0o755); err != nil {
		return err
	}
	if password := os.Getenv("POSTGRES_PASSWORD"); password != "" { // not on docker start
		if err := saveAddress(home, pidFile(filepath.Join(dir, "port")), password); err != nil {
			return err
		}
	}
	engine, err := b.launch(context.Background(), Options{Durable: true, Dir: filepath.Dir(home)})
	if err != nil {
		return err
	}
	awaitTermination()
	return engine.remove()
}

// withDocker is a host that has nothing but a docker command.
func withDocker(t *testing.T) (h host, dir string) {
	t.Helper()
	dir = openDir(t)
	writeScript(t, filepath.Join(dir, "docker"),
		"GORACE=atexit_sleep_ms=0 DEVPG_PLAY=docker DEVPG_PLAY_DIR="+dir+" exec "+testProgram(t)+` "$@"`)
	h = nowhere()
	h.lookPath = lookIn(dir)
	return h, dir
}

func calls(t *testing.T, dir string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	return string(content)
}

func TestDockerServer(t *testing.T) {
	t.Parallel()
	h, dir := withDocker(t)

	engine, source, err := h.open(t.Context(), Options{Settings: map[string]string{"jit": "on"}, Log: io.Discard})
	require.NoError(t, err)
	t.Cleanup(func() { stopContainer(dir) })
	require.Equal(t, "docker", source)
	_, password, err := parseAddress(engine.url())
	require.NoError(t, err)
	execute(t, engine.url(), "CREATE TABLE kept AS SELECT 1")
	require.NoError(t, engine.halt(true))
	require.Error(t, ping(t.Context(), engine.url()))
	require.NoError(t, engine.start(t.Context()))
	require.Equal(t, "1", query(t, engine.url(), "SELECT count(*)::text FROM kept"))
	require.Empty(t, engine.dataDir())
	require.Zero(t, engine.pid())

	c := engine.(*container)
	c.dog.finish() // which is all that happens when we are killed
	require.NoDirExists(t, c.home)
	require.NoError(t, engine.remove())
	require.Error(t, ping(t.Context(), engine.url()))
	said := calls(t, dir)
	require.Regexp(t, `(?m)^run -d .* -e POSTGRES_PASSWORD .* -p 127\.0\.0\.1:\d+:5432 .* postgres:18-alpine .*-c jit=on`, said)
	require.NotContains(t, said, password, "arguments are public")
	require.NotContains(t, said, ":/var/lib/postgresql", "no volume outlives it")
	require.Regexp(t, `(?m)^stop -t 0 waybill-pg-\w+$`, said)
	require.Regexp(t, `(?m)^rm -f -v waybill-pg-\w+\n\z`, said)
}

func TestDurableDockerServer(t *testing.T) {
	t.Parallel()
	h, dir := withDocker(t)
	state := t.TempDir()
	opts := Options{Durable: true, Dir: state, Log: io.Discard}

	engine, _, err := h.open(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { stopContainer(dir) })
	first := engine.url()
	_, _, err = h.open(t.Context(), opts)
	require.ErrorContains(t, err, "is in use by process")
	require.NoError(t, engine.remove())

	engine, _, err = h.open(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, first, engine.url(), "port and password stay")
	require.NoError(t, engine.remove())
	said := calls(t, dir)
	require.Contains(t, said, " -v "+filepath.Join(state, "docker-pg-18", "volume")+":/var/lib/postgresql ")
	require.Regexp(t, `(?m)^stop -t 15 waybill-pg-\w+\nrm -f -v`, said)
	require.NotContains(t, said, "fsync=off")
}

func TestDockerPortTakenIsChosenAnew(t *testing.T) {
	t.Parallel()
	h, dir := withDocker(t)
	state := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	home := filepath.Join(state, "docker-pg-18")
	require.NoError(t, os.Mkdir(home, 0o700))
	require.NoError(t, saveAddress(home, listener.Addr().(*net.TCPAddr).Port, "secret"))

	engine, _, err := h.open(t.Context(), Options{Durable: true, Dir: state, Log: io.Discard})

	require.NoError(t, err)
	t.Cleanup(func() { stopContainer(dir) })
	saved, password, err := loadAddress(t.Context(), home, true)
	require.NoError(t, err)
	require.Equal(t, engine.url(), loopbackURL(saved, password))
	require.Equal(t, 2, strings.Count(calls(t, dir), "run -d"))
	require.NoError(t, engine.remove())
}

func TestDockerThatDoesNotAnswerIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	writeScript(t, filepath.Join(dir, "docker"), "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
	h := nowhere()
	h.lookPath = lookIn(dir)

	_, _, err := h.open(t.Context(), Options{})

	require.ErrorContains(t, err, "docker:   the Docker daemon does not answer")
	require.ErrorContains(t, err, "download:")
}

func TestDockerRunFailure(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	writeScript(t, filepath.Join(dir, "docker"), `[ "$1" = run ] || exit 0; echo 'no matching manifest' >&2; exit 125`)
	h := nowhere()
	h.lookPath = lookIn(dir)

	_, _, err := h.open(t.Context(), Options{Log: io.Discard})

	require.ErrorContains(t, err, "source docker: docker run postgres:18-alpine: exit status 125\nno matching manifest")
}

func TestContainerThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	writeScript(t, filepath.Join(dir, "docker"),
		`case $1 in inspect) echo false ;; logs) echo 'initdb: out of space' ;; esac`)
	h := nowhere()
	h.lookPath = lookIn(dir)

	_, _, err := h.open(t.Context(), Options{Log: io.Discard})

	require.ErrorContains(t, err, "has ended\ninitdb: out of space")
}
