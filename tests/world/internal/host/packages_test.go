package host

import (
	"slices"
	"testing"
)

func TestOnlyMissingPackagesAreNamedEachOnce(t *testing.T) {
	got := Missing([]Need{
		{Package: "here", Program: "sh"},
		{Package: "gone", Program: "no-such-program"},
		{Package: "gone", Program: "no-such-program-either"},
		{Package: "lib", Library: "libnosuch.so.9"},
		{Package: "libc", Library: "libc.so.6"},
	})
	if !slices.Equal(got, []string{"gone", "lib"}) {
		t.Errorf("got %v", got)
	}
}
