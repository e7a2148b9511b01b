package forward

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// world is the forwarders at work before the targets of a test.
type world struct {
	t       *testing.T
	f       *forwarder
	control string
	dir     string
}

// newWorld starts the forwarders and checks at the end that they leave no goroutine behind.
func newWorld(t *testing.T, targets ...Target) *world {
	t.Helper()
	w := &world{t: t}
	before := runtime.NumGoroutine()
	for i := range targets {
		if targets[i].Listen == "" {
			targets[i].Listen = "127.0.0.1:0"
		}
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := control.Addr().String()
	control.Close()
	config := Config{Control: address, Targets: targets}
	if err := config.check(); err != nil {
		t.Fatal(err)
	}
	if w.f, err = start(config, io.Discard); err != nil {
		t.Fatal(err)
	}
	w.control = "http://" + address
	t.Cleanup(func() {
		w.f.stop()
		http.DefaultClient.CloseIdleConnections()
		eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
		if t.Failed() && runtime.NumGoroutine() > before {
			stacks := make([]byte, 1<<20)
			t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		}
	})
	return w
}

func (w *world) address(target string) string { return w.f.point(target).Listen }

// call speaks to the control endpoint and fails the test unless it answers with the status.
func (w *world) call(method, path, body string, status int, into any) {
	w.t.Helper()
	request, err := http.NewRequest(method, w.control+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != status {
		w.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	if into != nil {
		if err := json.NewDecoder(bytes.NewReader(raw)).Decode(into); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) arm(spec string) ruleView {
	w.t.Helper()
	var v ruleView
	w.call("POST", "/rules", spec, http.StatusCreated, &v)
	if v.ID == "" || v.State != "armed" {
		w.t.Fatalf("armed %+v", v)
	}
	return v
}

// fired waits until the rule has fired.
func (w *world) fired(id string) ruleView {
	w.t.Helper()
	var v ruleView
	w.call("GET", "/rules/"+id+"?wait=10s", "", http.StatusOK, &v)
	if v.State != "fired" {
		w.t.Fatalf("rule did not fire: %+v", v)
	}
	return v
}

func (w *world) rule(id string) ruleView {
	w.t.Helper()
	var v ruleView
	w.call("GET", "/rules/"+id, "", http.StatusOK, &v)
	return v
}

func (w *world) disarm(id string) {
	w.t.Helper()
	w.call("DELETE", "/rules/"+id, "", http.StatusOK, nil)
}

// requests answers the lines seen at a target.
func (w *world) requests(target string) []string {
	w.t.Helper()
	var list requestList
	w.call("GET", "/requests?target="+target, "", http.StatusOK, &list)
	lines := []string{}
	for _, r := range list.Requests {
		lines = append(lines, r.Request)
	}
	return lines
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("in vain: %s", what)
}

// identity is a self-signed server certificate as files and as a pool.
type identity struct {
	cert, key string
	pair      tls.Certificate
	pool      *x509.CertPool
}

func newIdentity(t *testing.T, names ...string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := identity{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), pool: x509.NewCertPool()}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for file, content := range map[string][]byte{id.cert: certPEM, id.key: keyPEM} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if id.pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	id.pool.AppendCertsFromPEM(certPEM)
	return id
}

func (f *forwarder) point(name string) *point {
	for _, p := range f.points {
		if p.Name == name {
			return p
		}
	}
	return nil
}
