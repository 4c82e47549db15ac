package link_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/chaos/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers what it hears, and tells what it heard when the connection ends.
func echo(t *testing.T) (address string, heard chan string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	heard = make(chan string, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var all []byte
			buffer := make([]byte, 1024)
			for {
				n, err := conn.Read(buffer)
				all = append(all, buffer[:n]...)
				if _, writeErr := conn.Write(buffer[:n]); err != nil || writeErr != nil {
					break
				}
			}
			_ = conn.Close()
			heard <- string(all)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String(), heard
}

func open(t *testing.T, address string, onCommit func() link.Cut) (*link.Link, net.Conn) {
	t.Helper()
	l, err := link.Open(context.Background(), "tcp", address, onCommit)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return l, conn
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

func hear(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	got := make([]byte, len(text))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

const commit = "Q\x00\x00\x00\x0bcommit\x00"

func TestWhatGoesInComesOut(t *testing.T) {
	t.Parallel()
	address, _ := echo(t)
	_, conn := open(t, address, func() link.Cut { return link.None })
	say(t, conn, "hello "+commit)
	hear(t, conn, "hello "+commit)
}

func TestAFrozenLinkIsOpenAndSilent(t *testing.T) {
	t.Parallel()
	address, _ := echo(t)
	l, conn := open(t, address, nil)
	l.Freeze()
	l.Freeze()
	say(t, conn, "hello")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := conn.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())

	l.Thaw()
	l.Thaw()
	hear(t, conn, "hello")
}

func TestCutEndsEveryConnection(t *testing.T) {
	t.Parallel()
	address, heard := echo(t)
	l, conn := open(t, address, nil)
	say(t, conn, "hello")
	hear(t, conn, "hello")
	l.Cut()
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.Equal(t, "hello", <-heard)
}

func TestACommitIsCutBeforeOrAfterTheServerSeesIt(t *testing.T) {
	t.Parallel()
	for cut, want := range map[link.Cut]string{link.Before: "begin", link.After: "begin" + commit} {
		address, heard := echo(t)
		_, conn := open(t, address, func() link.Cut { return cut })
		say(t, conn, "begin")
		hear(t, conn, "begin")
		say(t, conn, commit)
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err, "the client hears nothing")
		require.Equal(t, want, <-heard)
	}
}
