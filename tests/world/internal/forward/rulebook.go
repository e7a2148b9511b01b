package forward

import (
	"strconv"
	"sync"
	"time"
)

// ruleBook holds the armed rules in the order in which they were armed.
type ruleBook struct {
	mu    sync.Mutex
	last  int
	rules []*rule
}

// arm adds a rule and gives it its id.
func (b *ruleBook) arm(r *rule) ruleView {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	r.id = "r" + strconv.Itoa(b.last)
	b.rules = append(b.rules, r)
	return r.view()
}

// concerns says whether any rule could catch a request of this target.
func (b *ruleBook) concerns(target string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rules {
		if r.spec.Target == anyTarget || r.spec.Target == target {
			return true
		}
	}
	return false
}

// take shows a request to the rules, oldest first, and answers the hit of the first that is due, or nil. A request is affected
// by one rule at most, and rules armed after that one do not count it: so two rules for the same line take turns.
func (b *ruleBook) take(target, line string) *hit {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rules {
		if r.spec.Target != anyTarget && r.spec.Target != target || !r.match.MatchString(line) {
			continue
		}
		r.seen++
		if r.seen >= r.nth && (r.times == 0 || r.taken < r.times) {
			r.taken++
			return &hit{book: b, rule: r, target: target, line: line}
		}
	}
	return nil
}

// view answers one rule, and a channel that is closed when it changes or is deleted.
func (b *ruleBook) view(id string) (ruleView, <-chan struct{}, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rules {
		if r.id == id {
			return r.view(), r.changed, true
		}
	}
	return ruleView{}, nil, false
}

func (b *ruleBook) views() []ruleView {
	b.mu.Lock()
	defer b.mu.Unlock()
	views := make([]ruleView, 0, len(b.rules))
	for _, r := range b.rules {
		views = append(views, r.view())
	}
	return views
}

// disarm deletes the rule of that id, or every rule when id is empty, and releases what they hold.
func (b *ruleBook) disarm(id string) []ruleView {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone, kept := []ruleView{}, []*rule(nil)
	for _, r := range b.rules {
		if id != "" && r.id != id {
			kept = append(kept, r)
			continue
		}
		gone = append(gone, r.view())
		close(r.released)
		close(r.changed)
	}
	b.rules = kept
	return gone
}

// hit is one request that a rule caught. Nil is a request that passes untouched.
type hit struct {
	book         *ruleBook
	rule         *rule
	target, line string
	settled      bool
}

func (h *hit) action() string {
	if h == nil {
		return ""
	}
	return h.rule.spec.Action
}

// fire records that the request was affected. For a request that is passed on this is when its reply arrives, because only
// then is the effect certain.
func (h *hit) fire() {
	h.book.mu.Lock()
	defer h.book.mu.Unlock()
	r := h.rule
	h.settled = true
	r.fired++
	r.lastLine, r.lastTarget = h.line, h.target
	select {
	case <-r.released: // changed is closed already
	default:
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// giveBack undoes the catch of a request that never got its reply, so that the rule waits for the next one. It does nothing
// after fire, and nothing on nil.
func (h *hit) giveBack() {
	if h == nil {
		return
	}
	h.book.mu.Lock()
	defer h.book.mu.Unlock()
	if !h.settled {
		h.settled = true
		h.rule.taken--
	}
}

// wait returns true when the rule is deleted or its delay is over, and false when the client is gone. Without a delay only
// the deletion ends it.
func (h *hit) wait(gone <-chan struct{}) bool {
	h.held(+1)
	defer h.held(-1)
	var late <-chan time.Time
	if h.rule.delay > 0 {
		t := time.NewTimer(h.rule.delay)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-late:
		return true
	case <-h.rule.released:
		return true
	case <-gone:
		return false
	}
}

// pause waits for the rule's delay if it has one.
func (h *hit) pause(gone <-chan struct{}) bool {
	return h.rule.delay == 0 || h.wait(gone)
}

func (h *hit) held(by int) {
	h.book.mu.Lock()
	defer h.book.mu.Unlock()
	h.rule.held += by
}
