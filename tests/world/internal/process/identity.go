// Package process starts, recognises and ends the processes of a world. A process is ours only while both its id and its
// start time are those that were recorded: ids are used again.
package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Table is the folder where processes are recorded: NAME.pid holds the id alone, for whoever wants to signal it, and
// NAME.birth the boot and the clock ticks at which the process began.
type Table struct{ Dir string }

// PIDFile is the file that holds the id of the process.
func (t Table) PIDFile(name string) string { return filepath.Join(t.Dir, name+".pid") }

func (t Table) birthFile(name string) string { return filepath.Join(t.Dir, name+".birth") }

// Alive answers the id of the recorded process if it runs and is still the one that was recorded.
func (t Table) Alive(name string) (int, bool) {
	text, err := os.ReadFile(t.PIDFile(name))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, false
	}
	recorded, err := os.ReadFile(t.birthFile(name))
	if err != nil {
		return 0, false
	}
	born, err := birth(pid)
	return pid, err == nil && born == strings.TrimSpace(string(recorded))
}

func (t Table) record(name string, pid int) error {
	born, err := birth(pid)
	if err != nil {
		return err
	}
	if err := os.WriteFile(t.birthFile(name), []byte(born+"\n"), 0o644); err != nil {
		return fmt.Errorf("record the birth of %s: %w", name, err)
	}
	if err := os.WriteFile(t.PIDFile(name), []byte(strconv.Itoa(pid)+"\n"), 0o644); err != nil {
		return fmt.Errorf("record the id of %s: %w", name, err)
	}
	return nil
}

func (t Table) forget(name string) error {
	return errors.Join(removeIfThere(t.PIDFile(name)), removeIfThere(t.birthFile(name)))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// errGone is the answer for a process that has ended, also while nobody has waited for it yet.
var errGone = errors.New("no such process")

// birth identifies one life of a process id on this machine.
func birth(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", errGone
	}
	state, ticks, err := parseStat(string(stat))
	if err != nil {
		return "", fmt.Errorf("process %d: %w", pid, err)
	}
	if state == "Z" || state == "X" {
		return "", errGone
	}
	return strings.TrimSpace(string(boot)) + " " + ticks, nil
}

// parseStat takes state (field 3) and start time (field 22) out of /proc/PID/stat. The command in field 2 stands in
// parentheses and may hold spaces and parentheses itself, so fields are counted from the last one.
func parseStat(stat string) (state, startTicks string, err error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return "", "", fmt.Errorf("no command in %q", stat)
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 20 {
		return "", "", fmt.Errorf("only %d fields after the command", len(fields))
	}
	return fields[0], fields[19], nil
}
