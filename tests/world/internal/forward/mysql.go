package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// lineConnect is the request line of a database connection, before anything is said on it.
const lineConnect = "CONNECT"

// database is a mysql target at work.
type database struct {
	f              *forwarder
	point          *point
	server, client *tls.Config
}

// mysql serves a database. Until a rule concerns it, its connections are passed through byte by byte.
func (f *forwarder) mysql(p *point, l net.Listener) (func(), error) {
	d := &database{f: f, point: p}
	var err error
	if d.server, err = p.serverTLS(); err != nil {
		return nil, err
	}
	if d.client, err = p.clientTLS(); err != nil {
		return nil, err
	}
	return func() {
		var connections sync.WaitGroup
		defer connections.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					f.fail(p.Name, err)
				}
				return
			}
			connections.Add(1)
			go func() {
				defer connections.Done()
				d.connection(c.(*conn))
			}()
		}
	}, nil
}

func (d *database) connection(client *conn) {
	defer client.Close()
	// Whether statements are read is decided here, once: in the middle of a TLS stream it is too late.
	inspected := d.point.Terminate || d.f.rules.concerns(d.point.Name)
	h := d.f.begin(d.point, lineConnect)
	inspected = inspected || h != nil
	defer h.giveBack()
	switch h.action() {
	case actionRefuse:
		h.fire()
		return
	case actionBlackhole:
		h.fire()
		waitBeside(client, h.wait)
		return
	case actionAnswer:
		h.fire()
		if waitBeside(client, h.pause) {
			payload := errorPacket(h.rule.spec, true)
			writePacket(client, newHeader(len(payload), 0), payload)
		}
		return
	}

	server, err := dial(client, d.point.Upstream)
	if err != nil {
		d.f.printf("%s: %v\n", d.point.Name, err)
		return
	}
	end := func() { client.Close(); server.Close() }
	defer end()
	// Whatever closes the client's side, a test's /close too, closes the server's.
	stop := afterClose(client, func() { server.Close() })
	defer stop()
	if !inspected {
		relay(client, server, end)
		return
	}
	if err := d.inspect(h, client, server, end); err != nil && !endings(err) {
		d.f.printf("%s: %v\n", d.point.Name, err)
	}
}

// inspect passes the beginning of a connection until both sides speak TLS, then reads the statements. What it cannot read, a
// login without TLS above all, passes as bytes.
func (d *database) inspect(connect *hit, client *conn, server net.Conn, end func()) error {
	h, payload, err := readPacket(server, greetingMax)
	if err != nil {
		return err
	}
	if connect != nil {
		connect.fire()
		switch connect.action() {
		case actionHold, actionDelay:
			if !waitBeside(client, connect.wait) {
				return nil
			}
		case actionDrop:
			waitBeside(client, connect.pause)
			return nil
		}
	}
	greeting, greetingErr := parseGreeting(payload)
	if greetingErr == nil {
		greeting.withoutCompression()
	}
	if err := writePacket(client, h, payload); err != nil {
		return err
	}
	if greetingErr != nil {
		relay(client, server, end)
		if isError(payload) { // the server's refusal, passed on
			return nil
		}
		return greetingErr
	}

	h, payload, err = readPacket(client, greetingMax)
	if err != nil {
		return err
	}
	if err := writePacket(server, h, payload); err != nil {
		return err
	}
	if !asksForTLS(payload) {
		relay(client, server, end)
		return nil
	}
	up, down := tls.Client(server, d.client), tls.Server(client, d.server)
	for _, side := range []*tls.Conn{up, down} {
		if err := side.Handshake(); err != nil {
			return err
		}
	}
	h, payload, err = readPacket(down, packetMax)
	if err != nil {
		return err
	}
	if err := writePacket(up, h, payload); err != nil {
		return err
	}
	s := newSession(d.f, d.point, client, down, up, end)
	s.capabilities = loginCapabilities(payload) & greeting.capabilities()
	s.run()
	return nil
}

// endings are the errors of connections that just end.
func endings(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// dial connects to the server, and gives up when the client does not wait for it.
func dial(client *conn, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	stop := afterClose(client, cancel)
	defer stop()
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// afterClose runs f once the connection is closed, unless the answered function is called before. That function returns when
// f can no longer be running.
func afterClose(c *conn, f func()) (stop func()) {
	enough, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-c.closed:
			f()
		case <-enough:
		}
	}()
	return func() { close(enough); <-done }
}

// waitBeside runs wait while it watches whether the client leaves. It is for the time before the greeting, when a client has
// nothing to say: one that speaks counts as gone.
func waitBeside(client *conn, wait func(gone <-chan struct{}) bool) bool {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		client.Read(make([]byte, 1))
	}()
	stayed := wait(gone)
	client.SetReadDeadline(time.Unix(1, 0)) // ends the read
	<-gone
	client.SetReadDeadline(time.Time{})
	return stayed
}

// relay passes bytes both ways until either side ends, then ends both.
func relay(client, server net.Conn, end func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, client)
		end()
	}()
	io.Copy(client, server)
	end()
	<-done
}
