package world

import (
	"context"
	"os"
	"time"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/node"
	"iamdb.dev/world/internal/slot"
	"iamdb.dev/world/internal/tasks"
)

// Down ends every process of the world that is still ours and removes its folder.
func (p *Project) Down(ctx context.Context) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	w, exists := slot.Remembered(p.Root)
	if !exists {
		p.Report.Say("there is no world; nothing to do")
		return nil
	}
	if err := p.wipe(ctx, w); err != nil {
		return err
	}
	p.Report.Say("the world is gone")
	return nil
}

func (p *Project) wipe(ctx context.Context, w layout.World) error {
	// The operator first: it would only complain about what goes away under it.
	if err := processes(w).Stop(layout.Operator, 10*time.Second); err != nil {
		return err
	}
	// Then the node: its pods use the rest, and what it mounted must not be there when the folder is removed.
	if err := node.Down(ctx, w, processes(w), p.kernel()); err != nil {
		return &console.Failure{What: "cannot take the node away", Err: err, Remedy: "look into " + w.Node() + " before you try again"}
	}
	var stops []func(context.Context) error
	for _, part := range layout.Parts() {
		stops = append(stops, func(context.Context) error { return processes(w).Stop(part, 10*time.Second) })
	}
	if err := tasks.All(ctx, stops...); err != nil {
		return err
	}
	if err := os.RemoveAll(w.Dir()); err != nil {
		return &console.Failure{What: "cannot remove " + w.Dir(), Err: err}
	}
	return nil
}
