package mint

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vector is the token that AWS's own SDKs are tested with.
const vector = "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
	"&X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%2Faws4_request&X-Amz-Date=20240826T220000Z&X-Amz-Expires=900" +
	"&X-Amz-SignedHeaders=host&X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89"

var vectorArgs = strings.Fields("--host prod-instance.us-east-1.rds.amazonaws.com --port 3306 --user peccy --region us-east-1")

func now() time.Time { return time.Unix(1724709600, 0) }

func minted(t *testing.T, env map[string]string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, func(k string) string { return env[k] }, now, &out)
	return out.String(), err
}

func with(args ...string) []string { return append(append([]string{}, vectorArgs...), args...) }

func TestATokenIsAWSsVector(t *testing.T) {
	key := []string{"--access-key-id", "akid", "--secret-access-key", "secret"}
	env := map[string]string{"AWS_ACCESS_KEY_ID": "akid", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}
	for name, run := range map[string]func() (string, error){
		"flags":       func() (string, error) { return minted(t, nil, with(key...)...) },
		"environment": func() (string, error) { return minted(t, env, vectorArgs...) },
		"no mixing": func() (string, error) {
			return minted(t, map[string]string{"AWS_SESSION_TOKEN": "of another key"}, with(key...)...)
		},
		"instant": func() (string, error) { return minted(t, env, with("--at", "2024-08-27T00:00:00+02:00")...) },
	} {
		if got, err := run(); err != nil || got != vector+"\n" {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

func TestAtMovesTheInstant(t *testing.T) {
	got, err := minted(t, nil, with("--access-key-id", "akid", "--secret-access-key", "secret", "--at", "-20m", "--expires", "60")...)
	if err != nil || !strings.Contains(got, "X-Amz-Date=20240826T214000Z&X-Amz-Expires=60&") {
		t.Fatal(got, err)
	}
}

func TestHelpIsNoError(t *testing.T) {
	if got, err := minted(t, nil, "--help"); err != nil || got != usage {
		t.Fatal(got, err)
	}
}

func TestArgumentsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range []string{
		"", "--nonsense", "extra", "--at yesterday", "--expires 0", "--port 0", "--port x", "--role-arn r", "--assume",
		"--web-identity-token-file f", "--role-arn r --assume --web-identity-token-file f",
		"--role-arn r --web-identity-token-file f --external-id x", "--role-arn r --web-identity-token-file f --endpoint-url nowhere",
	} {
		env := map[string]string{"AWS_ACCESS_KEY_ID": "akid", "AWS_SECRET_ACCESS_KEY": "secret"}
		if args == "" {
			env = nil
		}
		if got, err := minted(t, env, with(strings.Fields(args)...)...); err == nil || got != "" {
			t.Errorf("%q: %q", args, got)
		}
	}
}

const stsAnswer = `<Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><NAMEResult><Credentials><AccessKeyId>ASIA</AccessKeyId>` +
	`<SecretAccessKey>s3cret</SecretAccessKey><SessionToken>a/b+c=</SessionToken><Expiration>2024-08-26T23:00:00Z</Expiration>` +
	`</Credentials></NAMEResult></Response>`

// newSTS answers as STS does and keeps the request's form and Authorization.
func newSTS(t *testing.T, status int) (endpoint string, form *url.Values, header *http.Header) {
	form, header = &url.Values{}, &http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		*form, *header = r.PostForm, r.Header
		header.Set("Host", r.Host)
		w.WriteHeader(status)
		if status != http.StatusOK {
			io.WriteString(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`)
			return
		}
		io.WriteString(w, strings.ReplaceAll(stsAnswer, "NAME", r.PostForm.Get("Action")))
	}))
	t.Cleanup(server.Close)
	return server.URL, form, header
}

func checkSessionToken(t *testing.T, got string) {
	t.Helper()
	if !strings.Contains(got, "X-Amz-Credential=ASIA%2F20240826%2F") || !strings.Contains(got, "&X-Amz-Security-Token=a%2Fb%2Bc%3D&") {
		t.Fatal(got)
	}
}

func TestARoleByWebIdentity(t *testing.T) {
	endpoint, form, header := newSTS(t, http.StatusOK)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("jwt.of.pod\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := minted(t, map[string]string{"AWS_ENDPOINT_URL": endpoint}, with("--role-arn", "arn:role", "--web-identity-token-file", file)...)
	if err != nil {
		t.Fatal(err)
	}
	checkSessionToken(t, got)
	if form.Get("WebIdentityToken") != "jwt.of.pod" || form.Get("RoleArn") != "arn:role" || header.Get("Authorization") != "" {
		t.Fatal(form, header)
	}
}

func TestARoleByAssumption(t *testing.T) {
	endpoint, form, header := newSTS(t, http.StatusOK)
	got, err := minted(t, nil, with("--access-key-id", "akid", "--secret-access-key", "secret", "--session-token", "t",
		"--role-arn", "arn:role", "--assume", "--external-id", "x", "--endpoint-url", endpoint)...)
	if err != nil {
		t.Fatal(err)
	}
	checkSessionToken(t, got)
	if form.Get("ExternalId") != "x" || header.Get("X-Amz-Date") != "20240826T220000Z" || header.Get("X-Amz-Security-Token") != "t" {
		t.Fatal(form, header)
	}
	signed := "AWS4-HMAC-SHA256 Credential=akid/20240826/us-east-1/sts/aws4_request, " +
		"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
	if !strings.HasPrefix(header.Get("Authorization"), signed) || header.Get("Host") != strings.TrimPrefix(endpoint, "http://") {
		t.Fatal(header)
	}
}

func TestARefusalTellsWhy(t *testing.T) {
	endpoint, _, _ := newSTS(t, http.StatusForbidden)
	got, err := minted(t, nil, with("--access-key-id", "akid", "--secret-access-key", "secret",
		"--role-arn", "arn:role", "--assume", "--endpoint-url", endpoint)...)
	if err == nil || got != "" || !strings.Contains(err.Error(), "AccessDenied: not you") || strings.Contains(err.Error(), "secret") {
		t.Fatal(got, err)
	}
}
