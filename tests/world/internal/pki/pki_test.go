package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestALeafVerifiesForItsNamesUnderItsAuthorityAlone(t *testing.T) {
	f := Folder{Dir: t.TempDir()}
	ours, err := f.Authority("ca", "ours", EC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Authority("other", "others", EC); err != nil {
		t.Fatal(err)
	}
	leaf := Leaf{CommonName: "orders", Usage: x509.ExtKeyUsageServerAuth, DNSNames: []string{"orders.example"}, IPs: []string{"127.10.0.1"}, Key: RSA}
	if err := f.Issue("orders", ours, leaf); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(f.Dir, "orders.crt"), filepath.Join(f.Dir, "orders.key"))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(authority, name string) error {
		roots := x509.NewCertPool()
		text, err := os.ReadFile(filepath.Join(f.Dir, authority+".crt"))
		if err != nil || !roots.AppendCertsFromPEM(text) {
			t.Fatalf("read %s: %v", authority, err)
		}
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name})
		return err
	}
	for _, name := range []string{"orders.example", "127.10.0.1"} {
		if err := verify("ca", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verify("ca", "billing.example") == nil || verify("other", "orders.example") == nil {
		t.Error("verifies for a foreign name or under a foreign authority")
	}
}
