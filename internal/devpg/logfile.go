package devpg

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

const (
	// maxLogSize is in bytes; a larger log is emptied at the next start.
	maxLogSize = 10 << 20

	// lastLinesCount and lastLinesSize (bytes) bound what an error looks at.
	lastLinesCount = 8
	lastLinesSize  = 4 << 10
)

// logFile is where initdb and the server write. It is opened by this process
// and inherited, so that the server's account needs no access to the directory.
type logFile struct {
	path string
	file *os.File
}

func openLog(path string) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) //nolint:gosec // a fixed name in our own directory
	if err != nil {
		return nil, fmt.Errorf("devpg: open the log: %w", err)
	}
	opened := &logFile{path: path, file: file}
	if opened.size() > maxLogSize {
		if err := file.Truncate(0); err != nil {
			_ = file.Close() // the error that is being returned says more
			return nil, fmt.Errorf("devpg: empty the log: %w", err)
		}
	}
	return opened, nil
}

// size is in bytes, 0 when it cannot be told. Like lastLines it may be called
// after close.
func (l *logFile) size() int64 {
	info, err := os.Stat(l.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (l *logFile) close() { _ = l.file.Close() } // nothing was written by this process

// lastLines returns the end of what was logged after mark, without the time and
// process id that begin each line. What cannot be read is left out: the lines
// only illustrate an error.
func (l *logFile) lastLines(mark int64) []string {
	file, err := os.Open(l.path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	size := l.size()
	if size < mark {
		mark = 0
	}
	mark = max(mark, size-lastLinesSize)
	content, err := io.ReadAll(io.NewSectionReader(file, mark, size-mark))
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		line = strings.Join(strings.Fields(logPrefix.ReplaceAllString(line, "")), " ")
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-lastLinesCount):]
}

// logPrefix matches the default log_line_prefix, "%m [%p] ".
var logPrefix = regexp.MustCompile(`^\S+ \S+ \S+ \[\d+\] `)
