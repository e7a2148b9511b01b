package image

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"iamdb.dev/world/internal/command"
)

// Program is a program of this machine and the path that it has in an image.
type Program struct {
	Source string
	Path   string
}

// Programs answers the files that the programs are made of: themselves, and the libraries that the dynamic linker loads for them,
// at the paths where it looks for them. A library that a program finds beside itself must be given as a file of its own.
func Programs(ctx context.Context, programs ...Program) ([]File, error) {
	var files []File
	seen := map[string]bool{}
	for _, p := range programs {
		files = append(files, File{Path: p.Path, Source: p.Source})
		out, err := command.Output(ctx, "ldd", p.Source)
		if err != nil {
			if strings.Contains(out, "not a dynamic executable") || strings.Contains(err.Error(), "not a dynamic executable") {
				continue
			}
			return nil, fmt.Errorf("find the libraries of %s: %w", p.Source, err)
		}
		libraries, err := librariesIn(out)
		if err != nil {
			return nil, fmt.Errorf("find the libraries of %s: %w", p.Source, err)
		}
		base := filepath.Dir(filepath.Dir(p.Source))
		for _, library := range libraries {
			// What a distribution of its own brings lies where its program does.
			inside, err := filepath.Rel(base, library)
			path := library
			if err == nil && filepath.IsLocal(inside) && base != "/" && base != "/usr" {
				path = filepath.Join(filepath.Dir(filepath.Dir(p.Path)), inside)
			}
			if !seen[path] {
				seen[path] = true
				files = append(files, File{Path: path, Source: library})
			}
		}
	}
	return files, nil
}

// librariesIn reads what ldd tells: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, and `/lib64/ld-linux-x86-64.so.2 (0x...)`.
func librariesIn(text string) ([]string, error) {
	var paths []string
	for _, line := range strings.Split(text, "\n") {
		name, found, isNamed := strings.Cut(strings.TrimSpace(line), " => ")
		if !isNamed {
			found = name
		}
		path, _, _ := strings.Cut(found, " (")
		switch {
		case path == "not found":
			return nil, fmt.Errorf("%s is not there", name)
		case strings.HasPrefix(path, "/"):
			paths = append(paths, filepath.Clean(path))
		}
	}
	return paths, nil
}
