package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestRulesThatMakeNoSenseAreRefused(t *testing.T) {
	f := newFakeMySQL(t)
	w := newWorld(t, f.target(), Target{Name: "aws", Kind: KindHTTP, Upstream: "127.0.0.1:1"})
	for _, spec := range []string{
		`{`,
		`{"target":"aws","match":"","actoin":"hold"}`,
		`{"match":"","action":"hold"}`,
		`{"target":"nowhere","match":"","action":"hold"}`,
		`{"target":"aws","match":"(","action":"hold"}`,
		`{"target":"aws","match":""}`,
		`{"target":"aws","match":"","action":"explode"}`,
		`{"target":"aws","match":"","action":"hold","nth":0}`,
		`{"target":"aws","match":"","action":"hold","times":-1}`,
		`{"target":"aws","match":"","action":"hold","delay":"1s"}`,
		`{"target":"aws","match":"","action":"delay"}`,
		`{"target":"aws","match":"","action":"delay","delay":"soon"}`,
		`{"target":"aws","match":"","action":"hold","status":500}`,
		`{"target":"aws","match":"","action":"drop","body":"x"}`,
		`{"target":"aws","match":"","action":"answer"}`,
		`{"target":"aws","match":"","action":"answer","status":1040}`,
		`{"target":"*","match":"","action":"answer","status":1040}`,
		`{"target":"orders","match":"","action":"answer","status":1040,"retryAfter":"1"}`,
		`{"target":"orders","match":"","action":"answer","status":1040,"sqlState":"1"}`,
	} {
		w.call("POST", "/rules", spec, http.StatusBadRequest, nil)
	}
	w.call("GET", "/rules/r1", "", http.StatusNotFound, nil)
	w.call("DELETE", "/rules/r1", "", http.StatusNotFound, nil)
	w.call("POST", "/close", `{"target":"nowhere"}`, http.StatusBadRequest, nil)
	w.call("GET", "/requests?target=nowhere", "", http.StatusBadRequest, nil)
	w.call("GET", "/requests?since=x", "", http.StatusBadRequest, nil)
}

func TestALongPollEndsWithTheFiringTheTimeOrTheRule(t *testing.T) {
	a := newAPI(t, "apiserver", KindHTTP, echo)
	rule := a.arm(`{"target":"apiserver","match":"","action":"observe","times":0}`)
	var v ruleView
	a.call("GET", "/rules/"+rule.ID+"?wait=20ms", "", http.StatusOK, &v)
	if v.State != "armed" {
		t.Fatalf("%+v", v)
	}
	second := make(chan struct{})
	go func() {
		defer close(second)
		a.call("GET", "/rules/"+rule.ID+"?wait=10s&fired=2", "", http.StatusOK, &v)
	}()
	a.expect("PUT", "/1", "PUT /1")
	a.fired(rule.ID)
	select {
	case <-second:
		t.Fatal("too soon")
	case <-time.After(20 * time.Millisecond):
	}
	a.expect("PUT", "/2", "PUT /2")
	if <-second; v.Fired != 2 || v.Request != "PUT /2" {
		t.Fatalf("%+v", v)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		a.call("GET", "/rules/"+rule.ID+"?wait=10s&fired=3", "", http.StatusNotFound, nil)
	}()
	time.Sleep(20 * time.Millisecond)
	var all []ruleView
	a.call("DELETE", "/rules", "", http.StatusOK, &all)
	if <-gone; len(all) != 1 || all[0].Fired != 2 {
		t.Fatalf("%+v", all)
	}
}

func TestABurstAcrossTargetsIsCountedOnce(t *testing.T) {
	f := newFakeMySQL(t)
	w := newWorld(t, f.target(), Target{Name: "aws", Kind: KindHTTP, Upstream: "127.0.0.1:1"})
	rule := w.arm(`{"target":"*","match":"^(CREATE|iam:)","nth":2,"times":2,"action":"refuse"}`)
	aws := func() error {
		r, _ := http.NewRequest("POST", "http://"+w.address("aws"), strings.NewReader("Action=CreatePolicy"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/iam/aws4_request, Signature=0")
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	w.mustConnect(f.id, capSSL).ok("CREATE USER a")
	if aws() == nil {
		t.Fatal("answered")
	}
	if v := w.rule(rule.ID); v.Fired != 1 || v.Target != "aws" || v.Request != "iam:CreatePolicy" {
		t.Fatalf("%+v", v)
	}
	if got, err := w.mustConnect(f.id, capSSL).query("CREATE USER b"); err == nil {
		t.Fatal(got)
	}
	w.mustConnect(f.id, capSSL).ok("CREATE USER c")
}

func TestRequestsAreNumberedAndForgottenInTheEnd(t *testing.T) {
	var l requestLog
	all := func(seenRequest) bool { return true }
	if list := l.from(0, all); list.Next != 1 || list.Lost != 0 || len(list.Requests) != 0 {
		t.Fatalf("%+v", list)
	}
	for range 3 {
		l.add("aws", "x", "")
	}
	if list := l.from(2, all); list.Next != 4 || list.Lost != 0 || len(list.Requests) != 2 || list.Requests[0].N != 2 {
		t.Fatalf("%+v", list)
	}
	if list := l.from(4, all); list.Next != 4 || list.Lost != 0 || len(list.Requests) != 0 {
		t.Fatalf("%+v", list)
	}
	for range requestsKept {
		l.add("aws", "x", "")
	}
	if list := l.from(1, all); list.Next != requestsKept+4 || list.Lost != 3 || len(list.Requests) != requestsKept || list.Requests[0].N != 4 {
		t.Fatalf("%d %d %d", list.Next, list.Lost, len(list.Requests))
	}
}

func TestManyRequestsMeetARuleExactlyOnce(t *testing.T) {
	a := newAPI(t, "apiserver", KindHTTPS, echo)
	rule := a.arm(`{"target":"*","match":"PUT","nth":50,"times":7,"action":"drop"}`)
	var all sync.WaitGroup
	for range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 10 {
				a.do(context.Background(), "PUT", "/x", "x")
			}
		}()
	}
	all.Wait()
	if v := a.rule(rule.ID); v.Seen != 200 || v.Fired != 7 {
		t.Fatalf("%+v", v)
	}
	var list requestList
	a.call("GET", "/requests?match=PUT&since=0", "", 200, &list)
	dropped := 0
	for _, r := range list.Requests {
		if r.Action == actionDrop {
			dropped++
		}
	}
	if len(list.Requests) != 200 || dropped != 7 {
		t.Fatal(len(list.Requests), dropped)
	}
}

func TestTargetsTellTheirConnections(t *testing.T) {
	f, w := newDatabase(t)
	w.mustConnect(f.id, capSSL)
	var views []targetView
	w.call("GET", "/targets", "", 200, &views)
	if len(views) != 1 || views[0].Name != "orders" || views[0].Connections != 1 || views[0].Paused {
		t.Fatalf("%+v", views)
	}
}

func TestAConfigurationThatMakesNoSenseIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "forward.json")
	for _, config := range []string{
		`{`,
		`{"targets":[]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"*","kind":"http","listen":"x","upstream":"y"}]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"a","kind":"http","listen":"x"}]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"a","kind":"ftp","listen":"x","upstream":"y"}]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"a","kind":"https","listen":"x","upstream":"y"}]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"a","kind":"https","listen":"127.0.0.1:0","upstream":"y","cert":"/no","key":"/no","upstreamCA":"/no"}]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"a","kind":"http","listen":"127.0.0.1:0","upstream":"y"},{"name":"a","kind":"mysql","listen":"127.0.0.1:0","upstream":"y"}]}`,
		`{"control":"127.0.0.1:0","targets":[{"name":"a","kind":"http","listen":"127.0.0.1:0","upstream":"y","terminate":true}]}`,
	} {
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Main([]string{"--config", file}); err == nil {
			t.Errorf("accepted %s", config)
		}
	}
}

func TestSIGTERMEndsMainCleanly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "forward.json")
	config, _ := json.Marshal(Config{Control: freeAddress(t, "127.79.0.3"), Targets: []Target{
		{Name: "aws", Kind: KindHTTP, Listen: freeAddress(t, "127.79.0.4"), Upstream: "127.0.0.1:1"}}})
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	var c Config
	json.NewDecoder(bytes.NewReader(config)).Decode(&c)
	ended := make(chan error, 1)
	go func() { ended <- Main([]string{"--config", file}) }()
	eventually(t, "it serves", func() bool {
		resp, err := http.Get("http://" + c.Control + "/targets")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still running")
	}
}
