package console

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Reporter prints progress with the time since it was made. It may be used from several goroutines.
type Reporter struct {
	mu        sync.Mutex
	out       io.Writer
	begin     time.Time
	heartbeat time.Duration
}

// NewReporter starts the clock.
func NewReporter(out io.Writer) *Reporter {
	return &Reporter{out: out, begin: time.Now(), heartbeat: 20 * time.Second}
}

// Say prints one line.
func (r *Reporter) Say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "[%6.1fs] %s\n", time.Since(r.begin).Seconds(), fmt.Sprintf(format, args...))
}

// Step runs one step: a line when it is done, and a sign of life while it takes long. A failed step prints nothing, its
// error is reported at the end.
func (r *Reporter) Step(name string, run func() error) error {
	return r.timed(name, 0, run)
}

// Work is a step that often has nothing to do: it is no news unless it took a second.
func (r *Reporter) Work(name string, run func() error) error {
	return r.timed(name, time.Second, run)
}

func (r *Reporter) timed(name string, news time.Duration, run func() error) error {
	begin := time.Now()
	stop := r.beat(name, begin)
	err := run()
	stop()
	if took := time.Since(begin); err == nil && took >= news {
		r.Say("%s (%.1f s)", name, took.Seconds())
	}
	return err
}

// beat gives signs of life until stop is called.
func (r *Reporter) beat(name string, begin time.Time) (stop func()) {
	done, silent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(silent)
		ticker := time.NewTicker(r.heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				r.Say("... %s: still at it after %.0f s", name, time.Since(begin).Seconds())
			}
		}
	}()
	return func() {
		close(done)
		<-silent
	}
}
