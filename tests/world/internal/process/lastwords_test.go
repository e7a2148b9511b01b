package process

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheFirstComplaintAtTheEndIsQuoted(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for text, want := range map[string]string{
		"[System] starting\n[ERROR] cannot bind\n[ERROR] Aborting\n[System] Shutdown complete\n": "[ERROR] cannot bind",
		"error: old\n" + strings.Repeat("fine\n", 30):                                            "fine",
		"one\ntwo\n":    "two",
		"error_log=x\n": "error_log=x",
		"":              "",
	} {
		writeFile(t, log, text)
		if got := LastWords(log); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	writeFile(t, log, strings.Repeat("long ", 200))
	if got := LastWords(log); len(got) > readable+3 {
		t.Errorf("a line of %d bytes is quoted", len(got))
	}
}
