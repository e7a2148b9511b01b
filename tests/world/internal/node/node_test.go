package node

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iamdb.dev/world/internal/layout"
)

var world = layout.World{Root: "/p", Slot: 12}

func TestEverythingOfANodeLiesInItsFolder(t *testing.T) {
	config := containerdConfig(world)
	for _, key := range []string{"root", "state", "address", "path", "Root", "conf_dir"} {
		found := false
		for _, line := range strings.Split(config, "\n") {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
			if name == key {
				found = true
				if !strings.HasPrefix(value, `"`+world.Node()+"/") {
					t.Errorf("%s is %s", key, value)
				}
			}
		}
		if !found {
			t.Errorf("%s is left to its default", key)
		}
	}
}

func TestTheMachineForwardsNothingForPods(t *testing.T) {
	plugin := podNetworkConfig(world)["plugins"].([]object)[0]
	if plugin["isGateway"] != false || plugin["ipMasq"] != false {
		t.Errorf("got %v", plugin)
	}
}

func TestPodsReachEveryEndpointThroughItsForwarder(t *testing.T) {
	config := gatewayOf(world)
	relays := map[string]string{}
	for _, r := range config.Relays {
		if !strings.HasPrefix(r.Listen, "10.24") || !strings.HasPrefix(r.Upstream, "127.12.") {
			t.Errorf("%s leads to %s", r.Listen, r.Upstream)
		}
		relays[r.Listen] = r.Upstream
	}
	for _, e := range layout.Endpoints() {
		for _, r := range e.Routes {
			seen := config.Names.Seen[world.ForwarderHost(r)]
			if relays[seen+":3306"] != world.ForwarderAddress(r) {
				t.Errorf("%s is %s to a pod, which leads to %s", e.Host, seen, relays[seen+":3306"])
			}
			if !slices.Contains(addresses(world), seen) {
				t.Errorf("%s is no address of the bridge", seen)
			}
		}
	}
}

func TestOnlyShimsOfOurOwnContainerdAreEnded(t *testing.T) {
	socket := world.ContainerdSocket()
	for args, want := range map[string]bool{
		"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id a -address " + socket:                       true,
		"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id a -address /run/containerd/containerd.sock": false,
		"/usr/bin/containerd-shim-runc-v2 -address":                                                         false,
		"tail -address " + socket: false,
	} {
		if isShim(strings.Fields(args), socket) != want {
			t.Errorf("%s: %v is wrong", args, !want)
		}
	}
}

func TestMountsBelowTheFolderAreFoundInTheirOrder(t *testing.T) {
	text := `30 1 8:1 / / rw - ext4 /dev/root rw
41 30 0:40 / /p/target/world/node/kubelet/pods/a\040b/volumes rw - tmpfs tmpfs rw
42 41 0:41 / /p/target/world/node/kubelet/pods/a\040b/volumes/in rw - tmpfs tmpfs rw
43 30 0:42 / /p/target/world/nodes rw - tmpfs tmpfs rw
`
	want := []string{"/p/target/world/node/kubelet/pods/a b/volumes", "/p/target/world/node/kubelet/pods/a b/volumes/in"}
	if got := mountPoints(text, world.Node()); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestTheFirstNodeOfAMachineSavesTheSettings(t *testing.T) {
	kernel := Kernel{File: filepath.Join(t.TempDir(), "settings")}
	ctx := context.Background()
	if err := kernel.Save(ctx); err != nil {
		t.Fatal(err)
	}
	saved, err := kernel.load()
	if err != nil || len(saved.Values) != len(settings) {
		t.Fatalf("got %v, %v", saved, err)
	}
	// What a second node finds is what the first one's kubelet has set.
	saved.Values["vm/overcommit_memory"] = "of the first node"
	write := func(r record) {
		text, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(kernel.File, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(saved)
	if err := kernel.Save(ctx); err != nil {
		t.Fatal(err)
	}
	if again, _ := kernel.load(); again.Values["vm/overcommit_memory"] != "of the first node" {
		t.Error("the second node's start forgot what the first one had saved")
	}
	// Of another run of the machine nothing is worth keeping.
	saved.Boot = "another"
	write(saved)
	if err := kernel.Save(ctx); err != nil {
		t.Fatal(err)
	}
	if again, _ := kernel.load(); again.Values["vm/overcommit_memory"] == "of the first node" {
		t.Error("settings of another run of the machine were kept")
	}
}
