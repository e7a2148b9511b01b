package world

import (
	"slices"
	"testing"

	"iamdb.dev/world/internal/forward"
	"iamdb.dev/world/internal/layout"
)

func TestAForwarderStandsBeforeEverythingThatTheOperatorSpeaksTo(t *testing.T) {
	w := layout.World{Root: "/p", Slot: 10}
	got := map[string]forward.Target{}
	listens := map[string][]string{}
	for _, target := range forwarders(w).Targets {
		listens[target.Name] = append(listens[target.Name], target.Listen)
		if len(listens[target.Name]) == 1 {
			got[target.Name] = target
		}
	}
	for name, addresses := range map[string][2]string{
		"apiserver": {"127.10.0.1:7443", "127.10.0.1:6443"},
		"aws":       {"127.10.0.1:5001", "127.10.0.1:5000"},
		"orders":    {"127.10.1.1:3306", "127.10.2.1:3306"},
		"ledger":    {"127.10.1.21:3306", "127.10.2.21:3306"},
		"billing":   {"127.10.1.2:3306", "127.10.2.2:3306"},
	} {
		if target := got[name]; target.Listen != addresses[0] || target.Upstream != addresses[1] {
			t.Errorf("%s stands at %s before %s", name, target.Listen, target.Upstream)
		}
	}
	if got["billing"].ServerName != layout.Billing.Endpoint() {
		t.Errorf("the server of billing is expected to be %s", got["billing"].ServerName)
	}
	if want := []string{"127.10.1.21:3306", "127.10.1.22:3306"}; !slices.Equal(listens["ledger"], want) {
		t.Errorf("ledger stands at %v", listens["ledger"])
	}
	if p := got["orders-proxy"]; !p.Terminate || p.Cert != w.PKI("orders-proxy.crt") || p.ServerName != layout.Orders.Endpoint() {
		t.Errorf("the proxy is %+v", p)
	}
}
