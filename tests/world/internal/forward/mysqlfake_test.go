package forward

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

const fakeHost = "orders.example"

// fakeMySQL is a server that speaks just enough: greeting, TLS, a login that always succeeds, and scripted replies.
type fakeMySQL struct {
	t    *testing.T
	id   identity
	l    net.Listener
	caps uint32
	// serve answers one command, given whole; the numbers of its packets begin at first.
	serve func(w io.Writer, payload []byte, first byte)

	mu       sync.Mutex
	commands []string
	sizes    []int
}

func newFakeMySQL(t *testing.T) *fakeMySQL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeMySQL{t: t, id: newIdentity(t, fakeHost), l: l, caps: capSSL | capCompress | capZstd | 1<<9}
	f.serve = func(w io.Writer, _ []byte, first byte) { writePacket(w, newHeader(3, first), []byte{0, 0, 0}) }
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Add(1)
			go func() { defer all.Done(); defer c.Close(); f.connection(c) }()
		}
	}()
	t.Cleanup(func() { l.Close(); all.Wait() })
	return f
}

func (f *fakeMySQL) target() Target {
	return Target{Name: "orders", Kind: KindMySQL, Upstream: f.l.Addr().String(), Cert: f.id.cert, Key: f.id.key,
		UpstreamCA: f.id.cert, ServerName: fakeHost}
}

func (f *fakeMySQL) greeting() []byte {
	var b bytes.Buffer
	b.WriteString("\x0a8.0.33-fake\x00")
	b.Write(make([]byte, 4+8+1))
	b.Write([]byte{byte(f.caps), byte(f.caps >> 8), 45, 2, 0, byte(f.caps >> 16), byte(f.caps >> 24)})
	b.Write(make([]byte, 1+10+13))
	return b.Bytes()
}

func (f *fakeMySQL) connection(raw net.Conn) {
	c := raw
	greeting := f.greeting()
	if writePacket(c, newHeader(len(greeting), 0), greeting) != nil {
		return
	}
	h, payload, err := readPacket(c, greetingMax)
	if err != nil {
		return
	}
	if asksForTLS(payload) {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{f.id.pair}})
		if h, _, err = readPacket(c, greetingMax); err != nil {
			return
		}
	}
	writePacket(c, newHeader(3, h.seq()+1), []byte{0, 0, 0})
	for r := bufio.NewReader(c); ; {
		payload, last, err := wholePayload(r)
		if err != nil {
			return
		}
		if len(payload) == 0 { // the end of a file
			continue
		}
		if payload[0] == comQuit {
			return
		}
		f.mu.Lock()
		f.commands = append(f.commands, string(payload[:min(len(payload), 100)]))
		f.sizes = append(f.sizes, len(payload))
		f.mu.Unlock()
		if hasReply(payload[0]) {
			f.serve(c, payload, last+1)
		}
	}
}

func (f *fakeMySQL) received() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.commands...)
}

// wholePayload joins the packets of one payload.
func wholePayload(r io.Reader) (payload []byte, last byte, err error) {
	for {
		h, part, err := readPacket(r, packetMax)
		if err != nil {
			return nil, 0, err
		}
		payload = append(payload, part...)
		if h.length() < packetMax {
			return payload, h.seq(), nil
		}
	}
}

// mysqlClient is a client that is logged in.
type mysqlClient struct {
	t *testing.T
	net.Conn
	r    *bufio.Reader
	caps uint32 // as the greeting offered them
}

// connect logs in through the forwarder, with or without TLS.
func (w *world) connect(id identity, caps uint32) (*mysqlClient, error) {
	w.t.Helper()
	return w.connectTo(w.address("orders"), id, caps)
}

func (w *world) connectTo(address string, id identity, caps uint32) (*mysqlClient, error) {
	w.t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := &mysqlClient{t: w.t, Conn: raw}
	_, payload, err := readPacket(raw, greetingMax)
	if err != nil {
		return nil, err
	}
	g, err := parseGreeting(payload)
	if err != nil {
		return nil, err
	}
	c.caps = g.capabilities()
	login := make([]byte, 32, 64)
	binary.LittleEndian.PutUint32(login, caps)
	seq := byte(1)
	if caps&capSSL != 0 {
		if err := writePacket(raw, newHeader(32, seq), login); err != nil {
			return nil, err
		}
		seq++
		c.Conn = tls.Client(raw, &tls.Config{RootCAs: id.pool, ServerName: fakeHost})
	}
	login = append(login, "app\x00\x00"...)
	if err := writePacket(c, newHeader(len(login), seq), login); err != nil {
		return nil, err
	}
	c.r = bufio.NewReader(c)
	if _, _, err := readPacket(c.r, greetingMax); err != nil {
		return nil, err
	}
	return c, nil
}

func (w *world) mustConnect(id identity, caps uint32) *mysqlClient {
	w.t.Helper()
	c, err := w.connect(id, caps)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// send writes a command of any length.
func (c *mysqlClient) send(kind byte, rest string) {
	c.t.Helper()
	payload, seq := append([]byte{kind}, rest...), byte(0)
	for {
		n := min(len(payload), packetMax)
		if err := writePacket(c, newHeader(n, seq), payload[:n]); err != nil {
			c.t.Fatal(err)
		}
		payload, seq = payload[n:], seq+1
		if n < packetMax {
			return
		}
	}
}

// reply reads one packet.
func (c *mysqlClient) reply() ([]byte, error) {
	_, payload, err := readPacket(c.r, packetMax)
	return payload, err
}

func (c *mysqlClient) query(sql string) ([]byte, error) {
	c.t.Helper()
	c.send(comQuery, sql)
	return c.reply()
}

func (c *mysqlClient) ok(sql string) {
	c.t.Helper()
	if got, err := c.query(sql); err != nil || got[0] != 0 {
		c.t.Fatalf("%s: %q %v", sql, got, err)
	}
}

// le is a number as the protocol writes it.
func le(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }

func linesAre(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Fatalf("got %q, want %q", got, want)
	}
}
