package forward

import (
	"errors"
	"net"
	"os"
	"regexp"
	"sync"
)

// point is a target at work: where it listens, who is connected, whether it is paused.
type point struct {
	Target
	gate gate

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// listener hands out connections that the point can count, pause and close.
type listener struct {
	net.Listener
	point *point
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.point.adopt(c), nil
}

func (p *point) adopt(inner net.Conn) *conn {
	c := &conn{Conn: inner, point: p, closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		p.conns = map[*conn]struct{}{}
	}
	p.conns[c] = struct{}{}
	return c
}

func (p *point) open() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*conn, 0, len(p.conns))
	for c := range p.conns {
		all = append(all, c)
	}
	return all
}

// closeConns ends the clients' connections: all, or with a pattern those whose current request matches. It answers how many.
func (p *point) closeConns(match *regexp.Regexp) int {
	n := 0
	for _, c := range p.open() {
		if line, busy := c.current(); match == nil || busy && match.MatchString(line) {
			c.Close()
			n++
		}
	}
	return n
}

// conn is a client's connection to a point. It sits below TLS, so that a pause stops handshakes too.
type conn struct {
	net.Conn
	point  *point
	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex
	line string
	busy bool
}

// Read waits while the point is paused, also with bytes that came during the pause. A passed deadline is told at once: it is
// how net/http takes a read back.
func (c *conn) Read(b []byte) (int, error) {
	if err := c.point.gate.passConn(c.closed); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	if gateErr := c.point.gate.passConn(c.closed); gateErr != nil {
		return 0, gateErr
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.point.gate.passConn(c.closed); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.point.mu.Lock()
		delete(c.point.conns, c)
		c.point.mu.Unlock()
	})
	return c.Conn.Close()
}

// begin and end keep the request that the connection is busy with.
func (c *conn) begin(line string) { c.note(line, true) }
func (c *conn) end()              { c.note("", false) }

func (c *conn) note(line string, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line, c.busy = line, busy
}

func (c *conn) current() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.line, c.busy
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
