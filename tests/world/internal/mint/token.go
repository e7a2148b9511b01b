package mint

import (
	"strconv"
	"time"
)

// login is what an RDS IAM token lets in.
type login struct {
	host, port, user, region string
	at                       time.Time
	expires                  int
}

// token is the presigned URL of rds-db:connect without its scheme, which RDS takes as the password.
func token(l login, c credentials) string {
	s := scope{at: l.at, region: l.region, service: "rds-db"}
	host := l.host + ":" + l.port
	params := map[string]string{
		"Action":              "connect",
		"DBUser":              l.user,
		"X-Amz-Algorithm":     algorithm,
		"X-Amz-Credential":    c.AccessKeyID + "/" + s.String(),
		"X-Amz-Date":          l.at.UTC().Format(amzTime),
		"X-Amz-Expires":       strconv.Itoa(l.expires),
		"X-Amz-SignedHeaders": "host",
	}
	if c.SessionToken != "" {
		params["X-Amz-Security-Token"] = c.SessionToken
	}
	query := canonicalQuery(params)
	signature := sign(canonicalRequest{method: "GET", path: "/", query: query, headers: map[string]string{"host": host}}, s, c)
	return host + "/?" + query + "&X-Amz-Signature=" + signature
}
