package forward

import (
	"sync"
	"time"
)

const (
	// requestsKept is how many request lines are remembered.
	requestsKept = 10_000
	// lineKept is how much of a line is remembered; rules match the whole.
	lineKept = 2_000
)

// seenRequest is one remembered request.
type seenRequest struct {
	N       int       `json:"n"`
	Time    time.Time `json:"time"`
	Target  string    `json:"target"`
	Request string    `json:"request"`
	// Action is what a rule did to it, if one did.
	Action string `json:"action,omitempty"`
}

// requestLog remembers the last request lines, numbered from 1.
type requestLog struct {
	mu   sync.Mutex
	last int
	ring [requestsKept]seenRequest
}

func (l *requestLog) add(target, line, action string) {
	if len(line) > lineKept {
		line = line[:lineKept] + "..."
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.ring[l.last%requestsKept] = seenRequest{N: l.last, Time: time.Now().UTC(), Target: target, Request: line, Action: action}
}

// requestList is what /requests answers.
type requestList struct {
	Requests []seenRequest `json:"requests"`
	// Next is the number to ask from the next time.
	Next int `json:"next"`
	// Lost counts the requests from `since` on, of any target, that are no longer remembered.
	Lost int `json:"lost"`
}

// from answers the requests numbered since or later that keep accepts.
func (l *requestLog) from(since int, keep func(seenRequest) bool) requestList {
	l.mu.Lock()
	defer l.mu.Unlock()
	since = max(since, 1)
	oldest := max(1, l.last-requestsKept+1)
	list := requestList{Requests: []seenRequest{}, Next: l.last + 1, Lost: max(0, min(oldest, l.last+1)-since)}
	for n := max(since, oldest); n <= l.last; n++ {
		if r := l.ring[n%requestsKept]; keep(r) {
			list.Requests = append(list.Requests, r)
		}
	}
	return list
}
