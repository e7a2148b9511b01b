package world

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"iamdb.dev/world/internal/layout"
)

func TestTheEnvironmentIsSourcedWholeFromAnOddPath(t *testing.T) {
	w := layout.World{Root: filepath.Join(t.TempDir(), "it's here"), Slot: 10}
	if err := os.MkdirAll(w.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	s := newSecrets()
	if err := os.WriteFile(w.Path("env"), []byte(environment(w, s)), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("/bin/sh", "-euc", `. "$0"; env`, w.Path("env"))
	shell.Env = []string{"PATH=/usr/bin:/bin", "AWS_SESSION_TOKEN=of-the-caller", "AWS_PROFILE=of-the-caller"}
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, line := range strings.Split(string(out), "\n") {
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	for name, want := range map[string]string{
		"KUBECONFIG":                    w.AdminKubeconfig(),
		"PATH":                          w.Path("bin") + ":/usr/bin:/bin",
		"AWS_ENDPOINT_URL":              "http://127.10.0.1:5000",
		"AWS_SECRET_ACCESS_KEY":         s.Admin.SecretAccessKey,
		"WORLD_ORDERS_HOST":             layout.Orders.Endpoint(),
		"WORLD_BILLING_PORT":            "3306",
		"WORLD_BILLING_SOCKET":          w.Socket(layout.Billing),
		"WORLD_ORDERS_LEGACY_PASSWORD":  s.Databases["orders"].Legacy,
		"WORLD_LEDGER_HOST":             "ledger.cluster-cworld000001.us-east-1.rds.amazonaws.com",
		"WORLD_LEDGER_SOCKET":           w.Socket(layout.Ledger.Members[0]),
		"WORLD_LEDGER_LOG":              w.QueryLog(layout.Ledger.Members[0]),
		"WORLD_LEDGER_RO_HOST":          "ledger.cluster-ro-cworld000001.us-east-1.rds.amazonaws.com",
		"WORLD_LEDGER_2_SOCKET":         w.Socket(layout.Ledger.Members[1]),
		"WORLD_REPORTS_HOST":            "reports.cluster-custom-cworld000001.us-east-1.rds.amazonaws.com",
		"WORLD_ORDERS_PROXY_HOST":       "orders-proxy.proxy-cworld000001.us-east-1.rds.amazonaws.com",
		"WORLD_ORDERS_PROXY_RO_HOST":    "orders-proxy-ro.endpoint.proxy-cworld000001.us-east-1.rds.amazonaws.com",
		"WORLD_TRUST_STORE":             "http://127.10.0.1:5000",
		"WORLD_TRUST_STORE_HTTPS":       "https://truststore.pki.rds.amazonaws.com:5443",
		"WORLD_PROXY_CA":                w.PKI("proxy-ca.crt"),
		"WORLD_OPERATOR_PID":            w.Path("run", "operator.pid"),
		"WORLD_FORWARD":                 "http://127.10.0.1:9900",
		"WORLD_OPERATOR_URL":            "http://127.10.0.1:8080",
		"AWS_SESSION_TOKEN":             "",
		"AWS_PROFILE":                   "",
		"WORLD_BILLING_LEGACY_PASSWORD": s.Databases["billing"].Legacy,
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}
