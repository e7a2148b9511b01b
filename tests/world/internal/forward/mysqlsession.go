package forward

import (
	"bufio"
	"io"
	"net"
	"sync"
)

// bufferSize holds a few packets; longer ones pass through.
const bufferSize = 32 << 10

// session is a connection whose statements are read: TLS ends here on both sides.
type session struct {
	f      *forwarder
	point  *point
	raw    *conn
	end    func() // closes both raw connections
	client struct {
		r  *bufio.Reader
		mu sync.Mutex // replies and made-up answers both write
		w  *bufio.Writer
	}
	server struct {
		r *bufio.Reader
		w *bufio.Writer
	}
	capabilities uint32
	replies      *replies
	answering    sync.WaitGroup
}

func newSession(f *forwarder, p *point, raw *conn, client, server net.Conn, end func()) *session {
	s := &session{f: f, point: p, raw: raw, end: end, replies: newReplies()}
	s.client.r, s.client.w = bufio.NewReaderSize(client, bufferSize), bufio.NewWriterSize(client, bufferSize)
	s.server.r, s.server.w = bufio.NewReaderSize(server, bufferSize), bufio.NewWriterSize(server, bufferSize)
	return s
}

// run passes packets both ways until either side ends.
func (s *session) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.passReplies()
		s.end()
	}()
	s.passCommands()
	s.end()
	<-done
	s.answering.Wait()
	s.replies.abandon()
}

// passCommands passes what the client sends. A packet numbered 0 begins a command; all others continue a login, a long command
// or a file.
func (s *session) passCommands() error {
	continues := false
	for {
		h, err := readHeader(s.client.r)
		if err != nil {
			return err
		}
		file := s.replies.sendsFile(h.length())
		if continues || h.seq() != 0 || file {
			s.server.w.Write(h[:])
			_, err = io.CopyN(s.server.w, s.client.r, int64(h.length()))
		} else {
			h, err = s.passCommand(h)
		}
		if err != nil {
			return err
		}
		continues = h.length() == packetMax
		if s.client.r.Buffered() == 0 {
			if err := s.server.w.Flush(); err != nil {
				return err
			}
		}
	}
}

// passCommand shows a command to the rules and passes it on, or not. The first packet of a long one is enough to judge it. It
// answers the header of the last packet that it read.
func (s *session) passCommand(h header) (header, error) {
	payload := make([]byte, h.length())
	if _, err := io.ReadFull(s.client.r, payload); err != nil {
		return h, err
	}
	c, request, line := s.read(h, payload)
	if request {
		s.raw.begin(line)
		c.hit = s.f.begin(s.point, line)
	}
	switch c.hit.action() {
	case actionRefuse:
		c.hit.fire()
		return h, errDropped
	case actionBlackhole:
		c.hit.fire()
		return h, s.swallow(c.hit)
	case actionAnswer:
		return s.answer(c.hit, h)
	}
	if len(payload) > 0 && hasReply(c.kind) {
		s.replies.expect(c)
	}
	return h, writePacket(s.server.w, h, payload)
}

// read tells what a command is and, if it is a request, its line. Preparing a statement has no effect, so that only executing
// one is a request.
func (s *session) read(h header, payload []byte) (c command, request bool, line string) {
	c.first = 1
	if h.length() == packetMax {
		c.first = -1
	}
	if len(payload) == 0 {
		return c, false, ""
	}
	c.kind = payload[0]
	switch c.kind {
	case comQuery:
		return c, true, queryText(payload, s.capabilities)
	case comPrepare:
		c.text = oneLine(payload[1:])
	case comExecute, comBulkExecute:
		if id, ok := statementID(payload); ok {
			return c, true, s.replies.statement(id)
		}
	case comCloseStmt:
		if id, ok := statementID(payload); ok {
			s.replies.forget(id)
		}
	}
	return c, false, ""
}

// swallow reads on without passing anything, until the client leaves or the rule is deleted.
func (s *session) swallow(h *hit) error {
	gone := make(chan struct{})
	s.answering.Add(1)
	go func() {
		defer s.answering.Done()
		defer close(gone)
		io.Copy(io.Discard, s.client.r)
	}()
	h.wait(gone)
	return errDropped
}

// answer replies with an error in the server's place. It does so beside the reading of commands, which notices a client that
// leaves in the meantime.
func (s *session) answer(hit *hit, h header) (header, error) {
	for h.length() == packetMax { // the rest of a long command
		var err error
		if h, err = readHeader(s.client.r); err == nil {
			_, err = io.CopyN(io.Discard, s.client.r, int64(h.length()))
		}
		if err != nil {
			return h, err
		}
	}
	hit.fire()
	s.answering.Add(1)
	go func() {
		defer s.answering.Done()
		if !hit.pause(s.raw.closed) {
			return
		}
		s.client.mu.Lock()
		defer s.client.mu.Unlock()
		payload := errorPacket(hit.rule.spec, false)
		if writePacket(s.client.w, newHeader(len(payload), h.seq()+1), payload) == nil {
			s.client.w.Flush()
		}
		s.raw.end()
	}()
	return h, nil
}

// passReplies passes what the server sends, and does what a rule wants when the reply to a caught request begins.
func (s *session) passReplies() error {
	for {
		if s.server.r.Buffered() == 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
		head, err := s.server.r.Peek(headerSize)
		if err != nil {
			return err
		}
		h := header(head)
		// Enough of the payload for a statement's id.
		if head, err = s.server.r.Peek(headerSize + min(h.length(), 5)); err != nil {
			return err
		}
		if c, begins := s.replies.packet(h.seq(), head[headerSize:]); begins {
			if err := s.effective(c.hit); err != nil {
				return err
			}
			s.raw.end()
		}
		if err := s.pass(int64(headerSize + h.length())); err != nil {
			return err
		}
	}
}

// effective is called when the reply to a request begins: the effect is done.
func (s *session) effective(h *hit) error {
	if h == nil {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	h.fire()
	switch h.action() {
	case actionHold, actionDelay:
		if !h.wait(s.raw.closed) {
			return errAbandoned
		}
	case actionDrop:
		h.pause(s.raw.closed)
		return errDropped
	}
	return nil
}

func (s *session) pass(n int64) error {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	_, err := io.CopyN(s.client.w, s.server.r, n)
	return err
}

func (s *session) flush() error {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.client.w.Flush()
}
