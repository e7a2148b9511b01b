package aws

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"iamdb.dev/world/internal/layout"
)

func TestTheConfigurationIsWhatTheLauncherReadsAndPrivate(t *testing.T) {
	w := layout.World{Root: "/p", Slot: 10}
	path := filepath.Join(t.TempDir(), "aws.json")
	databases := []Database{{Instance: layout.Orders, Version: "8.0.33", MasterPassword: "secret", RootCommand: []string{"mysql"}}}
	for _, i := range layout.Ledger.Members {
		databases = append(databases, Database{Instance: i, Version: "8.0.33", MasterPassword: "ledgers", Promote: "promote", Follow: "follow"})
	}
	if err := WriteConfig(w, path, databases, []User{{"world-admin", "AKIA", "key"}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Listen, AuthConfig string
		Instances          []struct{ Host, Local, ResourceID, MasterUsername, Cluster string }
		Clusters           []struct {
			ResourceID, MasterPassword string
			Members                    []struct{ Instance, Promote, Follow string }
			Endpoints                  []endpoint
		}
		Proxies []struct {
			ID, Role, Target string
			Endpoints        []endpoint
		}
		Roles []struct {
			Trust struct {
				Statement []struct {
					Condition map[string]map[string]string
				}
			}
		}
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.10.0.1:5000" || c.AuthConfig != "/p/target/world/auth.json" {
		t.Errorf("got %+v", c)
	}
	if i := c.Instances[0]; i.Host != layout.Orders.Endpoint() || i.Local != "127.10.2.1:3306" || i.MasterUsername != "admin" {
		t.Errorf("got %+v", i)
	}
	if i := c.Instances[1]; i.Cluster != "ledger" || i.Local != "127.10.2.11:3306" {
		t.Errorf("got %+v", i)
	}
	ledger := c.Clusters[0]
	if ledger.ResourceID != layout.Ledger.ResourceID || len(ledger.Members) != 2 {
		t.Errorf("got %+v", ledger)
	}
	writer := ledger.Endpoints[0]
	if want := (route{Instance: "ledger-2", Address: "127.10.1.22", Local: "127.10.2.22:3306"}); writer.Kind != "writer" || writer.Routes[1] != want {
		t.Errorf("got %+v", writer)
	}
	if p := c.Proxies[0]; p.ID != layout.OrdersProxy.ID || p.Target != "orders" || len(p.Endpoints) != 2 {
		t.Errorf("got %+v", p)
	}
	condition := c.Roles[0].Trust.Statement[0].Condition["StringEquals"]
	if condition["kubernetes.default.svc:sub"] != "system:serviceaccount:shop:app" || condition["kubernetes.default.svc:aud"] != "sts.amazonaws.com" {
		t.Errorf("got %v", condition)
	}
}
