package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/layout"
)

// Kernel remembers the settings of the kernel that a kubelet changes for the whole machine. The first node of the machine saves them,
// the last one that goes sets them back. File is the record, for all worlds of this user.
type Kernel struct{ File string }

// settings are those that a kubelet sets.
var settings = []string{
	"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// record is good for one run of the machine only.
type record struct {
	Boot   string            `json:"boot"`
	Values map[string]string `json:"values"`
}

const proc = "/proc/sys/"

func read(setting string) (string, error) {
	text, err := os.ReadFile(filepath.Join(proc, setting))
	return strings.TrimSpace(string(text)), err
}

// Save records the settings, unless another node's start did.
func (k Kernel) Save(ctx context.Context) error {
	unlock, err := k.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now := record{Values: map[string]string{}}
	if now.Boot, err = read("kernel/random/boot_id"); err != nil {
		return fmt.Errorf("read the boot id: %w", err)
	}
	if saved, err := k.load(); err == nil && saved.Boot == now.Boot {
		return nil
	}
	for _, setting := range settings {
		if now.Values[setting], err = read(setting); err != nil {
			return fmt.Errorf("read the kernel's setting %s: %w", setting, err)
		}
	}
	return writeJSON(k.File, now)
}

// Restore sets back what was saved, unless another world's node still runs.
func (k Kernel) Restore(ctx context.Context, w layout.World) error {
	unlock, err := k.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	saved, err := k.load()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which settings the kernel had: %w", err)
	}
	others, err := otherNodes(w)
	if err != nil || others {
		return err
	}
	boot, err := read("kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("read the boot id: %w", err)
	}
	if saved.Boot == boot {
		for _, setting := range settings {
			if now, err := read(setting); err == nil && now == saved.Values[setting] {
				continue
			}
			if err := os.WriteFile(filepath.Join(proc, setting), []byte(saved.Values[setting]), 0o644); err != nil {
				return fmt.Errorf("set back the kernel's setting %s: %w", setting, err)
			}
		}
	}
	return os.Remove(k.File)
}

func (k Kernel) lock(ctx context.Context) (func(), error) {
	return cache.Lock(ctx, k.File+".lock", func() {})
}

func (k Kernel) load() (record, error) {
	var r record
	text, err := os.ReadFile(k.File)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

var bridgeName = regexp.MustCompile(`^iamdb\d+$`)

// otherNodes tells whether another world has a node: each has its bridge.
func otherNodes(w layout.World) (bool, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return false, fmt.Errorf("look for other nodes: %w", err)
	}
	for _, i := range interfaces {
		if bridgeName.MatchString(i.Name) && i.Name != w.Bridge() {
			return true, nil
		}
	}
	return false, nil
}
