package mint

import (
	"testing"
	"time"
)

// The case get-vanilla of AWS's published SigV4 test suite: a signature over headers.
func TestAHeaderSignatureIsAWSsVector(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	r := canonicalRequest{method: "GET", path: "/", headers: map[string]string{"host": "example.amazonaws.com", "x-amz-date": at.Format(amzTime)}}
	got := sign(r, scope{at: at, region: "us-east-1", service: "service"},
		credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"})
	if want := "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"; got != want {
		t.Fatalf("%s, not %s", got, want)
	}
}

func TestEncodingIsSigV4s(t *testing.T) {
	if got := canonicalQuery(map[string]string{"b": "ä ~*'", "a": "x+y/z="}); got != "a=x%2By%2Fz%3D&b=%C3%A4%20~%2A%27" {
		t.Fatal(got)
	}
}
