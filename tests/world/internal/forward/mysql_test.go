package forward

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func newDatabase(t *testing.T) (*fakeMySQL, *world) {
	t.Helper()
	f := newFakeMySQL(t)
	return f, newWorld(t, f.target())
}

func TestWithoutARuleADatabaseIsOpaque(t *testing.T) {
	f, w := newDatabase(t)
	c := w.mustConnect(f.id, capSSL)
	c.ok("SELECT 1")
	if c.caps != f.caps {
		t.Fatalf("the greeting was changed: %x", c.caps)
	}
	linesAre(t, w.requests("orders"), "CONNECT")
	// A rule does not concern a connection that began before it.
	rule := w.arm(`{"target":"orders","match":"SELECT","action":"refuse"}`)
	c.ok("SELECT 2")
	if v := w.rule(rule.ID); v.Seen != 0 {
		t.Fatalf("%+v", v)
	}
}

func TestAProxyShowsItsOwnCertificateWithoutAnyRule(t *testing.T) {
	f, own := newFakeMySQL(t), newIdentity(t, fakeHost)
	target := f.target()
	target.Cert, target.Key, target.Terminate = own.cert, own.key, true
	w := newWorld(t, target)
	if _, err := w.connect(f.id, capSSL); err == nil {
		t.Error("the server's own certificate was shown")
	}
	w.mustConnect(own, capSSL).ok("SELECT 1")
	if got := f.received(); len(got) != 1 {
		t.Errorf("the server got %v", got)
	}
}

func TestARuleHoldsForEveryPlaceThatANameMayLeadTo(t *testing.T) {
	one, two := newFakeMySQL(t), newFakeMySQL(t)
	w := newWorld(t, one.target(), two.target())
	rule := w.arm(`{"target":"orders","match":"SELECT","action":"observe","times":0}`)
	for n, f := range []*fakeMySQL{one, two} {
		c, err := w.connectTo(w.f.points[n].Listen, f.id, capSSL)
		if err != nil {
			t.Fatal(err)
		}
		c.ok("SELECT 1")
	}
	if v := w.rule(rule.ID); v.Fired != 2 {
		t.Errorf("%+v", v)
	}
	var closed struct{ Closed int }
	w.call("POST", "/close", `{"target":"orders"}`, 200, &closed)
	if closed.Closed != 2 {
		t.Errorf("closed %d", closed.Closed)
	}
}

func TestAConnectionWithoutTLSIsOpaque(t *testing.T) {
	f, w := newDatabase(t)
	w.arm(`{"target":"orders","match":"SELECT","action":"refuse","times":0}`)
	c := w.mustConnect(f.id, 0)
	c.ok("SELECT 1")
	linesAre(t, w.requests("orders"), "CONNECT")
}

func TestAStatementIsHeldAfterItsEffect(t *testing.T) {
	f, w := newDatabase(t)
	rule := w.arm(`{"target":"orders","match":"^CREATE USER","nth":2,"action":"hold"}`)
	c := w.mustConnect(f.id, capSSL)
	if c.caps&(capCompress|capZstd) != 0 || c.caps&capSSL == 0 {
		t.Fatalf("offered: %x", c.caps)
	}
	c.ok("CREATE USER a")
	c.send(comQuery, "CREATE USER b\n  IDENTIFIED\tBY 'x'")
	if v := w.fired(rule.ID); v.Request != "CREATE USER b   IDENTIFIED BY 'x'" || v.Target != "orders" {
		t.Fatalf("%+v", v)
	}
	if got := f.received(); len(got) != 2 {
		t.Fatal("no effect", got)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.r.Peek(1); err == nil {
		t.Fatal("not held")
	}
}

func TestDeletingTheRuleReleasesAStatement(t *testing.T) {
	f, w := newDatabase(t)
	rule := w.arm(`{"target":"orders","match":"^DROP","action":"hold"}`)
	c := w.mustConnect(f.id, capSSL)
	c.send(comQuery, "DROP USER a")
	w.fired(rule.ID)
	w.disarm(rule.ID)
	if got, err := c.reply(); err != nil || got[0] != 0 {
		t.Fatal(got, err)
	}
	c.ok("DROP USER b")
}

func TestAHeldStatementEndsWithItsClient(t *testing.T) {
	f, w := newDatabase(t)
	rule := w.arm(`{"target":"orders","match":"^DROP","action":"hold"}`)
	c := w.mustConnect(f.id, capSSL)
	c.send(comQuery, "DROP USER a")
	w.fired(rule.ID)
	c.Close()
	eventually(t, "nothing is held", func() bool { return w.rule(rule.ID).Held == 0 })
}

func TestDropRefuseAndBlackholeOfAStatement(t *testing.T) {
	for action, effects := range map[string]int{actionDrop: 1, actionRefuse: 0, actionBlackhole: 0} {
		t.Run(action, func(t *testing.T) {
			f, w := newDatabase(t)
			rule := w.arm(`{"target":"*","match":"GRANT","action":"` + action + `"}`)
			c := w.mustConnect(f.id, capSSL)
			c.send(comQuery, "GRANT x TO y")
			w.fired(rule.ID)
			if action == actionBlackhole {
				w.disarm(rule.ID) // ends the connection
			}
			if got, err := c.reply(); err == nil {
				t.Fatalf("%q", got)
			}
			if got := f.received(); len(got) != effects {
				t.Fatal(got)
			}
			w.mustConnect(f.id, capSSL).ok("GRANT x TO y")
		})
	}
}

func TestAnswerIsAnErrorInTheServersPlace(t *testing.T) {
	f, w := newDatabase(t)
	w.arm(`{"target":"orders","match":"GRANT","action":"answer","status":1290,"body":"read-only","delay":"20ms"}`)
	w.arm(`{"target":"orders","match":"REVOKE","action":"answer","status":1213,"sqlState":"40001"}`)
	c := w.mustConnect(f.id, capSSL)
	if got, err := c.query("GRANT x TO y"); err != nil || string(got) != "\xff\x0a\x05#HY000read-only" {
		t.Fatalf("%q %v", got, err)
	}
	if got, err := c.query("REVOKE x" + strings.Repeat(" ", packetMax)); err != nil || string(got) != "\xff\xbd\x04#40001" {
		t.Fatalf("%q %v", got, err)
	}
	if got := f.received(); len(got) != 0 {
		t.Fatal(got)
	}
	c.ok("GRANT x TO y")
}

func TestARuleCanCatchTheConnectionItself(t *testing.T) {
	f, w := newDatabase(t)
	for _, action := range []string{`"refuse"`, `"drop"`, `"answer","status":1040,"body":"Too many connections"`} {
		w.arm(`{"target":"orders","match":"^CONNECT$","action":` + action + `}`)
	}
	for range 3 {
		if _, err := w.connect(f.id, capSSL); err == nil {
			t.Fatal("connected")
		}
	}
	late := w.arm(`{"target":"orders","match":"^CONNECT$","delay":"100ms"}`)
	begun := time.Now()
	w.mustConnect(f.id, capSSL).ok("SELECT 1")
	if w.fired(late.ID); time.Since(begun) < 100*time.Millisecond {
		t.Fatal("too soon")
	}
	hole := w.arm(`{"target":"orders","match":"^CONNECT$","action":"blackhole"}`)
	c, err := net.Dial("tcp", w.address("orders"))
	if err != nil {
		t.Fatal(err)
	}
	w.fired(hole.ID)
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !err.(net.Error).Timeout() {
		t.Fatal(n, err)
	}
	c.Close()
	eventually(t, "nothing is held", func() bool { return w.rule(hole.ID).Held == 0 })
}

func TestAPreparedStatementIsARequestWhenExecuted(t *testing.T) {
	f, w := newDatabase(t)
	next := uint32(6)
	f.serve = func(out io.Writer, payload []byte, first byte) {
		if payload[0] == comPrepare {
			next++
			writePacket(out, newHeader(12, first), []byte("\x00"+le(next)+"\x00\x00\x01\x00\x00\x00\x00"))
			writePacket(out, newHeader(3, first+1), []byte("def"))
			return
		}
		writePacket(out, newHeader(3, first), []byte{0, 0, 0})
	}
	rule := w.arm(`{"target":"orders","match":"CREATE","nth":2,"action":"drop"}`)
	c := w.mustConnect(f.id, capSSL)
	prepare := func(sql string) uint32 {
		c.send(comPrepare, sql)
		got, err := c.reply()
		if err != nil {
			t.Fatal(err)
		}
		c.reply() // the parameter
		id, _ := statementID(got)
		return id
	}
	one, two := prepare("CREATE one"), prepare("CREATE two")
	c.send(comLongData, le(two)+"\x00\x00x") // has no reply
	c.send(comExecute, le(two)+"\x00\x01\x00\x00\x00")
	if got, err := c.reply(); err != nil || got[0] != 0 {
		t.Fatal(got, err)
	}
	c.send(comCloseStmt, le(two)) // has no reply
	c.ok("SELECT 1")
	if v := w.rule(rule.ID); v.Fired != 0 || v.Seen != 1 {
		t.Fatalf("%+v", v)
	}
	c.send(comExecute, le(one)+"\x00\x01\x00\x00\x00")
	if got, err := c.reply(); err == nil {
		t.Fatalf("%q", got)
	}
	linesAre(t, w.requests("orders"), "CONNECT", "CREATE two", "SELECT 1", "CREATE one")
}

func TestPrepareAndExecuteMayBeSentTogether(t *testing.T) {
	f, w := newDatabase(t)
	f.serve = func(out io.Writer, payload []byte, first byte) {
		if payload[0] == comPrepare {
			writePacket(out, newHeader(12, first), []byte("\x00"+le(1)+"\x00\x00\x01\x00\x00\x00\x00"))
			writePacket(out, newHeader(3, first+1), []byte("def"))
			return
		}
		writePacket(out, newHeader(3, first), []byte{0, 0, 0})
	}
	rule := w.arm(`{"target":"orders","match":"CREATE","action":"hold"}`)
	c := w.mustConnect(f.id, capSSL)
	c.send(comPrepare, "CREATE x")
	c.send(comExecute, le(lastPreparedID)+"\x00\x01\x00\x00\x00")
	for _, want := range []string{"\x00\x01", "def"} {
		if got, err := c.reply(); err != nil || !bytes.HasPrefix(got, []byte(want)) {
			t.Fatalf("%q %v", got, err)
		}
	}
	w.fired(rule.ID)
	w.disarm(rule.ID)
	if got, err := c.reply(); err != nil || !bytes.Equal(got, []byte{0, 0, 0}) {
		t.Fatalf("%q %v", got, err)
	}
}

func TestLongStatementsAndLongRowsPass(t *testing.T) {
	f, w := newDatabase(t)
	f.serve = func(out io.Writer, _ []byte, first byte) {
		// As many packets as make the numbers wrap to where a reply begins, then a row in two packets.
		for i := range 255 {
			writePacket(out, newHeader(1, first+byte(i)), []byte{1})
		}
		writePacket(out, newHeader(packetMax, first+255), make([]byte, packetMax))
		writePacket(out, newHeader(5, first), make([]byte, 5))
	}
	rule := w.arm(`{"target":"orders","match":"^INSERT","nth":3,"action":"drop"}`)
	c := w.mustConnect(f.id, capSSL)
	for _, size := range []int{packetMax - 1, packetMax + 10} { // with the command's byte: exactly one full packet, and more
		c.send(comQuery, "INSERT"+strings.Repeat("x", size-6))
		for i := range 257 {
			if got, err := c.reply(); err != nil || i == 255 && len(got) != packetMax || i == 256 && len(got) != 5 {
				t.Fatal(i, len(got), err)
			}
		}
	}
	f.mu.Lock()
	sizes := f.sizes
	f.mu.Unlock()
	if len(sizes) != 2 || sizes[0] != packetMax || sizes[1] != packetMax+11 {
		t.Fatal(sizes)
	}
	if v := w.rule(rule.ID); v.Seen != 2 || v.Fired != 0 {
		t.Fatalf("%+v", v)
	}
	if lines := w.requests("orders"); len(lines) != 3 || len(lines[2]) > lineKept+3 {
		t.Fatal(len(lines))
	}
}

func TestAFileThatTheServerAsksForIsNoCommand(t *testing.T) {
	f, w := newDatabase(t)
	f.serve = func(out io.Writer, payload []byte, first byte) {
		if strings.HasPrefix(string(payload[1:]), "LOAD") {
			writePacket(out, newHeader(5, first), []byte("\xfbfile"))
		} else {
			writePacket(out, newHeader(3, first), []byte{0, 0, 0})
		}
	}
	w.arm(`{"target":"orders","match":"DROP","action":"refuse","times":0}`)
	c := w.mustConnect(f.id, capSSL)
	if got, err := c.query("LOAD DATA LOCAL INFILE"); err != nil || got[0] != infileRequested {
		t.Fatal(got, err)
	}
	// The number of the file's packet has wrapped to that of a command.
	writePacket(c, newHeader(5, 0), []byte("\x03DROP"))
	if got, err := c.reply(); err != nil || got[0] != 0 {
		t.Fatal(got, err)
	}
	writePacket(c, newHeader(0, 1), nil)
	linesAre(t, w.requests("orders"), "CONNECT", "LOAD DATA LOCAL INFILE")
}

func TestQueryAttributesStandBeforeTheText(t *testing.T) {
	const none = "\x00\x01"
	some := "\x03\x01" + "\x02" + "\x01" + // three parameters, the second is NULL
		"\xfe\x00\x01a" + "\x06\x00\x01b" + "\x08\x00\x01c" + "\x02hi" + "12345678"
	for _, attributes := range []string{none, some} {
		if got := queryText([]byte("\x03"+attributes+"SELECT 1"), capQueryAttributes); got != "SELECT 1" {
			t.Errorf("%q", got)
		}
	}
	if got := queryText([]byte("\x03SELECT\r\n1"), 0); got != "SELECT 1" {
		t.Errorf("%q", got)
	}
	// What is cut short must not panic.
	for n := range len(some) {
		queryText([]byte("\x03" + some[:n])[:n+1], capQueryAttributes)
	}
}

func TestAProgressReportIsNoReply(t *testing.T) {
	r := newReplies()
	r.expect(command{kind: comQuery, first: 1})
	if _, begins := r.packet(1, []byte{0xff, 0xff, 0xff, 1}); begins {
		t.Fatal("taken for the reply")
	}
	r.last = -1
	if _, begins := r.packet(1, []byte{0}); !begins {
		t.Fatal("not recognised")
	}
}

func TestAServerThatIsNotTheOneExpectedIsNotSpokenTo(t *testing.T) {
	f := newFakeMySQL(t)
	target := f.target()
	target.ServerName = "billing.example"
	w := newWorld(t, target)
	w.arm(`{"target":"orders","match":"x","action":"observe"}`)
	if _, err := w.connect(f.id, capSSL); err == nil {
		t.Fatal("connected")
	}
}

func TestCloseAndPauseOfADatabase(t *testing.T) {
	f, w := newDatabase(t)
	c := w.mustConnect(f.id, capSSL)
	w.call("POST", "/pause", `{"target":"orders"}`, 200, nil)
	c.send(comQuery, "SELECT 1")
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := c.r.Peek(1); err == nil {
		t.Fatal("not paused")
	}
	w.call("POST", "/pause", `{"target":"orders","match":"x"}`, 400, nil)
	w.call("POST", "/resume", `{"target":"orders"}`, 200, nil)
	eventually(t, "the statement arrives", func() bool { return len(f.received()) == 1 })
	w.call("POST", "/close", `{"target":"orders"}`, 200, nil)
	eventually(t, "closed", func() bool { return len(w.f.point("orders").open()) == 0 })
}
