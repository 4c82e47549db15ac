// Package link is a TCP connection between two processes that can break in the ways a
// network does: cut, frozen half-open, or cut exactly while a COMMIT is under way.
package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Cut is what happens to a connection that is about to carry a COMMIT.
type Cut int

// The cuts.
const (
	None   Cut = iota
	Before     // the server never sees the COMMIT
	After      // the server commits, and nobody hears of it
)

// Link forwards connections to one server. Open starts it, Close ends it.
type Link struct {
	onCommit func() Cut
	listener net.Listener
	dialer   net.Dialer
	served   sync.WaitGroup

	mu               sync.Mutex
	network, address string // of the server
	pairs            map[*pair]struct{}
	thawed           chan struct{} // closed while data may pass
	closed           bool
}

// pair is one connection through the link.
type pair struct{ client, server net.Conn }

func (p *pair) cut() {
	if tcp, ok := p.client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an orderly end
	}
	_ = p.client.Close()
	_ = p.server.Close()
}

// Open listens on a free loopback port and forwards to a server, whose network is tcp
// or unix. onCommit is asked at each COMMIT of a client that speaks Postgres; nil for
// never cutting there.
func Open(ctx context.Context, network, address string, onCommit func() Cut) (*Link, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a link: %w", err)
	}
	thawed := make(chan struct{})
	close(thawed)
	l := &Link{
		network: network, address: address, onCommit: onCommit, listener: listener,
		dialer: net.Dialer{Timeout: dialTimeout},
		pairs:  map[*pair]struct{}{}, thawed: thawed,
	}
	l.served.Go(l.accept)
	return l, nil
}

// Addr is where clients connect, as host:port.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Freeze stops all data, in both directions, and keeps every connection open. New ones
// are accepted and hear nothing either.
func (l *Link) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.thawed:
		l.thawed = make(chan struct{})
	default:
	}
}

// Thaw lets everything pass again that was held back.
func (l *Link) Thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.thawed:
	default:
		close(l.thawed)
	}
}

// Redirect leads new connections to another server, and resets those there are.
func (l *Link) Redirect(network, address string) {
	l.mu.Lock()
	l.network, l.address = network, address
	l.mu.Unlock()
	l.Cut()
}

// Cut resets all connections.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.cut()
	}
}

// Close cuts everything and waits for the link's goroutines.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.listener.Close()
	l.Thaw()
	l.Cut()
	l.served.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.served.Go(func() { l.serve(client) })
	}
}

const dialTimeout = 5 * time.Second

func (l *Link) serve(client net.Conn) {
	l.mu.Lock()
	network, address := l.network, l.address
	l.mu.Unlock()
	server, err := l.dialer.Dial(network, address)
	if err != nil {
		_ = client.Close()
		return
	}
	p := &pair{client, server}
	if !l.add(p) {
		p.cut()
		return
	}
	defer l.remove(p)
	var back sync.WaitGroup
	back.Go(func() {
		l.pump(server, client, nil)
		p.cut()
	})
	l.pump(client, server, l.atCommit(p))
	p.cut()
	back.Wait()
}

func (l *Link) add(p *pair) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.pairs[p] = struct{}{}
	}
	return !l.closed
}

func (l *Link) remove(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, p)
}

// pump copies until one side ends. watch sees each piece before it is passed on and
// says whether to go on after that.
func (l *Link) pump(from, to net.Conn, watch func([]byte) (pass, goOn bool)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.mu.Lock()
			thawed := l.thawed
			l.mu.Unlock()
			<-thawed
			pass, goOn := true, true
			if watch != nil {
				pass, goOn = watch(buffer[:n])
			}
			if pass {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if !goOn {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// commitMessage is COMMIT as pgx sends it: a simple query
// (https://www.postgresql.org/docs/current/protocol-message-formats.html).
var commitMessage = []byte("Q\x00\x00\x00\x0bcommit\x00")

// grace is how long a server has to act on the COMMIT that nobody will hear about.
const grace = 200 * time.Millisecond

func (l *Link) atCommit(p *pair) func([]byte) (pass, goOn bool) {
	if l.onCommit == nil {
		return nil
	}
	return func(piece []byte) (pass, goOn bool) {
		if !bytes.Contains(piece, commitMessage) {
			return true, true
		}
		switch l.onCommit() {
		case Before:
			return false, false
		case After:
			_ = p.client.Close() // the answer finds nobody
			_, _ = p.server.Write(piece)
			time.AfterFunc(grace, func() { _ = p.server.Close() })
			var rest [256]byte
			_, _ = p.server.Read(rest[:]) // until the server has answered
			return false, false
		default:
			return true, true
		}
	}
}
