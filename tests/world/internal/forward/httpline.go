package forward

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// formLimit bounds what is read of a body in search of its Action; AWS's own limit for a policy is far below.
const formLimit = 1 << 20

// pathLine is the request as the apiserver's audit log tells it: method, path and query.
func pathLine(r *http.Request) (string, error) {
	return r.Method + " " + r.RequestURI, nil
}

// awsLine names the call as an IAM policy does: `iam:CreatePolicy`. The service comes from the signature's scope; an unsigned
// call is STS's, as nothing else may be unsigned. Calls that have a path instead of an action are told by method and path.
func awsLine(r *http.Request) (string, error) {
	head, err := io.ReadAll(io.LimitReader(r.Body, formLimit))
	if err != nil {
		return "", err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}

	query := r.URL.Query()
	service := scopeService(r.Header.Get("Authorization"))
	if service == "" {
		service = credentialService(query.Get("X-Amz-Credential"))
	}
	if service == "" {
		service = "sts"
	}
	return service + ":" + awsAction(r, head, query), nil
}

func awsAction(r *http.Request, head []byte, query url.Values) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(head)); err == nil && form.Get("Action") != "" {
			return form.Get("Action")
		}
	}
	if action := query.Get("Action"); action != "" {
		return action
	}
	return r.Method + " " + r.URL.Path
}

// scopeService reads the service of `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`.
func scopeService(authorization string) string {
	_, rest, found := strings.Cut(authorization, "Credential=")
	if !found {
		return ""
	}
	credential, _, _ := strings.Cut(rest, ",")
	return credentialService(strings.TrimSpace(credential))
}

func credentialService(credential string) string {
	parts := strings.Split(credential, "/")
	if len(parts) < 5 {
		return ""
	}
	return parts[len(parts)-2]
}
