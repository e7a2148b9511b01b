package layout

import (
	"slices"
	"strings"
	"testing"
)

func TestAddressesStayInTheSlot(t *testing.T) {
	w := World{Root: "/p", Slot: 12}
	seen := map[string]bool{}
	for _, address := range w.Addresses() {
		if !strings.HasPrefix(address, "127.12.") {
			t.Errorf("%s is outside slot 12", address)
		}
		if seen[address] {
			t.Errorf("%s is used twice", address)
		}
		seen[address] = true
	}
}

func TestAddressesAreThoseOfTheContract(t *testing.T) {
	w := World{Root: "/p", Slot: 10}
	for got, want := range map[string]string{
		w.APIServerForward(): "127.10.0.1:7443",
		w.AWS():              "127.10.0.1:5000",
		w.ForwarderAddress(EndpointNamed("orders").Routes[0]): "127.10.1.1:3306",
		w.ServerAddress(EndpointNamed("orders").Routes[0]):    "127.10.2.1:3306",
		w.ForwarderAddress(EndpointNamed("ledger").Routes[0]): "127.10.1.21:3306",
		w.ServerAddress(EndpointNamed("ledger").Routes[1]):    "127.10.2.22:3306",
		strings.Join(w.ServerHosts(Orders), " "):              "127.10.2.1 127.10.2.3 127.10.2.51 127.10.2.52",
		strings.Join(w.ServerHosts(Ledger.Members[1]), " "):   "127.10.2.12 127.10.2.22 127.10.2.32 127.10.2.42",
		EndpointNamed("orders").Host:                          "orders.cworld000001.us-east-1.rds.amazonaws.com",
		EndpointNamed("ledger-ro").Host:                       "ledger.cluster-ro-cworld000001.us-east-1.rds.amazonaws.com",
		EndpointNamed("orders-proxy").Host:                    "orders-proxy.proxy-cworld000001.us-east-1.rds.amazonaws.com",
		w.Path(Billing.Part()):                                "/p/target/world/mariadb-billing",
		w.Path(Ledger.Members[0].Part()):                      "/p/target/world/mysql-ledger-1",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTheOperatorIsStoppedFirstAndEtcdLast(t *testing.T) {
	parts := Parts()
	if parts[0] != Operator || parts[len(parts)-1] != Etcd {
		t.Errorf("order is %v", parts)
	}
	if !slices.Contains(parts, "mysql-orders") || !slices.Contains(parts, "mariadb-billing") {
		t.Errorf("databases are missing in %v", parts)
	}
}

func TestAClustersEndpointsLeadToEitherMemberAndTheReadersNotToTheWriter(t *testing.T) {
	for _, name := range []string{"ledger", "ledger-ro", "reports"} {
		routes := EndpointNamed(name).Routes
		if len(routes) != 2 || routes[0].Instance == routes[1].Instance {
			t.Errorf("%s leads to %+v", name, routes)
		}
	}
	writer := EndpointNamed("ledger").Routes[0].Instance
	if writer != Ledger.Members[0] || EndpointNamed("ledger-ro").Routes[0].Instance == writer {
		t.Error("the first member is not the writer, or reads, too")
	}
}

func TestTwoWorldsNodesShareNothing(t *testing.T) {
	one, other := World{Root: "/p", Slot: 10}, World{Root: "/q", Slot: 99}
	for _, of := range []func(World) string{
		World.Bridge, World.BridgeMAC, World.Cgroup, World.PodNetwork, World.ServiceNetwork, World.PodAPIServer, World.PodAWS, World.PodNames,
		World.KubeletHealth, World.Scheduler, World.NodeControllers, World.ContainerdSocket,
		func(w World) string { return w.PodRoute(EndpointNamed("orders").Routes[0]) },
	} {
		if of(one) == of(other) {
			t.Errorf("both have %s", of(one))
		}
	}
	// The kernel's limit for the name of a network interface.
	if name := other.Bridge(); len(name) > 15 {
		t.Errorf("%s is too long", name)
	}
}
