package forward

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"
)

// anyTarget in a rule means every target; its matches are counted across them.
const anyTarget = "*"

// What a rule does to the request that it catches.
const (
	// actionHold lets the request take effect and keeps the reply back until the rule is deleted.
	actionHold = "hold"
	// actionDrop lets the request take effect and closes the connection instead of replying.
	actionDrop = "drop"
	// actionDelay lets the request take effect and replies late.
	actionDelay = "delay"
	// actionRefuse closes the connection before the request is passed on.
	actionRefuse = "refuse"
	// actionBlackhole swallows the request: it is not passed on and nothing answers.
	actionBlackhole = "blackhole"
	// actionAnswer answers in the server's place; the request is not passed on.
	actionAnswer = "answer"
	// actionObserve changes nothing; the rule only tells that the request took effect.
	actionObserve = "observe"
)

// ruleSpec is a rule as a test writes it.
type ruleSpec struct {
	Target string `json:"target"`
	Match  string `json:"match"`
	// Nth is the first match that is affected, Times how many from there on (0 for all). Both are 1 when absent.
	Nth    *int   `json:"nth,omitempty"`
	Times  *int   `json:"times,omitempty"`
	Action string `json:"action"`
	// Delay is how late the reply comes (delay), or the end of the connection (drop), or the made-up answer (answer).
	Delay string `json:"delay,omitempty"`
	// Status is an HTTP status, or MySQL's error number when the target is a database.
	Status int `json:"status,omitempty"`
	// RetryAfter is the header of that name.
	RetryAfter string `json:"retryAfter,omitempty"`
	// Body is the answer's body, or MySQL's error message.
	Body string `json:"body,omitempty"`
	// SQLState goes with MySQL's error number; HY000 when absent.
	SQLState string `json:"sqlState,omitempty"`
}

// ruleView is a rule as the control endpoint shows it.
type ruleView struct {
	ID    string `json:"id"`
	State string `json:"state"`
	// Fired counts the requests that were affected, Held those whose client still waits.
	Fired int `json:"fired"`
	Held  int `json:"held"`
	// Seen counts the matches, affected or not.
	Seen int `json:"seen"`
	// Request and Target tell of the last affected request.
	Request string   `json:"request,omitempty"`
	Target  string   `json:"target,omitempty"`
	Rule    ruleSpec `json:"rule"`
}

// rule is an armed rule. Its counters are guarded by the ruleBook that holds it.
type rule struct {
	id    string
	spec  ruleSpec
	match *regexp.Regexp
	nth   int
	times int
	delay time.Duration

	seen, taken, fired, held int
	lastLine, lastTarget     string

	// changed is closed and replaced whenever fired grows; released is closed when the rule is deleted.
	changed  chan struct{}
	released chan struct{}
}

// newRule parses once, so that nothing can be wrong with a rule when a request meets it.
func newRule(spec ruleSpec) (*rule, error) {
	r := &rule{spec: spec, nth: 1, times: 1, changed: make(chan struct{}), released: make(chan struct{})}
	var err error
	if r.match, err = regexp.Compile(spec.Match); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	if spec.Nth != nil {
		r.nth = *spec.Nth
	}
	if spec.Times != nil {
		r.times = *spec.Times
	}
	if r.nth < 1 || r.times < 0 {
		return nil, errors.New("nth counts from 1, and times must not be negative")
	}
	if spec.Delay != "" {
		if r.delay, err = time.ParseDuration(spec.Delay); err != nil || r.delay <= 0 {
			return nil, fmt.Errorf("delay: %q is not a positive duration such as 30s", spec.Delay)
		}
		if r.spec.Action == "" {
			r.spec.Action = actionDelay
		}
	}
	return r, r.checkAction()
}

func (r *rule) checkAction() error {
	s := r.spec
	switch s.Action {
	case actionHold, actionRefuse, actionBlackhole, actionObserve:
		if r.delay > 0 {
			return fmt.Errorf("delay means nothing to %s", s.Action)
		}
	case actionDrop, actionAnswer:
	case actionDelay:
		if r.delay == 0 {
			return errors.New("delay needs a duration such as \"delay\":\"30s\"")
		}
	default:
		return fmt.Errorf("action %q is not one of hold, drop, delay, refuse, blackhole, answer, observe", s.Action)
	}
	if (s.Action == actionAnswer) != (s.Status != 0) {
		return errors.New("status goes with the action answer, and only with it")
	}
	if s.Action != actionAnswer && (s.Body != "" || s.RetryAfter != "" || s.SQLState != "") {
		return errors.New("body, retryAfter and sqlState go with the action answer")
	}
	if s.SQLState != "" && len(s.SQLState) != 5 {
		return errors.New("sqlState has five characters")
	}
	return nil
}

// fits says whether the rule's answer can be spoken by a target of this kind.
func (r *rule) fits(kind string) error {
	s := r.spec
	if s.Action != actionAnswer {
		return nil
	}
	if kind == KindMySQL {
		if s.Status < 1 || s.Status > 0xffff || s.RetryAfter != "" {
			return errors.New("a database answers with an error number from 1 to 65535 and knows no retryAfter")
		}
		return nil
	}
	if s.Status < 200 || s.Status > 599 || http.StatusText(s.Status) == "" || s.SQLState != "" {
		return errors.New("an HTTP answer needs a known status from 200 to 599 and has no sqlState")
	}
	return nil
}

func (r *rule) view() ruleView {
	state := "armed"
	if r.fired > 0 {
		state = "fired"
	}
	return ruleView{ID: r.id, State: state, Fired: r.fired, Held: r.held, Seen: r.seen,
		Request: r.lastLine, Target: r.lastTarget, Rule: r.spec}
}
