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
		w.APIServerForward():       "127.10.0.1:7443",
		w.AWS():                    "127.10.0.1:5000",
		w.EndpointAddress(Orders):  "127.10.1.1:3306",
		w.ServerAddress(Orders):    "127.10.2.1:3306",
		w.EndpointAddress(Billing): "127.10.1.2:3306",
		w.ServerAddress(Billing):   "127.10.2.2:3306",
		Orders.Endpoint():          "orders.cworld000001.us-east-1.rds.amazonaws.com",
		w.Path(Billing.Part()):     "/p/target/world/mariadb-billing",
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
