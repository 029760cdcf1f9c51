package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"millrace/internal/postgres"
	"millrace/migrations"
)

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up or down",
		Long: `Migrate the database of DATABASE_URL, else that of dev.env: River's migrations and Millrace's, in one order.

The login must be able to create roles, or find millrace_owner, millrace_intake,
millrace_worker and millrace_operator there and be a member of each. Programs of
the version before go on working while and after ` + "`migrate up`" + ` runs.`,
		Example: `  DATABASE_URL=postgres://admin@db/millrace millrace migrate up
  millrace migrate status --json`,
	}
	return group(cmd, migrateUp(), migrateDown(), migrateStatus())
}

func migrateUp() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Apply everything that is pending",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigrator(cmd.Context(), func(ctx context.Context, m *migrations.Migrator) error {
				if err := m.Up(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "The schema is up to date.")
				return err
			})
		},
	}
}

func migrateDown() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Take back the newest migration",
		Long:  "Take back the newest migration, with the data in its tables. --all takes back everything, every job included.",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigrator(cmd.Context(), func(ctx context.Context, m *migrations.Migrator) error {
				if err := m.Down(ctx, all); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "Taken back; `millrace migrate status` shows what is left.")
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take back everything, every job included")
	return cmd
}

func migrateStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the migrations and whether they are applied",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigrator(cmd.Context(), func(ctx context.Context, m *migrations.Migrator) error {
				list, err := m.Status(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
				}
				table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(table, "MIGRATION\tAPPLIED")
				for _, s := range list {
					applied := "no"
					if s.Applied {
						applied = "yes"
					}
					_, _ = fmt.Fprintf(table, "%s\t%s\n", s.Name, applied)
				}
				return table.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func withMigrator(ctx context.Context, work func(context.Context, *migrations.Migrator) error) error {
	found, err := findDatabase(os.Environ())
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, postgres.Options{URL: found.value, Application: "millrace-migrate"})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err != nil {
		return explainDatabase(postgres.Fault(err), found.source)
	}
	return work(ctx, migrations.New(pool, slog.New(slog.DiscardHandler)))
}
