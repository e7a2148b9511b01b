package host

import (
	"os"
	"path/filepath"
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
		{Package: "plugins", File: "/no/such/file"},
		{Package: "base", File: "/etc/passwd"},
	})
	if !slices.Equal(got, []string{"gone", "lib", "plugins"}) {
		t.Errorf("got %v", got)
	}
}

func TestAProgramIsFoundBehindTheLinksOfAWorld(t *testing.T) {
	own, system := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(system, "mariadb"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", own+":"+system)
	for _, target := range []string{filepath.Join(system, "mariadb"), filepath.Join(own, "mariadb"), filepath.Join(own, "gone")} {
		link := filepath.Join(own, "mariadb")
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if got, err := Program("mariadb"); err != nil || got != filepath.Join(system, "mariadb") {
			t.Errorf("with a link to %s: got %s, %v", target, got, err)
		}
	}
}
