package process

import (
	"context"
	"errors"
	"time"

	"iamdb.dev/world/internal/console"
)

// StartLimit is how long a part may take to become ready. It is generous: the machine may build something else meanwhile.
const StartLimit = 90 * time.Second

// endLimit is how long one that is ending already may take.
const endLimit = 10 * time.Second

// Ensure starts the process unless it runs, and waits until probe succeeds. One that runs may not be ready yet either: who
// started it may have been interrupted.
func (t Table) Ensure(ctx context.Context, report *console.Reporter, spec Spec, probe func(context.Context) error) error {
	if _, alive := t.Alive(spec.Name); alive {
		return report.Work(spec.Name+" ready", func() error {
			return t.adopt(ctx, spec).UntilReady(ctx, StartLimit, probe)
		})
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

// adopt watches a process that an earlier run of this program started, as long as ctx lasts.
func (t Table) adopt(ctx context.Context, spec Spec) *Started {
	adopted := &Started{spec: spec, ended: make(chan struct{}), exit: errors.New("ended")}
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if _, alive := t.Alive(spec.Name); !alive {
					close(adopted.ended)
					return
				}
			}
		}
	}()
	return adopted
}
