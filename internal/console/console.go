// Package console is the operators' console: River UI over the jobs of all tenants.
//
// River UI brings the pages, and reads as a role that can change next to nothing. What
// it would change it would change in River's tables alone, and leave domain rows and
// the ledger behind; so the changes that it offers are made by Millrace itself, or
// refused (changes.go). So are the questions that its pages ask again and again
// (reads.go). Who may use it is decided before, by package api.
package console

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"riverqueue.com/riverui"

	"millrace/internal/intake"
	"millrace/internal/postgres"
)

// MaxConns is enough connections for a console: a page asks for two or three things
// at once, and whoever waits for them is a person.
const MaxConns = 3

// Options configures New.
type Options struct {
	// Pool is the console's own, of MaxConns connections, so that nothing that a
	// person looks at takes a connection away from intake. Required.
	Pool *pgxpool.Pool
	// Path is where the console is served, with everything below: "/ops". Required.
	Path string
	// Writer cancels and retries tenants' jobs. Required.
	Writer *intake.Writer
	// Logger is required.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Console serves River UI.
type Console struct {
	path     string
	everyone *postgres.Tenancy
	operator *intake.Operator
	river    *river.Client[pgx.Tx]
	ui       http.Handler
	reads    http.Handler
	changes  http.Handler
	memory   *memory
}

// New returns a console. It connects when it is first used.
func New(opts Options) (*Console, error) {
	if opts.Pool == nil || opts.Path == "" || opts.Writer == nil || opts.Logger == nil {
		return nil, errors.New("console: Pool, Path, Writer and Logger are required")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	everyone := postgres.NewTenancy(opts.Pool, postgres.Operator)
	// It is never started, so it leads and works nothing.
	client, err := river.NewClient(driver{riverpgxv5.New(opts.Pool), everyone}, &river.Config{Logger: opts.Logger})
	if err != nil {
		return nil, fmt.Errorf("console: river client: %w", err)
	}
	// It is not started either: it would count all jobs again and again in the
	// background, in each intake process, whether anybody looks or not.
	ui, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(client, nil), Logger: opts.Logger, Prefix: opts.Path,
	})
	if err != nil {
		return nil, fmt.Errorf("console: River UI: %w", err)
	}
	c := &Console{
		path: opts.Path, everyone: everyone, operator: intake.NewOperator(opts.Writer, everyone), river: client,
		ui: ui, memory: newMemory(opts.Now),
	}
	c.reads, c.changes = c.readRoutes(), c.changeRoutes()
	return c, nil
}

// Serve answers a request, of which it is known that an operator made it, or returns
// the fault to answer with. Who acts is the actor of its context.
func (c *Console) Serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return c.change(w, r)
	}
	if strings.HasPrefix(r.URL.Path, c.path+"/api/") {
		return c.read(w, r)
	}
	c.page(w, r)
	return nil
}
