package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// longestWait bounds a long poll, so that a forgotten one ends.
const longestWait = 10 * time.Minute

// openControl listens for the requests that arm rules.
func (f *forwarder) openControl(address string) (func(), error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	server := &http.Server{Handler: f.control()}
	f.stops = append(f.stops, func() { server.Close() })
	f.printf("control: http %s\n", l.Addr())
	return func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.fail("control", err)
		}
	}, nil
}

func (f *forwarder) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rules", f.postRule)
	mux.HandleFunc("GET /rules", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, f.rules.views()) })
	mux.HandleFunc("GET /rules/{id}", f.getRule)
	mux.HandleFunc("DELETE /rules", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, f.rules.disarm("")) })
	mux.HandleFunc("DELETE /rules/{id}", f.deleteRule)
	mux.HandleFunc("GET /requests", f.getRequests)
	mux.HandleFunc("GET /targets", f.getTargets)
	mux.HandleFunc("POST /close", f.postClose)
	mux.HandleFunc("POST /pause", f.postPause)
	mux.HandleFunc("POST /resume", f.postResume)
	return mux
}

func (f *forwarder) postRule(w http.ResponseWriter, r *http.Request) {
	var spec ruleSpec
	if err := hear(r, &spec); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	points, err := f.named(spec.Target)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	rule, err := newRule(spec)
	for _, p := range points {
		if err == nil {
			err = rule.fits(p.Kind)
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	say(w, http.StatusCreated, f.rules.arm(rule))
}

// getRule answers at once, or with ?wait= as soon as the rule has fired (?fired= times) or the wait is over.
func (f *forwarder) getRule(w http.ResponseWriter, r *http.Request) {
	wait, want := time.Duration(0), 1
	var err error
	if s := r.FormValue("wait"); s != "" {
		if wait, err = time.ParseDuration(s); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("wait: %w", err))
			return
		}
	}
	if s := r.FormValue("fired"); s != "" {
		if want, err = strconv.Atoi(s); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("fired: %w", err))
			return
		}
	}
	late := time.NewTimer(min(wait, longestWait))
	defer late.Stop()
	for {
		view, changed, found := f.rules.view(r.PathValue("id"))
		if !found {
			refuse(w, http.StatusNotFound, errors.New("no such rule"))
			return
		}
		if view.Fired >= want || wait == 0 {
			say(w, http.StatusOK, view)
			return
		}
		select {
		case <-changed:
		case <-late.C:
			wait = 0
		case <-r.Context().Done():
			return
		}
	}
}

func (f *forwarder) deleteRule(w http.ResponseWriter, r *http.Request) {
	gone := f.rules.disarm(r.PathValue("id"))
	if len(gone) == 0 {
		refuse(w, http.StatusNotFound, errors.New("no such rule"))
		return
	}
	say(w, http.StatusOK, gone[0])
}

func (f *forwarder) getRequests(w http.ResponseWriter, r *http.Request) {
	target := r.FormValue("target")
	if target == "" {
		target = anyTarget
	}
	if _, err := f.named(target); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	match, err := regexp.Compile(r.FormValue("match"))
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("match: %w", err))
		return
	}
	since := 0
	if s := r.FormValue("since"); s != "" {
		if since, err = strconv.Atoi(s); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("since: %w", err))
			return
		}
	}
	say(w, http.StatusOK, f.seen.from(since, func(s seenRequest) bool {
		return (target == anyTarget || s.Target == target) && match.MatchString(s.Request)
	}))
}

// targetView is a target as the control endpoint shows it.
type targetView struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	Listen      string `json:"listen"`
	Upstream    string `json:"upstream"`
	Connections int    `json:"connections"`
	Paused      bool   `json:"paused"`
}

func (f *forwarder) getTargets(w http.ResponseWriter, _ *http.Request) {
	views := []targetView{}
	for _, p := range f.points {
		views = append(views, targetView{p.Name, p.Kind, p.Listen, p.Upstream, len(p.open()), p.gate.paused()})
	}
	say(w, http.StatusOK, views)
}

// which is the body of /close, /pause and /resume.
type which struct {
	Target string `json:"target"`
	Match  string `json:"match,omitempty"`
}

func (f *forwarder) postClose(w http.ResponseWriter, r *http.Request) {
	points, match, err := f.chosen(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	closed := 0
	for _, p := range points {
		closed += p.closeConns(match)
	}
	say(w, http.StatusOK, map[string]int{"closed": closed})
}

func (f *forwarder) postPause(w http.ResponseWriter, r *http.Request) {
	points, match, err := f.chosen(r)
	for _, p := range points {
		if match != nil && p.Kind == KindMySQL {
			err = errors.New("a database can only be paused as a whole")
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	for _, p := range points {
		p.gate.pause(match)
	}
	say(w, http.StatusOK, map[string]bool{"paused": true})
}

func (f *forwarder) postResume(w http.ResponseWriter, r *http.Request) {
	points, match, err := f.chosen(r)
	if match != nil {
		err = errors.New("resume takes no match")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	for _, p := range points {
		p.gate.resume()
	}
	say(w, http.StatusOK, map[string]bool{"paused": false})
}

// chosen reads a body that names a target and perhaps a pattern for its requests.
func (f *forwarder) chosen(r *http.Request) ([]*point, *regexp.Regexp, error) {
	var body which
	if err := hear(r, &body); err != nil {
		return nil, nil, err
	}
	points, err := f.named(body.Target)
	if err != nil || body.Match == "" {
		return points, nil, err
	}
	match, err := regexp.Compile(body.Match)
	if err != nil {
		return nil, nil, fmt.Errorf("match: %w", err)
	}
	return points, match, nil
}

// named answers the targets of that name, which may be `*`.
func (f *forwarder) named(name string) ([]*point, error) {
	if name == anyTarget {
		return f.points, nil
	}
	var points []*point
	for _, p := range f.points {
		if p.Name == name {
			points = append(points, p)
		}
	}
	if points == nil {
		return nil, fmt.Errorf("no target %q", name)
	}
	return points, nil
}

// hear reads a body strictly: a misspelt field would arm a rule that the test did not mean.
func hear(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return nil
}

func say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, err error) {
	say(w, status, map[string]string{"error": err.Error()})
}
