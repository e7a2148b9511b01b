package database

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeZip(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.zip")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	writer := zip.NewWriter(file)
	defer writer.Close()
	for _, name := range names {
		entry, err := writer.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestOnlyWhatServerAndClientNeedIsUnpacked(t *testing.T) {
	archive := writeZip(t, "bin/mysqld", "bin/mysqld-debug", "bin/mysql", "lib/private/libssl.so.1.1", "share/english/errmsg.sys", "lib/mecab/x")
	dir := t.TempDir()
	if err := unpack(archive, dir, neededOfMySQL); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"bin/mysqld": true, "bin/mysql": true, "lib/private/libssl.so.1.1": true, "share/english/errmsg.sys": true,
		"bin/mysqld-debug": false, "lib/mecab/x": false,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if want && info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable", name)
		}
	}
}

func TestAnArchiveThatLeavesItsFolderIsRefused(t *testing.T) {
	err := unpack(writeZip(t, "../evil"), t.TempDir(), func(string) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "leaves the folder") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherDigestIsRefused(t *testing.T) {
	if err := verify(writeZip(t, "a"), mysqlDigest); err == nil {
		t.Error("accepted")
	}
}
