package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/audit"
	"millrace/internal/postgres"
)

func auditCommand() *cobra.Command { return newAuditCommand(os.Environ(), time.Now) }

// auditFlags are the flags of every audit command, and what commands get from outside.
type auditFlags struct {
	environ []string
	now     func() time.Time

	tenant string
	asJSON bool
}

func newAuditCommand(environ []string, now func() time.Time) *cobra.Command {
	flags := &auditFlags{environ: environ, now: now}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read and prove the audit log: who changed what",
		Long: `Read the audit log and prove that nobody changed it. The entries of each tenant are a
chain: each has the hash of the one before. What belongs to no tenant is in the chain
of the tenant ` + audit.Platform + `. docs/audit.md says what that proves.

The database is DATABASE_URL's, else that of dev.env in MILLRACE_HOME (.millrace). The
login must be a member of the role millrace_owner.`,
		Example: `  millrace audit list --tenant acme
  millrace audit head >> /mnt/elsewhere/heads
  millrace audit export --tenant acme > acme.ndjson
  millrace audit verify acme.ndjson`,
	}
	cmd.PersistentFlags().StringVar(&flags.tenant, "tenant", "", "only this tenant's chain; "+audit.Platform+" is that of no tenant")
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON")
	return group(cmd, flags.verify(), flags.export(), flags.head(), flags.list(), flags.retention())
}

// asOperator makes who runs the command the actor of what it changes.
func asOperator(ctx context.Context) context.Context {
	login := "unknown"
	if current, err := user.Current(); err == nil {
		login = current.Username
	}
	host, _ := os.Hostname() // the login alone says something too
	return postgres.WithActor(ctx, postgres.Actor{Name: "operator:" + login, Source: host})
}

func (f *auditFlags) withDatabase(cmd *cobra.Command, work func(context.Context, *postgres.Tenancy) error) error {
	return withOwner(cmd.Context(), f.environ, "millrace-audit", "millrace audit list", work)
}

func (f *auditFlags) verify() *cobra.Command {
	var heads []string
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Prove that no entry was changed, dropped or reordered",
		Long: `Compute every hash anew, and say what does not fit: entries that were changed, are
missing, or stand in another's place; a chain that begins or ends elsewhere than it
should. FILE is what ` + "`millrace audit export`" + ` wrote, - the standard input; it needs no
database. Without FILE the database is read.

Who may change everything in the database can write a whole chain anew. That is found
with --head, a line of ` + "`millrace audit head`" + ` that was kept elsewhere.

Exit codes: 0 the log holds, 1 it does not or cannot be read, 2 wrong usage, 4 the
tenant has no entries.`,
		Example: `  millrace audit verify
  millrace audit verify --tenant acme --head 4711:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  millrace audit verify acme.ndjson --json`,
		Args: takes(0, 1, "FILE"),
	}
	cmd.Flags().StringArrayVar(&heads, "head", nil, "a head that was noted, TENANT:SEQ:HASH, or SEQ:HASH of --tenant; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts := audit.VerifyOptions{Tenant: f.tenant}
		for _, text := range heads {
			head, ok := f.parseHead(text)
			if !ok {
				return misuse(cmd, "--head must look like TENANT:SEQ:HASH, or SEQ:HASH with --tenant, as `millrace audit head` prints it")
			}
			opts.Noted = append(opts.Noted, head)
		}
		progress := newProgress(cmd.ErrOrStderr(), f.now)
		defer progress.clear()
		var report audit.Report
		var err error
		if len(args) == 1 {
			report, err = verifyFile(cmd, args[0], opts, progress)
		} else {
			opts.Progress = func(done, total int64) { progress.show("verifying", min(done, total), total) }
			err = f.withDatabase(cmd, func(ctx context.Context, db *postgres.Tenancy) (err error) {
				report, err = audit.Verify(ctx, db, opts)
				return err
			})
		}
		if err != nil {
			return err
		}
		progress.clear()
		return f.showReport(cmd, report)
	}
	return cmd
}

func (f *auditFlags) parseHead(text string) (head audit.Head, ok bool) {
	parts := strings.Split(text, ":")
	switch {
	case len(parts) == 2 && f.tenant != "":
		parts = append([]string{f.tenant}, parts...)
	case len(parts) != 3 || f.tenant != "" && parts[0] != f.tenant:
		return head, false
	}
	seq, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || seq < 1 || parts[0] == "" || head.Hash.UnmarshalText([]byte(parts[2])) != nil {
		return head, false
	}
	head.Tenant, head.Seq = parts[0], seq
	return head, true
}

func verifyFile(cmd *cobra.Command, path string, opts audit.VerifyOptions, progress *progressLine) (audit.Report, error) {
	if path == "-" {
		return audit.VerifyExport(cmd.InOrStdin(), opts)
	}
	file, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return audit.Report{}, fileError(err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil {
		opts.Progress = func(done, _ int64) { progress.show("verifying "+path, min(done, info.Size()), info.Size()) }
	}
	report, err := audit.VerifyExport(file, opts)
	if err != nil {
		return audit.Report{}, fmt.Errorf("%s: %w", oneLine(path), err)
	}
	return report, nil
}

func (f *auditFlags) showReport(cmd *cobra.Command, report audit.Report) error {
	out := &printer{w: cmd.OutOrStdout()}
	if f.asJSON {
		out.json(struct {
			Holds bool `json:"holds"`
			audit.Report
		}{report.Holds(), report})
	} else {
		for _, p := range report.Problems {
			out.printf("%s: %s\n", oneLine(cmp.Or(p.Tenant, "?")), p.Message)
		}
		if report.Further > 0 {
			out.printf("and %d more\n", report.Further)
		}
		for _, c := range report.Chains {
			out.printf("%s: %d entries read, %d to %d; head %s\n", oneLine(c.Tenant), c.Entries, c.First, c.Last, oneLine(audit.Head{Tenant: c.Tenant, Seq: c.Last, Hash: c.Hash}.String()))
		}
	}
	switch {
	case out.err != nil:
		return out.err
	case !report.Holds():
		return fmt.Errorf("the audit log does not hold: %d problems", len(report.Problems)+report.Further)
	case f.tenant != "" && len(report.Chains) == 0:
		return f.nothing()
	}
	if !f.asJSON {
		out.printf("The audit log holds.\n")
	}
	return out.err
}

func (f *auditFlags) nothing() error {
	return &exitError{exitNotFound, fmt.Errorf("the tenant %s has no sealed entries", oneLine(f.tenant))}
}

func (f *auditFlags) export() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the entries, one JSON object a line, each chain in its order",
		Long: `Print the sealed entries, one JSON object a line, each chain in its order, with their
hashes: ` + "`millrace audit verify`" + ` takes them anywhere. --from and --to bound when entries
were sealed, so that what is between is without gaps.`,
		Example: `  millrace audit export --tenant acme --from 2026-01-01 --to 2026-02-01 > acme-2026-01.ndjson
  millrace audit export | jq -r 'select(.outcome == "refused") | .actor' | sort | uniq -c`,
		Args: takes(0, 0, ""),
	}
	cmd.Flags().StringVar(&from, "from", "", "sealed at this time or later: 2026-01-31 or RFC 3339")
	cmd.Flags().StringVar(&to, "to", "", "sealed before this time")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		of := audit.Range{Tenant: f.tenant}
		for _, bound := range []struct {
			flag, text string
			into       *time.Time
		}{{"--from", from, &of.From}, {"--to", to, &of.To}} {
			var err error
			if *bound.into, err = parseDay(bound.text); err != nil {
				return misuse(cmd, "%s must look like 2026-01-31 or 2026-01-31T09:30:00Z", bound.flag)
			}
		}
		return f.withDatabase(cmd, func(ctx context.Context, db *postgres.Tenancy) error {
			out := &printer{w: cmd.OutOrStdout()}
			return audit.Export(ctx, db, of, func(e *audit.Sealed) error {
				out.json(e)
				return out.err
			})
		})
	}
	return cmd
}

// parseDay reads a day, in UTC, or a time; nothing is zero.
func parseDay(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339, text)
}

func (f *auditFlags) head() *cobra.Command {
	return &cobra.Command{
		Use:   "head",
		Short: "Print the last entry's number and hash of each chain, to be kept elsewhere",
		Long: `Print TENANT:SEQ:HASH of the last entry of each chain. Keep it where who can change the
database cannot: ` + "`millrace audit verify --head`" + ` then finds a chain that was written anew
or cut off since.`,
		Example: "  millrace audit head >> /mnt/elsewhere/heads",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withDatabase(cmd, func(ctx context.Context, db *postgres.Tenancy) error {
				heads, err := audit.Heads(ctx, db, f.tenant)
				if err != nil {
					return err
				}
				if f.tenant != "" && len(heads) == 0 {
					return f.nothing()
				}
				out := &printer{w: cmd.OutOrStdout()}
				for _, head := range heads {
					if f.asJSON {
						out.json(head)
						continue
					}
					out.printf("%s\n", head)
				}
				return out.err
			})
		},
	}
}

func (f *auditFlags) list() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List entries, newest first",
		Example: `  millrace audit list --tenant acme
  millrace audit list --limit 500 --json | jq 'select(.resource_type == "api_key")'`,
		Args: takes(0, 0, ""),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > 10_000 {
			return misuse(cmd, "--limit must be from 1 to 10000")
		}
		return f.withDatabase(cmd, func(ctx context.Context, db *postgres.Tenancy) error {
			entries, err := audit.Latest(ctx, db, f.tenant, limit)
			if err != nil {
				return err
			}
			out := &printer{w: cmd.OutOrStdout()}
			rows := [][]string{{"AT", "TENANT", "SEQ", "ACTOR", "FROM", "ACTION", "ON", "OUTCOME", "DETAILS"}}
			for _, e := range entries {
				if f.asJSON {
					out.json(e)
					continue
				}
				rows = append(rows, []string{
					stamp(e.At), e.Tenant, strconv.FormatInt(e.Seq, 10), e.Actor, e.Source, e.Action,
					strings.TrimSuffix(e.ResourceType+" "+e.ResourceID, " "), e.Outcome, joinTags(e.Details),
				})
			}
			if !f.asJSON {
				out.table(rows)
			}
			return out.err
		})
	}
	return cmd
}

// maxKeepYears is what the database takes.
const maxKeepYears = 100

func (f *auditFlags) retention() *cobra.Command {
	var years int
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Show or change for how many years entries are kept",
		Long: `Show or change for how many years entries are kept, of all tenants. Workers drop whole
months that are older, and note where each chain goes on. The change is an entry itself.`,
		Example: `  millrace audit retention
  millrace audit retention --years 10`,
		Args: takes(0, 0, ""),
	}
	cmd.Flags().IntVar(&years, "years", 0, "keep them for this long from now on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("years") && (years < 1 || years > maxKeepYears) {
			return misuse(cmd, "--years must be from 1 to %d", maxKeepYears)
		}
		return f.withDatabase(cmd, func(ctx context.Context, db *postgres.Tenancy) error {
			kept, err := audit.Retention(ctx, db, years)
			if err != nil {
				return err
			}
			out := &printer{w: cmd.OutOrStdout()}
			if f.asJSON {
				out.json(map[string]int{"years": kept})
			} else {
				out.printf("entries are kept for %d years\n", kept)
			}
			return out.err
		})
	}
	return cmd
}
