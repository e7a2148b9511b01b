package mint

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	stsVersion = "2011-06-15"
	formType   = "application/x-www-form-urlencoded; charset=utf-8"
	// answerLimit is far above what STS sends.
	answerLimit = 1 << 20
	stsTimeout  = 30 * time.Second
)

// sts asks for a role's credentials.
type sts struct {
	endpoint string
	region   string
	now      func() time.Time
}

// withWebIdentity exchanges a Kubernetes token; the request needs no signature.
func (s sts) withWebIdentity(ctx context.Context, roleARN, session, webToken string) (credentials, error) {
	form := map[string]string{"Action": "AssumeRoleWithWebIdentity", "Version": stsVersion,
		"RoleArn": roleARN, "RoleSessionName": session, "WebIdentityToken": webToken}
	return s.ask(ctx, form, nil)
}

// assumeRole exchanges other credentials.
func (s sts) assumeRole(ctx context.Context, roleARN, session, externalID string, with credentials) (credentials, error) {
	form := map[string]string{"Action": "AssumeRole", "Version": stsVersion, "RoleArn": roleARN, "RoleSessionName": session}
	if externalID != "" {
		form["ExternalId"] = externalID
	}
	return s.ask(ctx, form, &with)
}

func (s sts) ask(ctx context.Context, form map[string]string, with *credentials) (credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, stsTimeout)
	defer cancel()
	body := canonicalQuery(form)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(body))
	if err != nil {
		return credentials{}, err
	}
	if request.URL.Path == "" {
		request.URL.Path = "/"
	}
	request.Header.Set("Content-Type", formType)
	if with != nil {
		s.signHeader(request, body, *with)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		// The URL in the error is the endpoint's; the parameters are in the body.
		return credentials{}, fmt.Errorf("%s: %w", form["Action"], err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return credentials{}, fmt.Errorf("%s: %w", form["Action"], err)
	}
	if response.StatusCode != http.StatusOK {
		return credentials{}, fmt.Errorf("%s: %w", form["Action"], refusal(response.Status, raw))
	}
	c, err := parseCredentials(raw)
	if err != nil {
		return credentials{}, fmt.Errorf("%s: %w", form["Action"], err)
	}
	return c, nil
}

func (s sts) signHeader(r *http.Request, body string, c credentials) {
	where := scope{at: s.now(), region: s.region, service: "sts"}
	headers := map[string]string{"host": r.URL.Host, "content-type": formType, "x-amz-date": where.at.UTC().Format(amzTime)}
	if c.SessionToken != "" {
		headers["x-amz-security-token"] = c.SessionToken
	}
	canonical := canonicalRequest{method: r.Method, path: r.URL.EscapedPath(), query: r.URL.RawQuery, headers: headers, body: body}
	for name, value := range headers {
		if name != "host" {
			r.Header.Set(name, value)
		}
	}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		algorithm, c.AccessKeyID, where, canonical.signedHeaders(), sign(canonical, where, c)))
}

// parseCredentials reads the answer of either call; only the names around the credentials differ.
func parseCredentials(raw []byte) (credentials, error) {
	type result struct {
		Credentials credentials
	}
	var answer struct {
		Assumed     result `xml:"AssumeRoleResult"`
		WebIdentity result `xml:"AssumeRoleWithWebIdentityResult"`
	}
	if err := xml.Unmarshal(raw, &answer); err != nil {
		return credentials{}, fmt.Errorf("the answer is no XML: %w", err)
	}
	for _, c := range []credentials{answer.Assumed.Credentials, answer.WebIdentity.Credentials} {
		if c.AccessKeyID != "" && c.SecretAccessKey != "" && c.SessionToken != "" {
			return c, nil
		}
	}
	return credentials{}, errors.New("the answer holds no credentials")
}

// refusal is STS's reason; an answer that is not STS's is told by its status alone. Emulators put one more element around the
// error than AWS does.
func refusal(status string, raw []byte) error {
	type reason struct {
		Code    string
		Message string
	}
	var answer struct {
		Error  reason
		Errors struct{ Error reason }
	}
	if err := xml.Unmarshal(raw, &answer); err != nil {
		return errors.New(status)
	}
	for _, r := range []reason{answer.Error, answer.Errors.Error} {
		if r.Code != "" {
			return fmt.Errorf("%s: %s: %s", status, r.Code, r.Message)
		}
	}
	return errors.New(status)
}

func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--endpoint-url: %q is no http or https URL", endpoint)
	}
	return nil
}
