package world

import (
	"fmt"
	"strconv"
	"strings"

	"iamdb.dev/world/internal/host"
	"iamdb.dev/world/internal/layout"
)

// trustStore is where RDS's CA bundles are, by the name that its certificate has.
func trustStore(w layout.World) string {
	return "https://" + strings.Replace(w.TrustStore(), w.Host(), layout.TrustStoreHost, 1)
}

// environment is target/world/env: what a shell, a test or the demo needs to know of a world.
func environment(w layout.World, s secrets) string {
	variables := [][2]string{
		{"KUBECONFIG", w.AdminKubeconfig()},
		{"AWS_ENDPOINT_URL", "http://" + w.AWS()},
		{"AWS_REGION", layout.Region},
		// Python's and the older command line's name for it.
		{"AWS_DEFAULT_REGION", layout.Region},
		{"AWS_ACCESS_KEY_ID", s.Admin.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", s.Admin.SecretAccessKey},
		{"WORLD_EXEC", w.Exec()},
		{"WORLD_CA", w.PKI("database-ca.crt")},
		{"WORLD_TRUST_STORE", "http://" + w.AWS()},
		{"WORLD_TRUST_STORE_HTTPS", trustStore(w)},
		{"WORLD_PROXY_CA", w.PKI("proxy-ca.crt")},
		{"WORLD_OTHER_CA", w.PKI("other-ca.crt")},
	}
	// The writer at the beginning is what the cluster's name alone means.
	for _, e := range layout.Endpoints() {
		i := e.Routes[0].Instance
		prefix := "WORLD_" + strings.ReplaceAll(strings.ToUpper(e.Name), "-", "_")
		variables = append(variables, [2]string{prefix + "_HOST", e.Host}, [2]string{prefix + "_PORT", strconv.Itoa(layout.DatabasePort)})
		if e.Kind != layout.OfInstance && e.Kind != layout.OfWriter {
			continue
		}
		variables = append(variables,
			[2]string{prefix + "_SOCKET", w.Socket(i)},
			[2]string{prefix + "_LOG", w.QueryLog(i)},
			[2]string{prefix + "_LEGACY_PASSWORD", s.passwords(i).Legacy},
		)
	}
	variables = append(variables, [][2]string{
		{"WORLD_AUDIT_LOG", w.AuditLog()},
		{"WORLD_AUTH_LOG", w.AuthLog()},
		{"WORLD_AWS_LOG", w.AWSRequestLog()},
		{"WORLD_OPERATOR_LOG", w.Log(layout.Operator)},
		{"WORLD_OPERATOR_PID", processes(w).PIDFile(layout.Operator)},
		{"WORLD_FORWARD", "http://" + w.ForwardControl()},
		{"WORLD_AWS_CONTROL", "http://" + w.AWS()},
		{"WORLD_OPERATOR_URL", "http://" + w.Operator()},
	}...)

	var text strings.Builder
	text.WriteString("# Made by `world up`, to be sourced.\n")
	for _, v := range variables {
		fmt.Fprintf(&text, "export %s=%s\n", v[0], host.Quote(v[1]))
	}
	// A session token of the caller's own would not fit the keys above.
	text.WriteString("unset AWS_SESSION_TOKEN AWS_PROFILE\n")
	fmt.Fprintf(&text, "export PATH=%s:\"$PATH\"\n", host.Quote(w.Path("bin")))
	return text.String()
}
