package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/apikey"
	"millrace/internal/postgres"
)

func tenantsCommand() *cobra.Command { return newTenantsCommand(os.Environ(), time.Now) }

// tenantsFlags are the flags of every tenants command, and what commands get from
// outside.
type tenantsFlags struct {
	environ []string

	asJSON bool
}

func newTenantsCommand(environ []string, now func() time.Time) *cobra.Command {
	flags := &tenantsFlags{environ: environ}
	cmd := &cobra.Command{
		Use:   "tenants",
		Short: "List tenants, change their settings, destroy their data",
		Long: `List tenants, change their settings and destroy their data, in the database itself:
DATABASE_URL's, else that of dev.env in MILLRACE_HOME (.millrace). Creating a key makes a tenant. The login
must be a member of the role millrace_owner.

` + exitCodesHelp,
		Example: `  millrace tenants list
  millrace tenants set acme --phi strict`,
	}
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON, one line a tenant")
	return group(cmd, flags.list(), flags.set(), tenantsShred(environ, now))
}

func (f *tenantsFlags) list() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List tenants with their settings",
		Example: "  millrace tenants list --json | jq -r .id",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				tenants, err := apikey.ListTenants(ctx, db)
				if err != nil {
					return err
				}
				return f.show(cmd, tenants...)
			})
		},
	}
}

func (f *tenantsFlags) set() *cobra.Command {
	var (
		phi     string
		waiting int
	)
	cmd := &cobra.Command{
		Use:   "set TENANT",
		Short: "Change settings of a tenant",
		Long: `Change settings of a tenant; those that are not named stay. Running servers follow
within ` + apikey.CacheTTL.String() + `.

--phi mask replaces personal data in conversations by placeholders before anything is
stored. --phi strict refuses every submission whose free texts hold any, with
422 PHI_DETECTED.`,
		Example: `  millrace tenants set acme --phi strict
  millrace tenants set acme --max-waiting-jobs 5000`,
		Args: takes(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var change apikey.TenantChange
			if cmd.Flags().Changed("phi") {
				mode := apikey.PHIMode(phi)
				change.PHI = &mode
			}
			if cmd.Flags().Changed("max-waiting-jobs") {
				change.MaxWaitingJobs = &waiting
			}
			if change == (apikey.TenantChange{}) {
				return misuse(cmd, "name at least one setting")
			}
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				tenant, err := apikey.SetTenant(ctx, db, args[0], change)
				if err != nil {
					return err
				}
				return f.show(cmd, tenant)
			})
		},
	}
	cmd.Flags().StringVar(&phi, "phi", "", "what becomes of personal data in texts: mask or strict")
	cmd.Flags().IntVar(&waiting, "max-waiting-jobs", 0, "how many of its jobs may wait at once")
	return cmd
}

func (f *tenantsFlags) show(cmd *cobra.Command, tenants ...apikey.Tenant) error {
	out := &printer{w: cmd.OutOrStdout()}
	rows := [][]string{{"TENANT", "PHI", "MAX WAITING JOBS", "CREATED", "SHREDDED"}}
	for _, tenant := range tenants {
		if f.asJSON {
			out.json(tenant)
			continue
		}
		rows = append(rows, []string{tenant.ID, string(tenant.PHI), strconv.Itoa(tenant.MaxWaitingJobs), stamp(tenant.CreatedAt), orNever(tenant.ShreddedAt)})
	}
	if !f.asJSON {
		out.table(rows)
	}
	return out.err
}

// withDatabase runs work as the owner of the schema.
func (f *tenantsFlags) withDatabase(ctx context.Context, work func(context.Context, *postgres.Tenancy) error) error {
	return withOwner(ctx, f.environ, "millrace-tenants", "millrace tenants list", work)
}
