package world

import (
	"context"
	"os"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/node"
	"iamdb.dev/world/internal/slot"
	"iamdb.dev/world/internal/tasks"
)

func (p *Project) kernel() node.Kernel { return node.Kernel{File: p.Cache.Path("kernel-settings")} }

// running locks the world and answers it, if it is up.
func (p *Project) running(ctx context.Context) (layout.World, func(), error) {
	unlock, err := p.lock(ctx)
	if err != nil {
		return layout.World{}, nil, err
	}
	w, exists := slot.Remembered(p.Root)
	if !exists || !complete(w) || len(dead(w, false)) > 0 {
		unlock()
		return w, nil, &console.Failure{What: "the world is not up", Remedy: "start it with `make world`"}
	}
	return w, unlock, nil
}

// NodeUp gives the running world's cluster a node, or starts what of it is dead.
func (p *Project) NodeUp(ctx context.Context) error {
	w, unlock, err := p.running(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	n := node.Node{World: w, Kernel: p.kernel(), Processes: processes(w), Report: p.Report}
	err = tasks.All(ctx,
		func(ctx context.Context) error {
			return p.Report.Work("kubelet and scheduler built", func() (err error) {
				builder := controlplane.Builder{Root: p.Root, Cache: p.Cache, Assets: os.Getenv("KUBEBUILDER_ASSETS")}
				if n.Plane, err = builder.Build(ctx); err != nil {
					return err
				}
				n.Programs, err = builder.BuildNode(ctx)
				return err
			})
		},
		func(ctx context.Context) error { return p.installPackages(ctx, node.DebianNeeds()) },
	)
	if err != nil {
		return err
	}
	if err := n.Up(ctx); err != nil {
		return err
	}
	p.Report.Say("the node is ready: pods have addresses in %s", w.PodNetwork())
	return nil
}

// NodeLoad brings an image onto the node.
func (p *Project) NodeLoad(ctx context.Context, archive string) error {
	w, unlock, err := p.running(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if archive == "" {
		return &console.Failure{What: "no image is named", Remedy: "see world node load --help"}
	}
	return node.Load(ctx, w, archive)
}

// NodeDown takes the node away and leaves the rest of the world as it is.
func (p *Project) NodeDown(ctx context.Context) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	w, exists := slot.Remembered(p.Root)
	if !exists || !node.Exists(w) {
		p.Report.Say("there is no node; nothing to do")
		return nil
	}
	if err := node.Down(ctx, w, processes(w), p.kernel()); err != nil {
		return err
	}
	p.Report.Say("the node is gone")
	return nil
}
