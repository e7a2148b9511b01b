package slot

import (
	"context"
	"net"
	"os"
	"testing"

	"iamdb.dev/world/internal/layout"
)

func choose(t *testing.T, c Claims, root string) layout.World {
	t.Helper()
	world, err := c.Choose(context.Background(), root)
	if err != nil {
		t.Fatal(err)
	}
	return world
}

func TestTwoProjectsNeverShareASlotEvenBeforeTheyListen(t *testing.T) {
	c := Claims{Dir: t.TempDir()}
	one, two := choose(t, c, t.TempDir()), choose(t, c, t.TempDir())
	if one.Slot == two.Slot {
		t.Errorf("both took slot %d", one.Slot)
	}
	if again, ok := Remembered(one.Root); !ok || again != one {
		t.Errorf("slot %d is remembered as %v", one.Slot, again)
	}
}

func TestASlotIsFreeAgainWhenItsWorldIsGone(t *testing.T) {
	c := Claims{Dir: t.TempDir()}
	one := choose(t, c, t.TempDir())
	if err := os.RemoveAll(one.Dir()); err != nil {
		t.Fatal(err)
	}
	if next := choose(t, c, t.TempDir()); next.Slot != one.Slot {
		t.Errorf("slot %d was not reused, took %d", one.Slot, next.Slot)
	}
}

func TestASlotWithOneBusyAddressIsSkipped(t *testing.T) {
	c := Claims{Dir: t.TempDir()}
	one := choose(t, c, t.TempDir())
	if err := os.RemoveAll(one.Dir()); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", one.ServerAddress(layout.EndpointNamed("billing").Routes[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if next := choose(t, c, t.TempDir()); next.Slot == one.Slot {
		t.Errorf("slot %d was taken although %s is busy", one.Slot, listener.Addr())
	}
}

func TestAnUnreadableMemoryIsNoSlot(t *testing.T) {
	root := t.TempDir()
	world := layout.World{Root: root}
	if err := os.MkdirAll(world.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "ten", "-1", "300"} {
		if err := os.WriteFile(world.Path("slot"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ok := Remembered(root); ok {
			t.Errorf("%q was taken as a slot", text)
		}
	}
}
