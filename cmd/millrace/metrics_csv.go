package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"millrace/internal/fault"
	"millrace/internal/rollup"
)

// csvFormat says how the rows of a file become points.
type csvFormat struct {
	timeColumn, valueColumn string
	zone                    *time.Location
	skipBad                 bool
	now                     time.Time
}

// csvPoint is a row that obeys the rules.
type csvPoint struct {
	at    time.Time
	value float64
}

// badRow is a row that is no point.
type badRow struct {
	line    int
	problem string
}

// Error implements error.
func (b *badRow) Error() string { return fmt.Sprintf("line %d: %s", b.line, b.problem) }

// csvReader reads points from a file with a header.
type csvReader struct {
	format          csvFormat
	rows            *csv.Reader
	timeAt, valueAt int
	skipped         int
}

// byteOrderMark is what some spreadsheets begin a file with.
const byteOrderMark = "\ufeff"

func newCSVReader(in io.Reader, format csvFormat) (*csvReader, error) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	if mark, err := buffered.Peek(len(byteOrderMark)); err == nil && string(mark) == byteOrderMark {
		_, _ = buffered.Discard(len(byteOrderMark)) // it is in the buffer
	}
	r := &csvReader{format: format, rows: csv.NewReader(buffered)}
	r.rows.FieldsPerRecord = -1
	r.rows.ReuseRecord = true
	header, err := r.rows.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("it is empty, without even a header")
	case err != nil:
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	if r.timeAt, err = column(header, "--time-column", format.timeColumn); err != nil {
		return nil, err
	}
	r.valueAt, err = column(header, "--value-column", format.valueColumn)
	return r, err
}

func column(header []string, flag, name string) (int, error) {
	for i, have := range header {
		if strings.EqualFold(strings.TrimSpace(have), name) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("its header has no column %q but %q; %s names it", name, header, flag)
}

// next returns the next point, or io.EOF. A row that is none is a *badRow, unless
// such rows are to be skipped.
func (r *csvReader) next() (csvPoint, error) {
	for {
		row, err := r.rows.Read()
		if errors.Is(err, io.EOF) {
			return csvPoint{}, io.EOF
		}
		point, problem := csvPoint{}, ""
		line := 0
		malformed, ok := errors.AsType[*csv.ParseError](err)
		switch {
		case ok:
			line, problem = malformed.StartLine, malformed.Err.Error()
		case err != nil:
			return csvPoint{}, err
		default:
			line, _ = r.rows.FieldPos(0)
			point, problem = r.point(row)
		}
		switch {
		case problem == "":
			return point, nil
		case !r.format.skipBad:
			return csvPoint{}, &badRow{line, problem}
		}
		r.skipped++
	}
}

func (r *csvReader) point(row []string) (point csvPoint, problem string) {
	if len(row) <= max(r.timeAt, r.valueAt) {
		return point, fmt.Sprintf("has %d fields, fewer than the header", len(row))
	}
	at, ok := parseStamp(strings.TrimSpace(row[r.timeAt]), r.format.zone)
	if !ok {
		return point, r.format.timeColumn + " must look like 2030-01-31T09:30:00Z or 2030-01-31 09:30:00"
	}
	value := json.Number(strings.TrimSpace(row[r.valueAt]))
	measured, problems := checkPoint(rollup.Point{Name: "row", Value: value, At: at}, r.format.now)
	for _, p := range problems {
		switch p.Field {
		case "value":
			return point, r.format.valueColumn + " " + p.Problem
		default:
			return point, r.format.timeColumn + " " + p.Problem
		}
	}
	return csvPoint{at: at, value: measured.Value}, ""
}

// checkPoint holds a point against the rules that the server has.
func checkPoint(point rollup.Point, now time.Time) (rollup.Measured, []fault.Field) {
	measured, err := rollup.Request{Points: []rollup.Point{point}}.Check(now)
	if err != nil {
		fields, _ := fault.From(err).Details["fields"].([]fault.Field)
		for i := range fields {
			fields[i].Field = strings.TrimPrefix(fields[i].Field, "points[0].")
		}
		return rollup.Measured{}, fields
	}
	return measured[0], nil
}

// parseStamp reads RFC 3339, also with a space for the T, or a time of a zone.
func parseStamp(text string, zone *time.Location) (at time.Time, ok bool) {
	for _, layout := range []string{time.DateTime, time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05"} {
		// The zero time means now in a point.
		if at, err := time.ParseInLocation(layout, text, zone); err == nil && !at.IsZero() {
			return at, true
		}
	}
	return time.Time{}, false
}

// csvFile is a file that has been read through once: each of its rows is a point
// or is to be skipped.
type csvFile struct {
	path string // as the user wrote it
	file *os.File
	size int64
	// hash is that of the whole file.
	hash    [sha256.Size]byte
	points  int
	skipped int
	remove  bool
}

// openCSV opens a file, - being the standard input, and reads it through. seen is
// told how much of it was read.
func openCSV(path string, stdin io.Reader, format csvFormat, seen func(done, size int64)) (_ *csvFile, err error) {
	f := &csvFile{path: path}
	defer func() {
		if err != nil {
			f.close()
			err = fmt.Errorf("%s: %w", oneLine(path), err)
		}
	}()
	if err := f.open(stdin); err != nil {
		return nil, err
	}
	info, err := f.file.Stat()
	if err != nil {
		return nil, fileError(err)
	}
	hash := sha256.New()
	counted := &countingReader{in: io.TeeReader(io.LimitReader(f.file, info.Size()), hash)}
	rows, err := newCSVReader(counted, format)
	if err != nil {
		return nil, err
	}
	for {
		_, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if f.points++; f.points%10_000 == 0 {
			seen(counted.read, info.Size())
		}
	}
	f.size, f.skipped = counted.read, rows.skipped
	f.hash = [sha256.Size]byte(hash.Sum(nil))
	return f, nil
}

// open opens the file. What cannot be read twice is copied.
func (f *csvFile) open(stdin io.Reader) error {
	in := stdin
	if f.path != "-" {
		file, err := os.Open(f.path)
		if err != nil {
			return fileError(err)
		}
		f.file = file
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return nil
		}
		in = file
	}
	temporary, err := os.CreateTemp("", "millrace-import-*.csv") // 0600
	if err != nil {
		return fmt.Errorf("a copy cannot be made: %w", err)
	}
	_, err = io.Copy(temporary, in)
	if f.file != nil {
		_ = f.file.Close()
	}
	f.file, f.remove = temporary, true
	if err == nil {
		_, err = temporary.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("a copy cannot be made: %w", err)
	}
	return nil
}

// again returns a reader of the same rows as before: of what was appended since,
// nothing.
func (f *csvFile) again(format csvFormat) (*csvReader, error) {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return nil, fileError(err)
	}
	return newCSVReader(io.LimitReader(f.file, f.size), format)
}

func (f *csvFile) close() {
	if f.file == nil {
		return
	}
	_ = f.file.Close()
	if f.remove {
		_ = os.Remove(f.file.Name())
	}
}

type countingReader struct {
	in   io.Reader
	read int64
}

// Read implements io.Reader.
func (r *countingReader) Read(into []byte) (int, error) {
	n, err := r.in.Read(into)
	r.read += int64(n)
	return n, err
}

// seriesName makes a metric's name of a file's.
func seriesName(path string) string {
	base := strings.ToLower(filepath.Base(path))
	base = strings.TrimSuffix(base, filepath.Ext(base))
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.ContainsRune("_.:/-", c):
			return c
		default:
			return '_'
		}
	}, base)
	if first := strings.TrimLeft(name, "0123456789.:/-"); name == "" || first != name {
		name = "_" + name
	}
	const longest = 128
	return name[:min(len(name), longest)]
}
