// Package cache keeps downloads and builds for every clone of the project on this machine. An entry is a folder; it appears
// whole or not at all, and two programs never make the same one at once.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// Cache is a folder of entries, PART/KEY.
type Cache struct{ Dir string }

// Open answers the cache of this user.
func Open() (Cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return Cache{}, fmt.Errorf("find the cache folder: %w", err)
	}
	return Cache{Dir: filepath.Join(base, "iamdb-operator")}, nil
}

// Path is a place in the cache that its user manages.
func (c Cache) Path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir}, elem...)...)
}

// Entry answers the folder PART/KEY. If there is none, build fills an empty folder that then becomes the entry.
func (c Cache) Entry(ctx context.Context, part, key string, build func(dir string) error) (string, error) {
	entry := c.Path(part, key)
	if isDir(entry) {
		return entry, nil
	}
	if err := os.MkdirAll(c.Path(part), 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := Lock(ctx, entry+".lock", func() {})
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(entry) {
		return entry, nil
	}
	// Under the lock nobody else builds here: what is left is of a build that was cut short.
	draft := entry + ".part"
	if err := os.RemoveAll(draft); err != nil {
		return "", fmt.Errorf("clear %s: %w", draft, err)
	}
	if err := os.Mkdir(draft, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", draft, err)
	}
	if err := build(draft); err != nil {
		return "", errors.Join(err, os.RemoveAll(draft))
	}
	if err := os.Rename(draft, entry); err != nil {
		return "", fmt.Errorf("publish %s: %w", entry, err)
	}
	return entry, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Lock takes an exclusive lock on a file, which ends with this program at the latest. If somebody else holds it, waiting
// is called once before the wait.
func Lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		if !told {
			waiting()
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ctx.Err()), file.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Digest is a short digest of words and of files (whole folders included): the key of what is made of them. Files count
// with their paths relative to root, so every clone computes the same.
func Digest(root string, words []string, paths ...string) (string, error) {
	sum := sha256.New()
	for _, word := range words {
		fmt.Fprintf(sum, "word %d\n%s\n", len(word), word)
	}
	var files []string
	for _, path := range paths {
		err := filepath.WalkDir(filepath.Join(root, path), func(file string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return "", fmt.Errorf("digest %s: %w", path, err)
		}
	}
	sort.Strings(files)
	for _, file := range files {
		if err := addFile(sum, root, file); err != nil {
			return "", fmt.Errorf("digest %s: %w", file, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func addFile(sum io.Writer, root, file string) error {
	name, err := filepath.Rel(root, file)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sum, "file %s %d\n%s\n", name, len(text), text)
	return err
}
