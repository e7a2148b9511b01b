// Package pki makes the keys and certificates of a world. They are made anew for each world, so none is worth keeping.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The clock of a test may be set back, so certificates begin long before now.
const (
	before = 30 * 24 * time.Hour
	after  = 365 * 24 * time.Hour
)

// KeyType is the kind of a key.
type KeyType int

// RSA is what RDS's default CA signs and what MySQL's oldest clients read; EC is ten times as fast to make.
const (
	EC KeyType = iota
	RSA
)

func (k KeyType) generate() (crypto.Signer, error) {
	if k == RSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// Folder is where NAME.crt and NAME.key are written.
type Folder struct{ Dir string }

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Authority makes a self-signed CA and writes it as NAME.crt and NAME.key.
func (f Folder) Authority(name, commonName string, keyType KeyType) (*Authority, error) {
	key, err := keyType.generate()
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	template, err := template(pkix.Name{CommonName: commonName})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	authority := &Authority{cert: template, key: key}
	if authority.cert, err = f.sign(name, template, authority, key); err != nil {
		return nil, err
	}
	return authority, nil
}

// Leaf is what a server's or a client's certificate says.
type Leaf struct {
	CommonName   string
	Organization string
	Usage        x509.ExtKeyUsage
	DNSNames     []string
	IPs          []string
	Key          KeyType
}

// Issue makes a key, lets the authority certify it and writes NAME.crt and NAME.key.
func (f Folder) Issue(name string, by *Authority, leaf Leaf) error {
	key, err := leaf.Key.generate()
	if err != nil {
		return fmt.Errorf("make the key of %s: %w", name, err)
	}
	subject := pkix.Name{CommonName: leaf.CommonName}
	if leaf.Organization != "" {
		subject.Organization = []string{leaf.Organization}
	}
	template, err := template(subject)
	if err != nil {
		return err
	}
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{leaf.Usage}
	template.DNSNames = leaf.DNSNames
	for _, address := range leaf.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	_, err = f.sign(name, template, by, key)
	return err
}

// KeyPair makes an RSA key and writes NAME.key and NAME.pub.
func (f Folder) KeyPair(name string) error {
	key, err := RSA.generate()
	if err != nil {
		return fmt.Errorf("make the key %s: %w", name, err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the key %s: %w", name, err)
	}
	if err := f.write(name+".pub", "PUBLIC KEY", public, 0o644); err != nil {
		return err
	}
	return f.writeKey(name, key)
}

func template(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject, NotBefore: now.Add(-before), NotAfter: now.Add(after),
	}, nil
}

func (f Folder) sign(name string, template *x509.Certificate, by *Authority, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	if err := f.write(name+".crt", "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	if err := f.writeKey(name, key); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// writeKey writes PKCS #8, which all of the servers here read.
func (f Folder) writeKey(name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key of %s: %w", name, err)
	}
	return f.write(name+".key", "PRIVATE KEY", der, 0o600)
}

func (f Folder) write(name, kind string, der []byte, mode os.FileMode) error {
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", f.Dir, err)
	}
	path := filepath.Join(f.Dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
