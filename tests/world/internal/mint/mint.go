// Package mint signs RDS IAM tokens for any instant. It shares nothing with the product, so that tests can tell a good token
// from a bad one without believing what they test.
package mint

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const usage = `mint signs an RDS IAM token and prints it.

usage: mint --host H --user U [--port 3306] [--region R] [--at TIME] [--expires 900] [CREDENTIALS]

  --host H                    endpoint that the token is for
  --port P                    port of the endpoint (default 3306)
  --user U                    database user
  --region R                  Region (default $AWS_REGION, then $AWS_DEFAULT_REGION)
  --at TIME                   instant of the signature, as 2026-01-01T12:00:00Z or from now as -20m or 5m (default now)
  --expires SECONDS           life of the token (default 900, which is all that RDS accepts)

CREDENTIALS are a key:
  --access-key-id ID          (default $AWS_ACCESS_KEY_ID)
  --secret-access-key SECRET  (default $AWS_SECRET_ACCESS_KEY)
  --session-token TOKEN       (default $AWS_SESSION_TOKEN, unless a key is given)

or a role, which STS is asked for now, whatever --at says:
  --role-arn ARN              the role
  --web-identity-token-file F by web identity, with the token in this file
  --assume                    by the key above
  --external-id X             goes with --assume
  --session-name NAME         (default mint)
  --endpoint-url URL          where STS is (default $AWS_ENDPOINT_URL_STS, then $AWS_ENDPOINT_URL, then AWS's own in the Region)

examples:
  mint --host "$WORLD_ORDERS_HOST" --user app
  mint --host "$WORLD_ORDERS_HOST" --user app --at -20m                  # has expired
  mint --host "$WORLD_ORDERS_HOST" --user app --role-arn arn:aws:iam::123456789012:role/shop-app --web-identity-token-file token
`

// Main runs `mint`.
func Main(args []string) error {
	return run(context.Background(), args, os.Getenv, time.Now, os.Stdout)
}

// options are the flags after their defaults are filled in.
type options struct {
	login      login
	key        credentials
	role       string
	webToken   string
	assume     bool
	externalID string
	session    string
	endpoint   string
}

// run is Main with the environment, the clock and the output as arguments.
func run(ctx context.Context, args []string, env func(string) string, now func() time.Time, out io.Writer) error {
	o, err := parse(args, env, now)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(out, usage)
		return err
	}
	if err != nil {
		return err
	}
	c, err := o.credentials(ctx, now)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, token(o.login, c))
	return err
}

func (o options) credentials(ctx context.Context, now func() time.Time) (credentials, error) {
	s := sts{endpoint: o.endpoint, region: o.login.region, now: now}
	switch {
	case o.assume:
		return s.assumeRole(ctx, o.role, o.session, o.externalID, o.key)
	case o.webToken != "":
		raw, err := os.ReadFile(o.webToken)
		if err != nil {
			return credentials{}, err
		}
		return s.withWebIdentity(ctx, o.role, o.session, strings.TrimSpace(string(raw)))
	default:
		return o.key, nil
	}
}

func parse(args []string, env func(string) string, now func() time.Time) (options, error) {
	var o options
	var at string
	f := flag.NewFlagSet("mint", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.login.host, "host", "", "")
	f.StringVar(&o.login.port, "port", "3306", "")
	f.StringVar(&o.login.user, "user", "", "")
	f.StringVar(&o.login.region, "region", first(env("AWS_REGION"), env("AWS_DEFAULT_REGION")), "")
	f.StringVar(&at, "at", "", "")
	f.IntVar(&o.login.expires, "expires", 900, "")
	f.StringVar(&o.key.AccessKeyID, "access-key-id", "", "")
	f.StringVar(&o.key.SecretAccessKey, "secret-access-key", "", "")
	f.StringVar(&o.key.SessionToken, "session-token", "", "")
	f.StringVar(&o.role, "role-arn", "", "")
	f.StringVar(&o.webToken, "web-identity-token-file", "", "")
	f.BoolVar(&o.assume, "assume", false, "")
	f.StringVar(&o.externalID, "external-id", "", "")
	f.StringVar(&o.session, "session-name", "mint", "")
	f.StringVar(&o.endpoint, "endpoint-url", first(env("AWS_ENDPOINT_URL_STS"), env("AWS_ENDPOINT_URL")), "")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is too much; see --help", f.Arg(0))
	}
	o.key = orEnvironment(o.key, env)
	var err error
	if o.login.at, err = instant(at, now()); err != nil {
		return o, err
	}
	if o.endpoint == "" {
		o.endpoint = "https://sts." + o.login.region + ".amazonaws.com"
	}
	return o, o.check()
}

func (o options) check() error {
	if port, err := strconv.ParseUint(o.login.port, 10, 16); err != nil || port == 0 {
		return fmt.Errorf("--port: %q is no port", o.login.port)
	}
	switch {
	case o.login.host == "" || o.login.user == "":
		return errors.New("--host and --user are needed; see --help")
	case o.login.region == "":
		return errors.New("--region is needed, or AWS_REGION")
	case o.login.expires <= 0:
		return errors.New("--expires must be positive")
	case o.assume && o.webToken != "":
		return errors.New("--assume and --web-identity-token-file exclude each other")
	case o.role == "" && (o.assume || o.webToken != "" || o.externalID != ""):
		return errors.New("--role-arn is needed for --assume, --web-identity-token-file and --external-id")
	case o.role != "" && !o.assume && o.webToken == "":
		return errors.New("--role-arn needs --assume or --web-identity-token-file")
	case o.externalID != "" && !o.assume:
		return errors.New("--external-id goes with --assume")
	case o.webToken == "" && (o.key.AccessKeyID == "" || o.key.SecretAccessKey == ""):
		return errors.New("no key: give --access-key-id and --secret-access-key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case o.role != "":
		return checkEndpoint(o.endpoint)
	}
	return nil
}

// orEnvironment takes the key from the environment when none was given. The parts of two keys are never mixed.
func orEnvironment(given credentials, env func(string) string) credentials {
	if given.AccessKeyID != "" || given.SecretAccessKey != "" {
		return given
	}
	return credentials{AccessKeyID: env("AWS_ACCESS_KEY_ID"), SecretAccessKey: env("AWS_SECRET_ACCESS_KEY"),
		SessionToken: first(given.SessionToken, env("AWS_SESSION_TOKEN"))}
}

// instant reads an RFC 3339 time or a distance from now.
func instant(at string, now time.Time) (time.Time, error) {
	if at == "" {
		return now, nil
	}
	if distance, err := time.ParseDuration(at); err == nil {
		return now.Add(distance), nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return t, fmt.Errorf("--at: %q is neither like 2026-01-01T12:00:00Z nor like -20m", at)
	}
	return t, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
