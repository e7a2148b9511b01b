package mint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	amzTime    = "20060102T150405Z"
	amzDate    = "20060102"
	terminator = "aws4_request"
)

// credentials sign; the session token is empty for a long-term key.
type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
}

// scope says where and when a signature counts.
type scope struct {
	at      time.Time
	region  string
	service string
}

func (s scope) String() string {
	return strings.Join([]string{s.at.UTC().Format(amzDate), s.region, s.service, terminator}, "/")
}

// canonicalRequest is what is signed. The header names are lower-case, their values trimmed.
type canonicalRequest struct {
	method, path, query string
	headers             map[string]string
	body                string
}

func (r canonicalRequest) signedHeaders() string {
	names := make([]string, 0, len(r.headers))
	for name := range r.headers {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ";")
}

func (r canonicalRequest) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.method, r.path, r.query)
	for _, name := range strings.Split(r.signedHeaders(), ";") {
		fmt.Fprintf(&b, "%s:%s\n", name, r.headers[name])
	}
	fmt.Fprintf(&b, "\n%s\n%s", r.signedHeaders(), digest(r.body))
	return b.String()
}

// sign answers the signature in hexadecimal.
func sign(r canonicalRequest, s scope, c credentials) string {
	toSign := strings.Join([]string{algorithm, s.at.UTC().Format(amzTime), s.String(), digest(r.String())}, "\n")
	key := []byte("AWS4" + c.SecretAccessKey)
	for _, part := range strings.Split(s.String(), "/") {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, toSign))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// canonicalQuery sorts and encodes as SigV4 wants it: only letters, digits and -_.~ stay, a space is %20.
func canonicalQuery(params map[string]string) string {
	pairs := make([]string, 0, len(params))
	for name, value := range params {
		pairs = append(pairs, encode(name)+"="+encode(value))
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

func encode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
