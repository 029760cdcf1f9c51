package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"millrace/internal/apikey"
	"millrace/internal/postgres"
)

func (f *keysFlags) rotate() *cobra.Command {
	var overlap string
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Replace a key by a new one, with both working for a while",
		Long: fmt.Sprintf(`Replace a key by a new one of the same tenant, name, scopes, limits and lifetime.
The old one works on for the overlap, so that clients can be moved to the new one;
with --overlap 0 it is revoked at once. Servers remember keys for up to %s.
The new key is printed this once, alone on the standard output.
ID is the part between mrk_ and the next _; the whole key is taken too.`, apikey.CacheTTL),
		Example: `  millrace keys rotate k7q2m5x4w3v6z2y5
  MILLRACE_API_KEY=$(millrace keys rotate k7q2m5x4w3v6z2y5 --overlap 7d)`,
		Args: takes(1, 1, "the ID of a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseDuration(overlap)
			if err != nil {
				return misuse(cmd, "--overlap must look like 7d, 24h or 0")
			}
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				keys, secret, err := apikey.Rotate(ctx, db, apikey.Rotation{ID: keyID(args[0]), Overlap: d}, f.now())
				if err != nil {
					return err
				}
				err = f.showNew(cmd, keys.New, secret.Reveal())
				if f.asJSON {
					return err
				}
				hints := &printer{w: cmd.ErrOrStderr()}
				if keys.Old.RevokedAt != nil {
					hints.printf("Key %s is revoked.\n", keys.Old.ID)
				} else {
					hints.printf("Key %s works until %s.\n", keys.Old.ID, orNever(keys.Old.ExpiresAt))
				}
				return errors.Join(err, hints.err)
			})
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "24h", "how long the old key still works, such as 7d or 24h; 0 revokes it at once")
	return cmd
}
