package forward

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// The kinds of target. They differ in what a request is and in who speaks TLS.
const (
	KindHTTP  = "http"
	KindHTTPS = "https"
	KindMySQL = "mysql"
)

// Config is the file that `world forward --config` reads.
type Config struct {
	// Control is the address of the endpoint that arms rules.
	Control string   `json:"control"`
	Targets []Target `json:"targets"`
}

// Target is one thing to stand in front of. Several of one name are one to the rules: the places that a name may lead to.
type Target struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Listen   string `json:"listen"`
	Upstream string `json:"upstream"`
	// Cert and Key are what clients are shown: the real server's own, so that they verify it as they would the server.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// UpstreamCA verifies the server. There is no way to leave the verification out.
	UpstreamCA string `json:"upstreamCA,omitempty"`
	// ServerName is the name that the server's certificate must carry; by default the host of Upstream.
	ServerName string `json:"serverName,omitempty"`
	// Terminate ends the clients' TLS here on every connection, as an RDS Proxy does: Cert is then not the server's.
	Terminate bool `json:"terminate,omitempty"`
}

func readConfig(path string) (Config, error) {
	var c Config
	raw, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c Config) check() error {
	if c.Control == "" {
		return errors.New("control: an address is needed")
	}
	kinds := map[string]string{}
	for _, t := range c.Targets {
		if t.Name == "" || t.Name == anyTarget {
			return fmt.Errorf("target %q: names must be given and not be %q", t.Name, anyTarget)
		}
		if kind, known := kinds[t.Name]; known && kind != t.Kind {
			return fmt.Errorf("target %s: what shares a name must be of one kind", t.Name)
		}
		kinds[t.Name] = t.Kind
		if t.Listen == "" || t.Upstream == "" {
			return fmt.Errorf("target %s: listen and upstream are needed", t.Name)
		}
		if t.Terminate && t.Kind != KindMySQL {
			return fmt.Errorf("target %s: terminate is for %s", t.Name, KindMySQL)
		}
		switch t.Kind {
		case KindHTTP:
		case KindHTTPS, KindMySQL:
			if t.Cert == "" || t.Key == "" || t.UpstreamCA == "" {
				return fmt.Errorf("target %s: cert, key and upstreamCA are needed for %s", t.Name, t.Kind)
			}
		default:
			return fmt.Errorf("target %s: kind %q is not one of http, https, mysql", t.Name, t.Kind)
		}
	}
	return nil
}

// serverTLS is what the target's clients are shown. HTTP/2 is never offered: it would put many requests on one connection,
// and then dropping one reply would drop the others too.
func (t Target) serverTLS() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", t.Name, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if t.Kind == KindHTTPS {
		c.NextProtos = []string{"http/1.1"}
	}
	return c, nil
}

// clientTLS verifies the real server.
func (t Target) clientTLS() (*tls.Config, error) {
	pem, err := os.ReadFile(t.UpstreamCA)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", t.Name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("target %s: %s holds no certificate", t.Name, t.UpstreamCA)
	}
	name := t.ServerName
	if name == "" {
		name = hostOf(t.Upstream)
	}
	return &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}, nil
}
