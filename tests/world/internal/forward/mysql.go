package forward

import (
	"errors"
	"io"
	"net"
	"sync"
)

// mysql serves a database. Until a rule concerns it, its connections are passed through byte by byte.
func (f *forwarder) mysql(p *point, l net.Listener) (func(), error) {
	var sessions sync.WaitGroup
	return func() {
		defer sessions.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					f.fail(p.Name, err)
				}
				return
			}
			sessions.Add(1)
			go func() {
				defer sessions.Done()
				f.connection(p, c.(*conn))
			}()
		}
	}, nil
}

func (f *forwarder) connection(p *point, client *conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", p.Upstream, dialTimeout)
	if err != nil {
		f.printf("%s: %v\n", p.Name, err)
		return
	}
	defer server.Close()
	relay(client, server)
}

// relay passes bytes both ways until either side ends, then ends both.
func relay(client, server net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(server, client)
		server.Close()
		client.Close()
	}()
	io.Copy(client, server)
	client.Close()
	server.Close()
	<-done
}
