// Package tasks runs things side by side.
package tasks

import (
	"context"
	"errors"
	"sync"
)

// All runs every task and waits for all of them. The first failure cancels the others' context; every failure is answered.
func All(ctx context.Context, tasks ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make([]error, len(tasks))
	var running sync.WaitGroup
	for i, task := range tasks {
		running.Add(1)
		go func() {
			defer running.Done()
			if failures[i] = task(ctx); failures[i] != nil {
				cancel()
			}
		}()
	}
	running.Wait()
	return errors.Join(failures...)
}
