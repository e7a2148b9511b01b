package gateway

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		return socket.LocalAddr().String()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func serve(t *testing.T, c Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("the gateway does not end")
		}
	})
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestBytesPassBothWaysAndOneSideMayEndFirst(t *testing.T) {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer upstream.Close()
	go func() {
		conn, err := upstream.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		// Answers only when all has been said.
		text, _ := io.ReadAll(conn)
		slices.Reverse(text)
		_, _ = conn.Write(text)
	}()
	listen := freeAddress(t, "tcp")
	serve(t, Config{
		Relays: []Relay{{Listen: listen, Upstream: upstream.Addr().String()}}, Names: Names{Listen: freeAddress(t, "udp")},
	})
	conn := dial(t, listen)
	if _, err := conn.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(conn); err != nil || string(text) != "cba" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestAConnectionEndsWhereNobodyIs(t *testing.T) {
	listen := freeAddress(t, "tcp")
	serve(t, Config{
		Relays: []Relay{{Listen: listen, Upstream: freeAddress(t, "tcp")}}, Names: Names{Listen: freeAddress(t, "udp")},
	})
	if text, _ := io.ReadAll(dial(t, listen)); len(text) > 0 {
		t.Errorf("got %q", text)
	}
}

func TestPodsLearnWhereNamesLeadNow(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	write := func(text string) {
		if err := os.WriteFile(hosts, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("127.0.0.1 localhost\n127.10.1.1 writer.example.com\n")
	names := Names{
		Listen: freeAddress(t, "udp"), Hosts: hosts, Fixed: map[string]string{"fixed.example.com": "10.0.0.9"},
		Seen: map[string]string{"127.10.1.1": "10.0.0.1", "127.10.1.2": "10.0.0.2"},
	}
	serve(t, Config{Names: names})
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", names.Listen)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	look := func(name string) string {
		addresses, err := resolver.LookupHost(ctx, name+".")
		if err != nil {
			return err.(*net.DNSError).Err
		}
		return addresses[0]
	}
	for name, want := range map[string]string{
		"writer.example.com": "10.0.0.1", "WRITER.example.com": "10.0.0.1", "fixed.example.com": "10.0.0.9",
		"other.example.com": "no such host",
	} {
		if got := look(name); got != want {
			t.Errorf("%s leads to %s, not %s", name, got, want)
		}
	}
	write("127.10.1.2 writer.example.com\n")
	if got := look("writer.example.com"); got != "10.0.0.2" {
		t.Errorf("after it moved the name leads to %s", got)
	}
}

func TestWhatIsNoQuestionGetsNoAnswer(t *testing.T) {
	question := []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01")
	known := func(string) (net.IP, bool) { return net.IPv4(10, 0, 0, 1), true }
	if _, err := answer(question, known); err != nil {
		t.Fatal(err)
	}
	for end := range question {
		if _, err := answer(question[:end], known); err == nil {
			t.Errorf("the first %d bytes of a question were answered", end)
		}
	}
	for at, value := range map[int]byte{2: 0x81, 5: 2, 12: 0xc0} {
		broken := slices.Clone(question)
		broken[at] = value
		if _, err := answer(broken, known); err == nil {
			t.Errorf("with byte %d = %#x it was answered", at, value)
		}
	}
}
