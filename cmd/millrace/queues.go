package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/postgres"
	"millrace/workers"
)

func queuesCommand() *cobra.Command { return newQueuesCommand(os.Environ()) }

// queuesFlags are the flags of every queues command, and what commands get from
// outside.
type queuesFlags struct {
	environ []string

	asJSON bool
}

func newQueuesCommand(environ []string) *cobra.Command {
	flags := &queuesFlags{environ: environ}
	cmd := &cobra.Command{
		Use:   "queues",
		Short: "List, pause and resume queues",
		Long: `List, pause and resume queues, in the database itself: DATABASE_URL's, else that of dev.env
in MILLRACE_HOME (.millrace). The login must be a member of the role millrace_owner. Each
change is an entry of the audit log.

While a queue is paused its jobs are accepted and wait; those that run go on. All workers
follow at once, or behind a pooler within a minute.

` + exitCodesHelp,
		Example: `  millrace queues list
  millrace queues pause payments
  millrace queues resume payments`,
	}
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON, one line a queue")
	return group(cmd, flags.list(),
		flags.change("pause", "Let workers take no more jobs of a queue", workers.PauseQueue),
		flags.change("resume", "Let workers take jobs of a queue again", workers.ResumeQueue))
}

func (f *queuesFlags) list() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List queues, whether they are paused, and when a worker last said that it works them",
		Example: "  millrace queues list --json | jq -r 'select(.paused_at) | .name'",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				return f.show(ctx, cmd, db, "")
			})
		},
	}
}

func (f *queuesFlags) change(verb, short string, do func(context.Context, *postgres.Tenancy, string) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " QUEUE",
		Short:   short,
		Example: "  millrace queues " + verb + " payments",
		Args:    takes(1, 1, "QUEUE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				if err := do(ctx, db, args[0]); err != nil {
					return err
				}
				return f.show(ctx, cmd, db, args[0])
			})
		},
	}
}

// show prints one queue, or all when only is empty.
func (f *queuesFlags) show(ctx context.Context, cmd *cobra.Command, db *postgres.Tenancy, only string) error {
	queues, err := workers.ListQueues(ctx, db)
	if err != nil {
		return err
	}
	out := &printer{w: cmd.OutOrStdout()}
	rows := [][]string{{"QUEUE", "PAUSED SINCE", "WORKER SEEN"}}
	for _, queue := range queues {
		switch {
		case only != "" && queue.Name != only:
		case f.asJSON:
			out.json(queue)
		default:
			rows = append(rows, []string{queue.Name, stampOr(queue.PausedAt, "not paused"), stampOr(queue.SeenAt, "not within a day")})
		}
	}
	if !f.asJSON {
		out.table(rows)
	}
	return out.err
}

func stampOr(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return stamp(*at)
}

// withDatabase runs work as the owner of the schema.
func (f *queuesFlags) withDatabase(ctx context.Context, work func(context.Context, *postgres.Tenancy) error) error {
	return withOwner(ctx, f.environ, "millrace-queues", "millrace queues list", work)
}
