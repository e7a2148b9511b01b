package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const cgroupMount = "/sys/fs/cgroup"

// hierarchies are the folders below which control groups are made: one in version 2, one for each controller in version 1.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupMount, "cgroup.controllers")); err == nil {
		return []string{cgroupMount}, nil
	}
	entries, err := os.ReadDir(cgroupMount)
	if err != nil {
		return nil, fmt.Errorf("find the control groups: %w", err)
	}
	var found []string
	for _, e := range entries {
		// Links lead to controllers that share a hierarchy.
		path := filepath.Join(cgroupMount, e.Name())
		if _, err := os.Stat(filepath.Join(path, "cgroup.procs")); err == nil && e.IsDir() {
			found = append(found, path)
		}
	}
	return found, nil
}

func makeCgroups(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return fmt.Errorf("make the control group %s: %w", name, err)
		}
	}
	return nil
}

// groupsBelow lists a control group and all in it, the innermost first.
func groupsBelow(name string) ([]string, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			if err == nil && entry.IsDir() {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look into the control group %s: %w", name, err)
		}
	}
	slices.Reverse(all)
	return all, nil
}

// emptyCgroups kills whatever runs in a control group and removes it. All that is in it is the node's: nobody else knows its name.
func emptyCgroups(name string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		groups, err := groupsBelow(name)
		if err != nil || len(groups) == 0 {
			return err
		}
		left := errors.New("it is not empty")
		for _, group := range groups {
			killAll(group)
			if err := os.Remove(group); err != nil && !errors.Is(err, os.ErrNotExist) {
				left = err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove the control group %s: %w", name, left)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func killAll(group string) {
	text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return
	}
	for _, field := range strings.Fields(string(text)) {
		// 0 stands for a process of another namespace, and to kill would be this program's own group.
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
