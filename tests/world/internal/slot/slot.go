// Package slot chooses the block of loopback addresses of a world, so that worlds of several clones stand side by side.
package slot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/layout"
)

const (
	first = 10
	last  = 99
)

// Claims is the folder where worlds of this machine say which slot they took. A world whose parts are still starting
// listens nowhere yet: without claims two that start together would take the same slot.
type Claims struct{ Dir string }

// Choose takes the first free slot for the project at root, remembers it in target/world/slot and claims it.
func (c Claims) Choose(ctx context.Context, root string) (layout.World, error) {
	unlock, err := cache.Lock(ctx, filepath.Join(c.Dir, "lock"), func() {})
	if err != nil {
		return layout.World{}, err
	}
	defer unlock()
	for number := first; number <= last; number++ {
		world := layout.World{Root: root, Slot: number}
		if c.claimedByOther(world) || !free(world.Addresses()) {
			continue
		}
		if err := os.MkdirAll(world.Dir(), 0o755); err != nil {
			return layout.World{}, fmt.Errorf("make %s: %w", world.Dir(), err)
		}
		err := errors.Join(
			os.WriteFile(world.Path("slot"), []byte(strconv.Itoa(number)+"\n"), 0o644),
			os.WriteFile(c.claim(number), []byte(root+"\n"), 0o644),
		)
		if err != nil {
			return layout.World{}, fmt.Errorf("remember slot %d: %w", number, err)
		}
		return world, nil
	}
	return layout.World{}, fmt.Errorf("no free slot between 127.%d.0.1 and 127.%d.0.1: other worlds or services hold their ports", first, last)
}

// Remembered answers the slot that the world of this project took.
func Remembered(root string) (layout.World, bool) {
	text, err := os.ReadFile(layout.World{Root: root}.Path("slot"))
	if err != nil {
		return layout.World{}, false
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || number < first || number > last {
		return layout.World{}, false
	}
	return layout.World{Root: root, Slot: number}, true
}

func (c Claims) claim(number int) string { return filepath.Join(c.Dir, strconv.Itoa(number)) }

// claimedByOther holds while the claiming project still remembers the slot: `world down` there takes the memory away.
func (c Claims) claimedByOther(world layout.World) bool {
	text, err := os.ReadFile(c.claim(world.Slot))
	if err != nil {
		return false
	}
	owner := strings.TrimSpace(string(text))
	remembered, ok := Remembered(owner)
	return owner != world.Root && ok && remembered.Slot == world.Slot
}

func free(addresses []string) bool {
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		_ = listener.Close()
	}
	return true
}
