package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/vault"
)

// tenantsShred is `millrace tenants shred`.
func tenantsShred(environ []string, now func() time.Time) *cobra.Command {
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "shred TENANT --yes",
		Short: "Destroy a tenant's keys, and with them what was stored about people",
		Long: `Destroy a tenant's keyset, so that the names, addresses, texts and messages that it
encrypted can be read by nobody any more, in any copy of the database that lacks the
keyset; erase what was not encrypted; and revoke the tenant's API keys. Amounts, states
and ids stay. There is no way back.

A backup that was made before holds the wrapped keyset, too: whoever has it and the
operator's key can read it. Delete such backups, or replace the operator's key and
destroy the old one. Servers follow within 30 seconds. Jobs of the tenant that still
wait fail once and for all.`,
		Example: "  millrace tenants shred acme --yes",
		Args:    takes(1, 1, "the TENANT"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it; without it nothing is done")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !yes {
			return misuse(cmd, "there is no way back from this: --yes is missing, and nothing was done")
		}
		return withVault(cmd.Context(), environ, now, func(ctx context.Context, v *vault.Vault) error {
			done, err := v.Shred(ctx, args[0])
			if err != nil {
				return err
			}
			out := &printer{w: cmd.OutOrStdout()}
			if asJSON {
				out.json(done)
				return out.err
			}
			out.printf("%s is shredded: %d API keys are revoked", done.Tenant, done.KeysRevoked)
			if done.Keyset {
				out.printf(", its keyset is destroyed")
			}
			if done.PlainErased > 0 {
				out.printf(", %d rows that were not encrypted are erased here, and in no backup", done.PlainErased)
			}
			out.printf("\n")
			return out.err
		})
	}
	return cmd
}
