package database

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/host"
)

// Variables that name the folder of another server's programs (bin/mysqld; bin/mariadbd, bin/mariadb-install-db and bin/mariadb), to run the same
// tests against: tests/world/newer makes such folders.
const (
	otherMySQL   = "WORLD_MYSQL"
	otherMariaDB = "WORLD_MARIADB"
)

// programOf finds a program in that folder, or on the machine where there is none.
func programOf(folder, name string) (string, error) {
	if folder == "" {
		return host.Program(name)
	}
	return filepath.Join(folder, "bin", name), nil
}

// replacedByMySQL is the same with the server of another folder. The client stays.
func (s Software) replacedByMySQL(ctx context.Context, folder string) (Software, error) {
	if folder == "" {
		return s, nil
	}
	server := filepath.Join(folder, "bin", "mysqld")
	out, err := command.Output(ctx, server, "--no-defaults", "--version")
	if err != nil {
		return s, fmt.Errorf("ask MySQL for its version: %w", err)
	}
	match := mysqlVersionPattern.FindStringSubmatch(out)
	if match == nil {
		return s, fmt.Errorf("no MySQL version in %q", out)
	}
	// The plugin of old passwords is no more, and the right to name any DEFINER has become two.
	isGone := func(flag string) bool {
		return strings.HasPrefix(flag, "--default-authentication-plugin=") || strings.HasPrefix(flag, "--basedir=")
	}
	s.own = slices.DeleteFunc(slices.Clone(s.own), isGone)
	s.install = slices.DeleteFunc(slices.Clone(s.install), isGone)
	s.install[0] = server
	s.seed = strings.ReplaceAll(s.seed, "SET_USER_ID", "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER")
	s.Server, s.Version = server, match[1]
	return s, nil
}

var mysqlVersionPattern = regexp.MustCompile(`Ver (\d+\.\d+\.\d+)`)
