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
	pid, now := t.recorded(name)
	return pid, now == running
}

// recorded tells how the recorded process is. One that is not ours any more is gone.
func (t Table) recorded(name string) (int, phase) {
	text, err := os.ReadFile(t.PIDFile(name))
	if err != nil {
		return 0, gone
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, gone
	}
	recorded, err := os.ReadFile(t.birthFile(name))
	if err != nil {
		return 0, gone
	}
	born, now, err := inspect(pid)
	if err != nil || born != strings.TrimSpace(string(recorded)) {
		return 0, gone
	}
	return pid, now
}

func (t Table) record(name string, pid int) error {
	born, _, err := inspect(pid)
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

// phase is how far a process has come.
type phase int

const (
	running phase = iota
	// ending: it has been told to end and will never work again, but still holds its files and ports.
	ending
	gone
)

// errNoProcess is the answer for an id that nobody has.
var errNoProcess = errors.New("no such process")

// inspect tells how a process is, and a text that is the same only for this one life of its id on this machine.
func inspect(pid int) (birth string, now phase, err error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", gone, fmt.Errorf("read the boot id: %w", err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", gone, errNoProcess
	}
	s, err := parseStat(string(text))
	if err != nil {
		return "", gone, fmt.Errorf("process %d: %w", pid, err)
	}
	return strings.TrimSpace(string(boot)) + " " + s.startTicks, s.phase(), nil
}

// stat is what we read of /proc/PID/stat.
type stat struct {
	state      string
	flags      uint64
	threads    int
	startTicks string
}

// exiting is the kernel's PF_EXITING.
const exiting = 0x4

func (s stat) phase() phase {
	switch {
	// A zombie has only not been waited for. But its first thread may end before the others do.
	case s.state == "X", s.state == "Z" && s.threads <= 1:
		return gone
	case s.state == "Z", s.flags&exiting != 0:
		return ending
	default:
		return running
	}
}

// parseStat takes the fields 3 (state), 9 (flags), 20 (threads) and 22 (start time) out of /proc/PID/stat. The command in
// field 2 stands in parentheses and may hold spaces and parentheses itself, so fields are counted from the last one.
func parseStat(text string) (stat, error) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("no command in %q", text)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("only %d fields after the command", len(fields))
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("flags: %w", err)
	}
	threads, err := strconv.Atoi(fields[17])
	if err != nil {
		return stat{}, fmt.Errorf("threads: %w", err)
	}
	return stat{state: fields[0], flags: flags, threads: threads, startTicks: fields[19]}, nil
}
