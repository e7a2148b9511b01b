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
		Instances          []struct{ Host, Local, ResourceID, MasterUsername string }
		Roles              []struct {
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
	condition := c.Roles[0].Trust.Statement[0].Condition["StringEquals"]
	if condition["kubernetes.default.svc:sub"] != "system:serviceaccount:shop:app" || condition["kubernetes.default.svc:aud"] != "sts.amazonaws.com" {
		t.Errorf("got %v", condition)
	}
}
