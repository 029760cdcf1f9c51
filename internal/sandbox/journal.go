package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// journal is an append-only file of records, one JSON object a line. Each append is one write: it survives the death of
// the process at any instant, but not that of the machine (no fsync: this is a sandbox).
type journal struct {
	file   *os.File
	size   int64 // bytes of whole lines
	broken error // a cut line that could not be taken back
}

// openJournal replays path into st, rewrites it without history, and opens it for appending.
func openJournal(path string, st *state, now time.Time, log *slog.Logger) (*journal, error) {
	if err := replay(path, st, log); err != nil {
		return nil, fmt.Errorf("sandbox: replay journal: %w", err)
	}
	st.sweep(now)
	if err := compact(path, st); err != nil {
		return nil, fmt.Errorf("sandbox: compact journal: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the path is the operator's choice
	if err != nil {
		return nil, fmt.Errorf("sandbox: open journal: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: open journal: %w", err), f.Close())
	}
	return &journal{file: f, size: info.Size()}, nil
}

// replay stops quietly at a last line that was cut while being written: its change was never answered as done.
func replay(path string, st *state, log *slog.Logger) error {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's choice
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()

	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last := err != nil
		if len(bytes.TrimSpace(line)) > 0 {
			var rec record
			if err := json.Unmarshal(line, &rec); err != nil {
				if !last {
					return fmt.Errorf("line %d: %w", n, err)
				}
				log.Warn("sandbox: dropped the last line of the journal, which was cut", slog.Int("line", n), slog.Int("bytes", len(line)))
				return nil
			}
			st.apply(rec)
		}
		if last {
			return nil
		}
	}
}

// compact replaces the journal by the state it led to, through a temporary file, so that a crash leaves either whole.
func compact(path string, st *state) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	w := bufio.NewWriter(tmp)
	for _, rec := range st.records() {
		line, err := json.Marshal(rec)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// records is the state, one object a record, oldest first.
func (st *state) records() []record {
	var out []record
	for _, id := range st.intentOrder {
		out = append(out, record{Intents: []*intent{st.intents[id]}})
	}
	for _, id := range st.chargeOrder {
		out = append(out, record{Charges: []*charge{st.charges[id]}})
	}
	for _, id := range st.refundOrder {
		out = append(out, record{Refunds: []*refund{st.refunds[id]}})
	}
	for _, a := range st.answers {
		out = append(out, record{Answers: []*storedAnswer{a}})
	}
	return out
}

// append takes a line back that could be written only in part (a full disk), so that the next one does not continue it.
func (j *journal) append(rec record) error {
	if j.broken != nil {
		return j.broken
	}
	line, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		if n > 0 {
			j.broken = j.file.Truncate(j.size)
		}
		return err
	}
	j.size += int64(n)
	return nil
}

func (j *journal) close() error { return j.file.Close() }
