package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/client"
)

func jobsCommand() *cobra.Command { return newJobsCommand(os.Environ(), time.Now) }

// jobsFlags are the flags of every jobs command, and what commands get from
// outside.
type jobsFlags struct {
	serverFlags

	now    func() time.Time
	asJSON bool
}

func newJobsCommand(environ []string, now func() time.Time) *cobra.Command {
	flags := &jobsFlags{serverFlags: serverFlags{environ: environ}, now: now}
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "Submit, follow and control jobs through the HTTP API",
		Long: `Submit, follow and control jobs through the HTTP API.

The server is MILLRACE_URL's and the key MILLRACE_API_KEY's; what is not set comes
from dev.env in MILLRACE_HOME (.millrace), which ` + "`millrace dev`" + ` writes. There is no
flag for the key: other users of the machine see the arguments of a process.

` + exitCodesHelp,
		Example: `  millrace jobs submit payment_capture --args '{"amount":1999,"currency":"usd","payment_method":"pm_card_visa"}' --wait
  millrace jobs list --state discarded
  millrace jobs list --state discarded --all --json | jq -r .id | xargs millrace jobs retry`,
	}
	cmd.PersistentFlags().StringVar(&flags.url, "url", "", "the server's address (default MILLRACE_URL, else dev.env's)")
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print the API's JSON, one line a document")
	return group(cmd, flags.submit(), flags.get(), flags.watch(), flags.list(), flags.retry(), flags.cancel())
}

func (f *jobsFlags) get() *cobra.Command {
	return &cobra.Command{
		Use:   "get ID",
		Short: "Show a job",
		Example: `  millrace jobs get 4711
  millrace jobs get 4711 --json | jq .result`,
		Args: takes(1, 1, "a job's ID"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			api, err := f.connect(cmd)
			if err != nil {
				return err
			}
			job, err := api.Job(cmd.Context(), ids[0])
			if err != nil {
				return api.explain("job "+ids[0], err)
			}
			out := &printer{w: cmd.OutOrStdout()}
			if f.asJSON {
				out.json(job.Raw)
			} else {
				out.table(describe(job))
			}
			return out.err
		},
	}
}

func (f *jobsFlags) watch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow a job until it is done",
		Long: `Follow a job until it is done, with one line a change. The exit code is 0 when it
completed and 3 when it was cancelled or discarded. Ending the command leaves the
job alone.`,
		Example: `  millrace jobs watch 4711
  millrace jobs watch 4711 --json | jq -r .state`,
		Args: takes(1, 1, "a job's ID"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			api, err := f.connect(cmd)
			if err != nil {
				return err
			}
			out := &printer{w: cmd.OutOrStdout()}
			job, err := f.follower(cmd.OutOrStdout(), out).run(cmd.Context(), api, ids[0])
			if err != nil {
				return err
			}
			return errors.Join(out.err, failedJob(job))
		},
	}
}

func (f *jobsFlags) list() *cobra.Command {
	var (
		filter client.JobsFilter
		state  string
		all    bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Example: `  millrace jobs list
  millrace jobs list --kind payment_capture --state retryable --limit 100
  millrace jobs list --all --json | jq -r '[.id, .state] | @tsv'`,
		Args: takes(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Kind, "kind", "", "only jobs of this kind")
	flags.StringVar(&state, "state", "", "only jobs in this state: "+joinStates())
	flags.IntVar(&filter.Limit, "limit", 20, "how many jobs to show, from 1 to 100")
	flags.StringVar(&filter.PageToken, "page-token", "", "where to go on, as the page before said")
	flags.BoolVar(&all, "all", false, "show all jobs, from --page-token on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		filter.State = client.State(state)
		switch {
		case filter.Limit < 1 || filter.Limit > 100:
			return misuse(cmd, "--limit is from 1 to 100")
		case all && flags.Changed("limit"):
			return misuse(cmd, "--all and --limit exclude each other")
		case state != "" && !slices.Contains(client.States(), filter.State):
			return misuse(cmd, "--state is one of %s", joinStates())
		case all:
			filter.Limit = 100
		}
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		return f.showPages(cmd, api, filter, all)
	}
	return cmd
}

// showPages shows a page, or all, each as soon as it is there.
func (f *jobsFlags) showPages(cmd *cobra.Command, api *jobsServer, filter client.JobsFilter, all bool) error {
	out := &printer{w: cmd.OutOrStdout()}
	rows := [][]string{{"ID", "KIND", "STATE", "ATTEMPT", "CREATED", "NOTE"}}
	for {
		page, err := api.Jobs(cmd.Context(), filter)
		if err != nil {
			return api.explain("jobs", err)
		}
		for _, job := range page.Jobs {
			if f.asJSON {
				out.json(job.Raw)
				continue
			}
			rows = append(rows, []string{job.ID, job.Kind, string(job.State), attempts(job), stamp(job.CreatedAt), note(job)})
		}
		if !f.asJSON {
			out.table(rows)
			rows = nil
		}
		if filter.PageToken = page.NextPageToken; filter.PageToken == "" || !all || out.err != nil {
			break
		}
	}
	if filter.PageToken != "" {
		// Not on the standard output, which has jobs only.
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "there are more: add --page-token %s, or --all\n", oneLine(filter.PageToken))
	}
	return out.err
}

func (f *jobsFlags) retry() *cobra.Command {
	return f.control("retried", (*client.Client).Retry, &cobra.Command{
		Use:   "retry ID...",
		Short: "Run discarded jobs once more",
		Long:  "Give discarded jobs one more attempt each. A job in another state is left alone, and is an error.",
		Example: `  millrace jobs retry 4711 4712
  millrace jobs list --state discarded --kind payment_capture --all --json | jq -r .id | xargs millrace jobs retry`,
	})
}

func (f *jobsFlags) cancel() *cobra.Command {
	return f.control("cancelled", (*client.Client).Cancel, &cobra.Command{
		Use:     "cancel ID...",
		Short:   "Cancel jobs that have not started",
		Long:    "Cancel jobs that have not started. A job that has started is left alone, and is an error; one that is cancelled already is not.",
		Example: "  millrace jobs cancel 4711 4712",
	})
}

// control completes a command that does one thing to each of its jobs. It goes
// on after a job that refuses.
func (f *jobsFlags) control(done string, do func(*client.Client, context.Context, string) (*client.Job, error), cmd *cobra.Command) *cobra.Command {
	cmd.Args = takes(1, maxControlled, "at least one job's ID")
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		api, err := f.connect(cmd)
		if err != nil {
			return err
		}
		out := &printer{w: cmd.OutOrStdout()}
		var failures []error
		for _, id := range ids {
			job, err := do(api.Client, cmd.Context(), id)
			switch {
			case err != nil:
				failures = append(failures, api.explain("job "+id, err))
			case f.asJSON:
				out.json(job.Raw)
			default:
				out.printf("job %s %s\n", oneLine(job.ID), done)
			}
			if err != nil && !ofThisJob(err) {
				break
			}
		}
		return errors.Join(out.err, together(cmd.ErrOrStderr(), failures, len(ids), done))
	}
	return cmd
}

// maxControlled is how many jobs one command takes: more than fit on a command line.
const maxControlled = 1 << 20

// ofThisJob reports whether another job may fare better.
func ofThisJob(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && (e.Code == client.CodeNotFound || e.Code == client.CodeConflict)
}

// together makes one error of the failures of several jobs, each of which is
// told in a line of its own.
func together(stderr io.Writer, failures []error, jobs int, done string) error {
	if len(failures) == 0 || jobs == 1 {
		return errors.Join(failures...)
	}
	code := exitNotFound
	for _, err := range failures {
		_, _ = fmt.Fprintln(stderr, err)
		if exit, ok := errors.AsType[*exitError](err); !ok || exit.code != exitNotFound {
			code = 1
		}
	}
	return &exitError{code, fmt.Errorf("%d of %d jobs were not %s", len(failures), jobs, done)}
}

func joinStates() string {
	states := client.States()
	names := make([]string, len(states))
	for i, state := range states {
		names[i] = string(state)
	}
	return strings.Join(names, ", ")
}
