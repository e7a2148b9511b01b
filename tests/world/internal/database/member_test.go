package database

import (
	"os"
	"strings"
	"testing"

	"iamdb.dev/world/internal/layout"
)

func TestAMemberIsWhatTheRecordOfTheClusterSays(t *testing.T) {
	w := layout.World{Root: t.TempDir(), Slot: 10}
	if err := os.MkdirAll(w.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	members := Members(w, layout.Ledger, "secret")
	if _, err := members[0].place(); err == nil {
		t.Error("a member took a place that nobody gave it")
	}
	for writer, reader := range map[int]int{0: 1, 1: 0} {
		if err := os.WriteFile(w.Writer(layout.Ledger), []byte(layout.Ledger.Members[writer].Identifier+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if sql, err := members[writer].place(); err != nil || !strings.Contains(sql, "super_read_only = OFF") {
			t.Errorf("the writer gets %q, %v", sql, err)
		}
		sql, err := members[reader].place()
		source := "SOURCE_HOST = '" + w.ServerHosts(layout.Ledger.Members[writer])[0] + "'"
		if err != nil || !strings.Contains(sql, source) || !strings.Contains(sql, "super_read_only = ON") {
			t.Errorf("the reader gets %q, %v", sql, err)
		}
	}
}

func TestAMemberComesUpAsAReader(t *testing.T) {
	for _, m := range Members(layout.World{Root: "/p", Slot: 10}, layout.Ledger, "secret") {
		if !strings.Contains(strings.Join(m.flags(), " "), "--super-read-only=ON --skip-replica-start") {
			t.Errorf("got %v", m.flags())
		}
	}
}
