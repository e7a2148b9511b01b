// Package console is what a person sees: one line a step, one line a failure.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Failure is an error that a person can act on: what failed, which log tells more, what to do.
type Failure struct {
	What   string
	Err    error
	Log    string
	Remedy string
}

func (f *Failure) Error() string {
	var line strings.Builder
	line.WriteString(f.What)
	if f.Err != nil {
		fmt.Fprintf(&line, ": %v", f.Err)
	}
	if f.Log != "" {
		fmt.Fprintf(&line, "; read %s", f.Log)
	}
	if f.Remedy != "" {
		fmt.Fprintf(&line, "; %s", f.Remedy)
	}
	return line.String()
}

func (f *Failure) Unwrap() error { return f.Err }

// PrintFailures writes one line for every failure joined in err. What was only cancelled because something else failed is
// no news and is left out. If nothing else failed, it was the user who interrupted.
func PrintFailures(w io.Writer, err error) {
	interrupted := true
	for _, one := range flatten(err) {
		if errors.Is(one, context.Canceled) {
			continue
		}
		interrupted = false
		fmt.Fprintf(w, "world: %s\n", strings.ReplaceAll(strings.TrimSpace(one.Error()), "\n", " | "))
	}
	if interrupted {
		fmt.Fprintln(w, "world: interrupted")
	}
}

func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if err == nil {
		return nil
	}
	// Only a bare join is taken apart: a wrapped one has a message of its own.
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
	}
	return all
}
