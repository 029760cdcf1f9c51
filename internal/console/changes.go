package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/internal/fault"
	"millrace/internal/strictjson"
)

const (
	// maxJobs is how many jobs River UI changes at once at most.
	maxJobs = 1000
	// maxBody bounds the body of a change, in bytes: maxJobs numbers fit.
	maxBody = 64 << 10
	// changeTimeout bounds a change.
	changeTimeout = 20 * time.Second
)

// offers is what becomes of each change that River UI offers, by its pattern. One that
// is not here is refused; a test insists that River UI offers no other.
func (c *Console) offers() map[string]func(*http.Request) error {
	return map[string]func(*http.Request) error{
		"POST /api/jobs/cancel": c.eachJob("cancelled", c.operator.Cancel),
		"POST /api/jobs/retry":  c.eachJob("retried", c.operator.Retry),
		"POST /api/jobs/delete": refuse("Jobs are not deleted by hand: what was accepted is kept until it is done, and what is done is removed when its time is over. Cancel the job instead."),

		"PUT /api/queues/{name}/pause":  c.queue(c.river.QueuePauseTx),
		"PUT /api/queues/{name}/resume": c.queue(c.river.QueueResumeTx),
		"PATCH /api/queues/{name}":      refuse("Limits of a queue's concurrency are a part of River Pro, and would do nothing here. Set the workers' slots with QUEUES."),
	}
}

// changeRoutes leads each change to what becomes of it.
func (c *Console) changeRoutes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern string, do func(*http.Request) error) {
		mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) { outcomeOf(r).err = do(r) })
	}
	for pattern, do := range c.offers() {
		method, path, _ := strings.Cut(pattern, " ")
		add(method+" "+c.path+path, do)
	}
	add("/", notOffered)
	return mux
}

// notOffered refuses what is not in offers.
func notOffered(*http.Request) error {
	return fault.New(fault.MethodNotAllowed, "The console does not offer this.")
}

type outcomeKey struct{}

type outcome struct{ err error }

func outcomeOf(r *http.Request) *outcome {
	o, _ := r.Context().Value(outcomeKey{}).(*outcome)
	return o
}

// change makes a change, and answers as River UI does.
func (c *Console) change(w http.ResponseWriter, r *http.Request) error {
	result := &outcome{err: notOffered(r)} // which stays when the mux answers by itself
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), outcomeKey{}, result), changeTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	c.changes.ServeHTTP(discard{}, r)
	c.memory.forget()
	if result.err != nil {
		return explain(result.err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, `{"status":"ok"}`)
	return nil
}

// discard is where the mux would answer by itself: to a path with a double slash.
type discard struct{}

// Header implements http.ResponseWriter.
func (discard) Header() http.Header { return http.Header{} }

// WriteHeader implements http.ResponseWriter.
func (discard) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// refuse says why a change is not made.
func refuse(message string) func(*http.Request) error {
	return func(*http.Request) error { return fault.New(fault.MethodNotAllowed, message) }
}

// eachJob does something with each job that the request names. Each is a transaction
// of its own, of its tenant; those that cannot be changed do not keep the others from
// it.
func (c *Console) eachJob(done string, do func(ctx context.Context, id int64) error) func(*http.Request) error {
	return func(r *http.Request) error {
		ids, err := jobIDs(r)
		if err != nil {
			return err
		}
		var (
			first *fault.Fault
			which int64
			count int
		)
		for _, id := range ids {
			err := do(r.Context(), id)
			f := fault.From(err)
			switch {
			case err == nil:
				count++
			case f.Code != fault.Conflict && f.Code != fault.NotFound:
				return err // of the database, and so the next one's too
			case first == nil:
				first, which = f, id
			}
		}
		if first == nil || len(ids) == 1 {
			if first == nil {
				return nil
			}
			return first
		}
		return fault.New(first.Code, fmt.Sprintf("%d of %d jobs were %s. Job %d was not: %s", count, len(ids), done, which, first.Message))
	}
}

// jobIDs reads the numbers of jobs as River UI sends them.
func jobIDs(r *http.Request) ([]int64, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, fault.New(fault.PayloadTooLarge, "The request body is too large; choose fewer jobs.").With("max_bytes", maxBody)
		}
		return nil, fault.New(fault.InvalidInput, "The request body could not be read.")
	}
	var body struct {
		IDs []string `json:"ids"`
	}
	if err := strictjson.Decode(text, &body); err != nil {
		return nil, err
	}
	var fields fault.Fields
	fields.Check(len(body.IDs) >= 1 && len(body.IDs) <= maxJobs, "ids", fmt.Sprintf("must have 1 to %d numbers of jobs", maxJobs))
	ids := make([]int64, 0, len(body.IDs))
	for _, text := range body.IDs {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			fields.Add("ids", "must be numbers of jobs, as texts")
			break
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), fields.Err()
}

// queue pauses or resumes the queue that the path names; * is all of them. A trigger
// writes it into the audit log.
func (c *Console) queue(do func(ctx context.Context, tx pgx.Tx, name string, opts *river.QueuePauseOpts) error) func(*http.Request) error {
	return func(r *http.Request) error {
		ctx, name := r.Context(), r.PathValue("name")
		err := c.everyone.Tx(ctx, "", func(tx pgx.Tx) error { return do(ctx, tx, name, nil) })
		if errors.Is(err, river.ErrNotFound) {
			return noSuchQueue()
		}
		return err
	}
}
