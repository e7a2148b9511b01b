package world

import (
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/node"
	"iamdb.dev/world/internal/slot"
)

// Status tells which parts run.
func (p *Project) Status() error {
	w, exists := slot.Remembered(p.Root)
	if !exists {
		p.Report.Say("there is no world; start one with `make world`")
		return nil
	}
	parts := layout.Parts()
	if node.Exists(w) {
		parts = append(layout.NodeParts(), parts...)
	}
	for _, part := range parts {
		if pid, alive := processes(w).Alive(part); alive {
			p.Report.Say("%-26s runs, process %d", part, pid)
		} else {
			p.Report.Say("%-26s does not run", part)
		}
	}
	return nil
}
