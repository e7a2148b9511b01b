package world

import (
	"context"
	"fmt"
	"os"

	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/slot"
)

// Up brings the world up: nothing happens to what runs, what is dead is started again. The operator is left out on request.
func (p *Project) Up(ctx context.Context, withOperator bool) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()

	w, exists := slot.Remembered(p.Root)
	if exists && complete(w) && len(dead(w, withOperator)) == 0 {
		p.Report.Say("the world is up already, in slot %d (127.%d.x.x); nothing changed", w.Slot, w.Slot)
		return nil
	}
	if why := unusable(w); exists && why != "" {
		p.Report.Say("%s: the world starts afresh", why)
		if err := p.wipe(ctx, w); err != nil {
			return err
		}
		exists = false
	}
	t, err := p.prepare(ctx, withOperator)
	if err != nil {
		return err
	}
	if !exists {
		if w, err = p.create(ctx); err != nil {
			return err
		}
	}
	// Until everything is there again, that its processes run does not make a world.
	if err := os.RemoveAll(completeFile(w)); err != nil {
		return fmt.Errorf("begin to start the world: %w", err)
	}
	if err := p.start(ctx, w, t); err != nil {
		return err
	}
	if err := os.WriteFile(completeFile(w), nil, 0o644); err != nil {
		return fmt.Errorf("remember that the world is complete: %w", err)
	}
	if withOperator {
		if err := p.startOperator(ctx, w, DefaultLog); err != nil {
			return err
		}
	}
	p.Report.Say("the world is up: . target/world/env")
	return nil
}

// completeFile is there while the last start of the parts came to its end.
func completeFile(w layout.World) string { return w.Path("run", "complete") }

func complete(w layout.World) bool {
	_, err := os.Stat(completeFile(w))
	return err == nil
}

// dead lists the parts that should run and do not.
func dead(w layout.World, withOperator bool) []string {
	var names []string
	for _, part := range layout.Parts() {
		if part == layout.Operator && !withOperator {
			continue
		}
		if _, alive := processes(w).Alive(part); !alive {
			names = append(names, part)
		}
	}
	return names
}

// unusable says why what is left of a world is not worth starting again, or nothing.
func unusable(w layout.World) string {
	if _, err := os.Stat(processes(w).PIDFile(layout.AWS)); err != nil {
		return "an earlier start did not come far"
	}
	if _, err := readSecrets(w); err != nil {
		return "the world that stands lacks what this version needs"
	}
	if _, alive := processes(w).Alive(layout.AWS); alive {
		return ""
	}
	// moto keeps everything in memory.
	return "AWS is gone, and with it what it knew"
}
