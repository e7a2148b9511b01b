package process

import (
	"context"
	"time"

	"iamdb.dev/world/internal/console"
)

// StartLimit is how long a part may take to become ready. It is generous: the machine may build something else meanwhile.
const StartLimit = 90 * time.Second

// endLimit is how long one that is ending already may take.
const endLimit = 10 * time.Second

// Ensure starts the process unless it runs, and waits until probe succeeds.
func (t Table) Ensure(ctx context.Context, report *console.Reporter, spec Spec, probe func(context.Context) error) error {
	if _, alive := t.Alive(spec.Name); alive {
		return nil
	}
	return report.Step(spec.Name+" ready", func() error {
		// One that was just killed may still hold the port.
		if err := t.Stop(spec.Name, endLimit); err != nil {
			return err
		}
		started, err := t.Start(spec)
		if err != nil {
			return &console.Failure{What: "cannot start " + spec.Name, Err: err, Log: spec.Log}
		}
		return started.UntilReady(ctx, StartLimit, probe)
	})
}
