package tasks

import (
	"context"
	"errors"
	"testing"
)

func TestTheFirstFailureCancelsTheOthersAndIsAnswered(t *testing.T) {
	broken := errors.New("broken")
	err := All(context.Background(),
		func(context.Context) error { return broken },
		func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		func(context.Context) error { return nil },
	)
	if !errors.Is(err, broken) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
