package forward

import "sync"

// command is one that the server has been sent and that it will answer.
type command struct {
	kind byte
	// text is what COM_STMT_PREPARE prepares.
	text string
	hit  *hit
	// first is the number that the reply's first packet will carry, or -1 when the command came in several packets.
	first int
}

// replies matches what the server sends with the commands that the client sent, which may be several at once. It also keeps
// what the answers tell: the prepared statements, and that the server wants a file.
type replies struct {
	mu      sync.Mutex
	pending []command
	// last is the number of the server's last packet, or -1 when the next one cannot continue a reply.
	last     int
	prepared map[uint32]string
	latest   string
	infile   bool
}

func newReplies() *replies { return &replies{last: -1, prepared: map[uint32]string{}} }

// expect notes a command before it is sent.
func (r *replies) expect(c command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) == 0 {
		r.last = -1
	}
	r.pending = append(r.pending, c)
	if c.kind == comPrepare {
		r.latest = c.text
	}
}

// packet tells of a packet from the server, of which head is the beginning, and answers the command whose reply begins with it.
func (r *replies) packet(seq byte, head []byte) (command, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	continues := r.last >= 0 && seq == byte(r.last+1)
	if len(r.pending) == 0 || continues || isProgress(head) || r.pending[0].first >= 0 && int(seq) != r.pending[0].first {
		r.last = int(seq)
		return command{}, false
	}
	c := r.pending[0]
	r.pending = r.pending[1:]
	r.last = int(seq)
	switch {
	case c.kind == comPrepare && len(head) > 0 && head[0] == 0:
		if id, ok := statementID(head); ok {
			r.prepared[id] = c.text
		}
	case c.kind == comQuery && len(head) > 0 && head[0] == infileRequested:
		r.infile = true
	}
	return c, true
}

// statement is the text that was prepared under an id.
func (r *replies) statement(id uint32) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == lastPreparedID {
		return r.latest
	}
	return r.prepared[id]
}

func (r *replies) forget(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.prepared, id)
}

// sendsFile says whether a packet from the client is part of a file. An empty one ends the file.
func (r *replies) sendsFile(length int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	sends := r.infile
	r.infile = r.infile && length > 0
	return sends
}

// abandon gives back what never got its reply.
func (r *replies) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.pending {
		c.hit.giveBack()
	}
	r.pending = nil
}
