package forward

import (
	"net"
	"regexp"
	"sync"
)

// gate stops the bytes of a target while it is paused, as a network partition would: nothing is passed, nothing is closed.
type gate struct {
	mu sync.Mutex
	// all stops the connections, lines only the replies to the requests that match.
	all     bool
	lines   []*regexp.Regexp
	resumed chan struct{}
}

// pause stops everything, or with a pattern the replies to matching requests.
func (g *gate) pause(match *regexp.Regexp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resumed == nil {
		g.resumed = make(chan struct{})
	}
	if match == nil {
		g.all = true
	} else {
		g.lines = append(g.lines, match)
	}
}

// resume lets everything go on.
func (g *gate) resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resumed != nil {
		close(g.resumed)
	}
	g.all, g.lines, g.resumed = false, nil, nil
}

func (g *gate) paused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.resumed != nil
}

// passConn returns when a connection's bytes may pass; it fails when the connection is closed first.
func (g *gate) passConn(closed <-chan struct{}) error {
	return g.pass(closed, func() bool { return g.all })
}

// passLine is passConn for the reply to one request.
func (g *gate) passLine(line string, closed <-chan struct{}) error {
	return g.pass(closed, func() bool {
		for _, m := range g.lines {
			if m.MatchString(line) {
				return true
			}
		}
		return false
	})
}

func (g *gate) pass(closed <-chan struct{}, stopped func() bool) error {
	for {
		g.mu.Lock()
		resumed, stop := g.resumed, g.resumed != nil && stopped()
		g.mu.Unlock()
		if !stop {
			return nil
		}
		select {
		case <-resumed:
		case <-closed:
			return net.ErrClosed
		}
	}
}
