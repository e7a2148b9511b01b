package forward

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// api is a server behind an http or https forwarder, and a client in front of it.
type api struct {
	*world
	url    string
	client *http.Client
	served atomic.Int64
}

// newAPI puts a handler behind a target; requests that reach it are counted.
func newAPI(t *testing.T, name, kind string, handler http.HandlerFunc) *api {
	t.Helper()
	a := &api{}
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.served.Add(1)
		handler(w, r)
	})
	target := Target{Name: name, Kind: kind}
	transport := &http.Transport{}
	var upstream *httptest.Server
	if kind == KindHTTPS {
		id := newIdentity(t, "kubernetes")
		upstream = httptest.NewUnstartedServer(counted)
		upstream.TLS = &tls.Config{Certificates: []tls.Certificate{id.pair}}
		upstream.StartTLS()
		target.Cert, target.Key, target.UpstreamCA = id.cert, id.key, id.cert
		transport.TLSClientConfig = &tls.Config{RootCAs: id.pool}
	} else {
		upstream = httptest.NewServer(counted)
	}
	t.Cleanup(upstream.Close)
	target.Upstream = upstream.Listener.Addr().String()
	a.world = newWorld(t, target)
	a.url = kind + "://" + a.address(name)
	a.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	return a
}

func (a *api) do(ctx context.Context, method, path, body string, header ...string) (int, string, error) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// expect does a request that must be answered.
func (a *api) expect(method, path, want string) {
	a.t.Helper()
	if status, body, err := a.do(a.t.Context(), method, path, "x"); err != nil || status != http.StatusOK || body != want {
		a.t.Fatalf("%s %s: %d %q %v", method, path, status, body, err)
	}
}

// later does a request in the background.
func (a *api) later(ctx context.Context, method, path string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, _, err := a.do(ctx, method, path, "x")
		done <- err
	}()
	return done
}

func echo(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Method+" "+r.RequestURI) }

func eachKind(t *testing.T, test func(*testing.T, *api)) {
	for _, kind := range []string{KindHTTP, KindHTTPS} {
		t.Run(kind, func(t *testing.T) { test(t, newAPI(t, "apiserver", kind, echo)) })
	}
}

func TestRequestsPassUnchanged(t *testing.T) {
	for _, kind := range []string{KindHTTP, KindHTTPS} {
		t.Run(kind, func(t *testing.T) {
			got := make(chan *http.Request, 1)
			a := newAPI(t, "apiserver", kind, func(w http.ResponseWriter, r *http.Request) {
				got <- r
				io.Copy(w, r.Body)
			})
			_, body, err := a.do(t.Context(), "PUT", "/api/v1/a%2Fb?x=1;2&watch=%20", "the body", "Authorization", "Bearer abc")
			if err != nil || body != "the body" {
				t.Fatal(body, err)
			}
			r := <-got
			if r.RequestURI != "/api/v1/a%2Fb?x=1;2&watch=%20" || r.Header.Get("Authorization") != "Bearer abc" ||
				r.Host != a.address("apiserver") || r.Header.Get("X-Forwarded-For") != "" || r.ProtoMajor != 1 {
				t.Fatalf("%s %s %v", r.RequestURI, r.Host, r.Header)
			}
		})
	}
}

func TestHoldKeepsTheReplyUntilTheRuleIsDeleted(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		rule := a.arm(`{"target":"apiserver","match":"^PUT .*/secrets/","nth":2,"action":"hold"}`)
		a.expect("PUT", "/secrets/one", "PUT /secrets/one")
		a.expect("GET", "/secrets/one", "GET /secrets/one")
		held := a.later(t.Context(), "PUT", "/secrets/two")
		if v := a.fired(rule.ID); v.Request != "PUT /secrets/two" || v.Target != "apiserver" || v.Held != 1 || v.Seen != 2 {
			t.Fatalf("%+v", v)
		}
		if a.served.Load() != 3 {
			t.Fatal("the request did not take effect")
		}
		a.expect("PUT", "/secrets/three", "PUT /secrets/three")
		select {
		case err := <-held:
			t.Fatal("not held", err)
		case <-time.After(50 * time.Millisecond):
		}
		a.disarm(rule.ID)
		if err := <-held; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAHeldConnectionEndsWithItsClient(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		rule := a.arm(`{"target":"*","match":"","action":"hold"}`)
		ctx, cancel := context.WithCancel(t.Context())
		held := a.later(ctx, "PUT", "/x")
		a.fired(rule.ID)
		cancel()
		if <-held == nil {
			t.Fatal("answered")
		}
		eventually(t, "nothing is held", func() bool { return a.rule(rule.ID).Held == 0 })
	})
}

func TestDropTakesEffectAndLosesTheReply(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		rule := a.arm(`{"target":"apiserver","match":"POST","action":"drop","times":2}`)
		for range 2 {
			if err := <-a.later(t.Context(), "POST", "/x"); err == nil {
				t.Fatal("answered")
			}
		}
		a.expect("POST", "/x", "POST /x")
		if v := a.rule(rule.ID); v.Fired != 2 || v.Seen != 3 || a.served.Load() != 3 {
			t.Fatalf("%+v %d", v, a.served.Load())
		}
	})
}

func TestRefuseDoesNotPassTheRequestOn(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		a.arm(`{"target":"apiserver","match":"DELETE","action":"refuse","times":0}`)
		for range 3 {
			if err := <-a.later(t.Context(), "DELETE", "/x"); err == nil {
				t.Fatal("answered")
			}
		}
		a.expect("GET", "/x", "GET /x")
		if a.served.Load() != 1 {
			t.Fatal(a.served.Load())
		}
	})
}

func TestABlackholeNeverAnswers(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		rule := a.arm(`{"target":"apiserver","match":"","action":"blackhole"}`)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := <-a.later(ctx, "PUT", "/x"); ctx.Err() == nil || err == nil {
			t.Fatal("answered", err)
		}
		eventually(t, "nothing is held", func() bool { return a.rule(rule.ID).Held == 0 })
		if a.served.Load() != 0 {
			t.Fatal("passed on")
		}
	})
}

func TestAnswerSpeaksInTheServersPlace(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		a.arm(`{"target":"apiserver","match":"","action":"answer","status":429,"retryAfter":"7","body":"{\"kind\":\"Status\"}"}`)
		r, _ := http.NewRequest("PUT", a.url+"/x", strings.NewReader("x"))
		resp, err := a.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "7" || string(body) != `{"kind":"Status"}` ||
			resp.Header.Get("Content-Type") != "application/json" {
			t.Fatal(resp, string(body))
		}
		a.expect("PUT", "/x", "PUT /x")
		if a.served.Load() != 1 {
			t.Fatal(a.served.Load())
		}
	})
}

func TestDelayAnswersLate(t *testing.T) {
	eachKind(t, func(t *testing.T, a *api) {
		a.arm(`{"target":"apiserver","match":"","delay":"150ms"}`)
		begun := time.Now()
		a.expect("GET", "/x", "GET /x")
		if late := time.Since(begun); late < 150*time.Millisecond {
			t.Fatal(late)
		}
	})
}

func TestRulesForTheSameLineTakeTurns(t *testing.T) {
	a := newAPI(t, "apiserver", KindHTTP, echo)
	first := a.arm(`{"target":"apiserver","match":"PUT","action":"refuse"}`)
	second := a.arm(`{"target":"*","match":"PUT","action":"observe"}`)
	if <-a.later(t.Context(), "PUT", "/1") == nil {
		t.Fatal("answered")
	}
	a.expect("PUT", "/2", "PUT /2")
	if one, two := a.rule(first.ID), a.rule(second.ID); one.Request != "PUT /1" || two.Request != "PUT /2" {
		t.Fatalf("%+v %+v", one, two)
	}
}

func TestARequestWithoutReplyIsGivenBack(t *testing.T) {
	broken := true
	a := newAPI(t, "apiserver", KindHTTP, func(w http.ResponseWriter, r *http.Request) {
		if broken {
			broken = false
			panic(http.ErrAbortHandler)
		}
		echo(w, r)
	})
	rule := a.arm(`{"target":"apiserver","match":"","action":"drop"}`)
	if <-a.later(t.Context(), "PUT", "/1") == nil {
		t.Fatal("answered")
	}
	if v := a.rule(rule.ID); v.State != "armed" || v.Seen != 1 {
		t.Fatalf("%+v", v)
	}
	if <-a.later(t.Context(), "PUT", "/2") == nil {
		t.Fatal("answered")
	}
	if v := a.rule(rule.ID); v.State != "fired" || v.Request != "PUT /2" {
		t.Fatalf("%+v", v)
	}
}

// watch reads a stream of lines, as a watch's events are.
type watch struct {
	lines chan string
	err   chan error
}

func (a *api) watch(path string) watch {
	a.t.Helper()
	resp, err := a.client.Get(a.url + path)
	if err != nil {
		a.t.Fatal(err)
	}
	w := watch{lines: make(chan string, 100), err: make(chan error, 1)}
	go func() {
		defer resp.Body.Close()
		scanner := bufio.NewScanner(resp.Body)
		for scanner.Scan() {
			w.lines <- scanner.Text()
		}
		w.err <- scanner.Err()
	}()
	return w
}

func (w watch) next(t *testing.T, want string) {
	t.Helper()
	select {
	case line := <-w.lines:
		if line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("no %q", want)
	}
}

func (w watch) silent(t *testing.T) {
	t.Helper()
	select {
	case line := <-w.lines:
		t.Fatalf("got %q", line)
	case err := <-w.err:
		t.Fatalf("ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
}

// streams are the events to be sent, by the path that is watched.
type streams struct{ byPath sync.Map }

func (s *streams) on(path string) chan string {
	c, _ := s.byPath.LoadOrStore(path, make(chan string))
	return c.(chan string)
}

// newEvents serves watches.
func newEvents(t *testing.T, kind string) (*api, *streams) {
	events := &streams{}
	return newAPI(t, "apiserver", kind, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.RequestURI, "watch=true") {
			echo(w, r)
			return
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case e := <-events.on(r.URL.Path):
				io.WriteString(w, e+"\n")
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}), events
}

func TestAWatchStreamsWithoutBuffering(t *testing.T) {
	for _, kind := range []string{KindHTTP, KindHTTPS} {
		t.Run(kind, func(t *testing.T) {
			a, events := newEvents(t, kind)
			w := a.watch("/pods?watch=true")
			for _, e := range []string{"one", "two", "three"} {
				events.on("/pods") <- e
				w.next(t, e)
			}
			a.call("POST", "/close", `{"target":"apiserver"}`, 200, nil)
			if err := <-w.err; err == nil {
				t.Fatal("the watch ended as if complete")
			}
		})
	}
}

func TestCloseWithAMatchEndsOnlyThoseRequests(t *testing.T) {
	a, events := newEvents(t, KindHTTPS)
	pods, secrets := a.watch("/pods?watch=true"), a.watch("/secrets?watch=true")
	var answer map[string]int
	a.call("POST", "/close", `{"target":"apiserver","match":"/pods"}`, 200, &answer)
	if answer["closed"] != 1 {
		t.Fatal(answer)
	}
	<-pods.err
	events.on("/secrets") <- "still here"
	secrets.next(t, "still here")
	a.call("POST", "/close", `{"target":"apiserver"}`, 200, nil)
	<-secrets.err
}

func TestPauseStopsBytesAndResumeContinues(t *testing.T) {
	a, events := newEvents(t, KindHTTPS)
	w := a.watch("/pods?watch=true")
	events.on("/pods") <- "before"
	w.next(t, "before")
	a.call("POST", "/pause", `{"target":"apiserver"}`, 200, nil)
	events.on("/pods") <- "during"
	w.silent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := <-a.later(ctx, "PUT", "/x"); ctx.Err() == nil {
		t.Fatal("not paused", err)
	}
	a.call("POST", "/resume", `{"target":"apiserver"}`, 200, nil)
	w.next(t, "during")
	a.expect("PUT", "/y", "PUT /y")
	a.call("POST", "/close", `{"target":"apiserver"}`, 200, nil)
	<-w.err
}

func TestPauseWithAMatchStopsOnlyThoseReplies(t *testing.T) {
	a, events := newEvents(t, KindHTTPS)
	w := a.watch("/pods?watch=true")
	events.on("/pods") <- "before"
	w.next(t, "before")
	a.call("POST", "/pause", `{"target":"apiserver","match":"watch=true"}`, 200, nil)
	events.on("/pods") <- "during"
	w.silent(t)
	a.expect("PUT", "/x", "PUT /x")
	begun := make(chan watch)
	go func() { begun <- a.watch("/secrets?watch=true") }()
	select {
	case <-begun:
		t.Fatal("a watch began during the pause")
	case <-time.After(50 * time.Millisecond):
	}
	a.call("POST", "/resume", `{"target":"*"}`, 200, nil)
	second := <-begun
	w.next(t, "during")
	a.call("POST", "/close", `{"target":"apiserver"}`, 200, nil)
	<-w.err
	<-second.err
}

func TestAPausedTargetCanBeClosedAndStopped(t *testing.T) {
	a, _ := newEvents(t, KindHTTPS)
	w := a.watch("/pods?watch=true")
	a.call("POST", "/pause", `{"target":"apiserver"}`, 200, nil)
	a.call("POST", "/close", `{"target":"apiserver"}`, 200, nil)
	<-w.err
	late := a.later(t.Context(), "GET", "/x")
	eventually(t, "connected", func() bool { return len(a.f.point("apiserver").open()) == 1 })
	a.f.stop()
	if <-late == nil {
		t.Fatal("answered")
	}
}

func TestAWSCallsAreToldByServiceAndAction(t *testing.T) {
	a := newAPI(t, "aws", KindHTTP, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	signed := func(service string) string {
		return "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=00"
	}
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	body := "Version=2010-05-08&PolicyName=x&Action=CreatePolicy"
	if _, got, err := a.do(t.Context(), "POST", "/", body, "Content-Type", form, "Authorization", signed("iam")); err != nil || got != body {
		t.Fatal(got, err)
	}
	a.do(t.Context(), "POST", "/", "Action=AssumeRoleWithWebIdentity&WebIdentityToken=t", "Content-Type", form)
	a.do(t.Context(), "POST", "/", "{}", "X-Amz-Target", "secretsmanager.GetSecretValue", "Authorization", signed("secretsmanager"))
	a.do(t.Context(), "GET", "/?Action=GetCallerIdentity&X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2Fsts%2Faws4_request", "")
	a.do(t.Context(), "POST", "/clusters/x/assets", "{}", "Authorization", signed("eks-auth"))
	want := "iam:CreatePolicy sts:AssumeRoleWithWebIdentity secretsmanager:GetSecretValue sts:GetCallerIdentity eks-auth:POST /clusters/x/assets"
	if got := strings.Join(a.requests("aws"), " "); got != want {
		t.Fatal(got)
	}
}
