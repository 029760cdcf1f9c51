package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
	"millrace/internal/strictjson"
)

// VerifyOptions says what to verify, and against what.
type VerifyOptions struct {
	// Tenant is whose chain; empty means all.
	Tenant string
	// Noted are heads that were noted elsewhere.
	Noted []Head
	// Progress is told from time to time how much is done of how much: entries of
	// a database, bytes of a file. A total of zero is unknown. May be nil.
	Progress func(done, total int64)
}

// progressEvery is after how many entries progress is told.
const progressEvery = 4096

// Verify checks the chains of a database, as they were at one moment. What waits to
// be sealed belongs to none yet. db must act as the owner.
func Verify(ctx context.Context, db *postgres.Tenancy, opts VerifyOptions) (Report, error) {
	v := NewVerifier(opts.Noted)
	err := db.Snapshot(ctx, "", func(tx pgx.Tx) error {
		anchors, err := readAnchors(ctx, tx, opts.Tenant)
		if err != nil {
			return err
		}
		heads, err := readHeads(ctx, tx, opts.Tenant)
		if err != nil {
			return err
		}
		ends := map[string]bool{}
		var total, done int64
		for _, head := range heads {
			ends[head.Tenant] = true
			total += head.Seq
			v.Begin(Head{Tenant: head.Tenant})
		}
		for _, anchor := range anchors {
			total -= anchor.Seq
			v.Begin(anchor.Head)
		}
		err = stream(ctx, tx, Range{Tenant: opts.Tenant}, func(e *Sealed) error {
			if !ends[e.Tenant] {
				ends[e.Tenant] = true
				v.headless(e.Tenant)
			}
			v.Add(e)
			if done++; opts.Progress != nil && done%progressEvery == 0 {
				opts.Progress(done, total)
			}
			return nil
		})
		for _, head := range heads {
			v.End(head)
		}
		return err
	})
	if err != nil {
		return Report{}, postgres.Fault(err)
	}
	return v.Report(), nil
}

// headless is about a chain whose head is gone.
func (v *Verifier) headless(tenant string) {
	v.find(Problem{Tenant: tenant, Finding: WrongHead, Message: "the chain's head is missing, so that a cut tail would not be seen"})
}

// maxLine bounds a line of an export, in bytes.
const maxLine = 1 << 20

// VerifyExport checks entries as `millrace audit export` writes them, one JSON object
// a line, without a database. An export of a later part is taken from where it
// begins. The error is one of reading; what is wrong with a line is a problem.
func VerifyExport(in io.Reader, opts VerifyOptions) (Report, error) {
	v := NewVerifier(opts.Noted)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var number, read int64
	for lines.Scan() {
		number++
		read += int64(len(lines.Bytes())) + 1
		if opts.Progress != nil && number%progressEvery == 0 {
			opts.Progress(read, 0)
		}
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		entry, err := parse(lines.Bytes())
		if err != nil {
			v.find(Problem{Tenant: opts.Tenant, Finding: Unreadable, Message: fmt.Sprintf("line %d is not an entry as an export has it", number)})
			continue
		}
		if opts.Tenant == "" || entry.Tenant == opts.Tenant {
			v.Add(&entry)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return Report{}, fmt.Errorf("line %d is longer than %d bytes, so that this is no export", number+1, maxLine)
	}
	if lines.Err() != nil {
		return Report{}, fmt.Errorf("the export cannot be read: %w", lines.Err())
	}
	return v.Report(), nil
}

// parse reads a line strictly: what a lenient reader would show must be what was hashed.
func parse(line []byte) (entry Sealed, err error) {
	if err := strictjson.Decode(line, &entry); err != nil {
		return Sealed{}, err
	}
	for _, at := range []time.Time{entry.At, entry.SealedAt} {
		if at.Nanosecond()%1000 != 0 {
			return Sealed{}, errors.New("audit: a time is to the microsecond")
		}
	}
	if entry.Tenant == "" || entry.Seq == 0 || entry.Details == nil {
		return Sealed{}, errors.New("audit: a field is missing")
	}
	return entry, nil
}
