package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestAnEntryIsBuiltOnceByManyAtOnce(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	var builds atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			entry, err := c.Entry(context.Background(), "part", "v1", func(dir string) error {
				builds.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)
			})
			if err != nil {
				t.Error(err)
			} else if _, err := os.Stat(filepath.Join(entry, "file")); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if builds.Load() != 1 {
		t.Errorf("built %d times", builds.Load())
	}
}

func TestAFailedBuildLeavesNoEntry(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	broken := errors.New("broken")
	_, err := c.Entry(context.Background(), "part", "v1", func(string) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	for _, left := range []string{"v1", "v1.part"} {
		if _, err := os.Stat(c.Path("part", left)); err == nil {
			t.Errorf("%s was left", left)
		}
	}
}

func TestADigestSeesNamesContentsAndWordsButNotTheClone(t *testing.T) {
	digest := func(name, text string, words ...string) string {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "src"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "src", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := Digest(root, words, "src")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	base := digest("a.go", "x")
	if digest("a.go", "x") != base {
		t.Error("two clones differ")
	}
	for what, other := range map[string]string{
		"contents": digest("a.go", "y"), "name": digest("b.go", "x"), "word": digest("a.go", "x", "tag"),
	} {
		if other == base {
			t.Errorf("another %s is not seen", what)
		}
	}
}
