package process

import (
	"os"
	"regexp"
	"strings"
)

const (
	// lastLines is how far back a log is searched: what an earlier start complained about is no news.
	lastLines = 20
	// readable is how long a quoted line may be.
	readable = 240
)

var complaint = regexp.MustCompile(`(?i)\berror\b|\bfatal\b|\bpanic(ked)?\b`)

// LastWords is the line at the end of a log that says best what went wrong: the first of the last lines that complains,
// since others follow from it, or the last line of all.
func LastWords(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	words := lines[len(lines)-1]
	for _, line := range lines[max(0, len(lines)-lastLines):] {
		if complaint.MatchString(line) {
			words = line
			break
		}
	}
	words = strings.TrimSpace(words)
	if runes := []rune(words); len(runes) > readable {
		words = string(runes[:readable]) + "..."
	}
	return words
}
