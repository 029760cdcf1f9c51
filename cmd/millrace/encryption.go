package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/booking"
	"millrace/internal/config"
	"millrace/internal/conversation"
	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/seal"
	"millrace/internal/telemetry"
	"millrace/internal/vault"
)

// sealedTables lists every table that has sealed rows.
func sealedTables() []seal.Table {
	return []seal.Table{payment.Sealed(), booking.Sealed(), conversation.Sealed()}
}

func encryptionCommand() *cobra.Command { return newEncryptionCommand(os.Environ(), time.Now) }

// encryptionFlags are the flags of every encryption command, and what commands get
// from outside.
type encryptionFlags struct {
	environ []string
	now     func() time.Time

	asJSON bool
}

func newEncryptionCommand(environ []string, now func() time.Time) *cobra.Command {
	flags := &encryptionFlags{environ: environ, now: now}
	cmd := &cobra.Command{
		Use:   "encryption",
		Short: "Administer the keys that tenants' data is encrypted with",
		Long: `Administer encryption at rest, in the database itself: DATABASE_URL's, with the keys of
ENCRYPTION_KEYS or ENCRYPTION_KEYS_FILE; else those of dev.env in MILLRACE_HOME (.millrace),
which ` + "`millrace dev`" + ` writes. The login must be a member of the role millrace_owner. All of
it is safe while programs run, and goes on where it was interrupted.

To replace the operator's key: put the new one in front of the old one for all programs,
run ` + "`millrace encryption rewrap`" + `, then take the old one away. docs/encryption.md says more.

` + exitCodesHelp,
		Example: `  millrace encryption status
  millrace encryption rewrap
  millrace encryption rotate --tenant acme && millrace encryption reseal --tenant acme`,
	}
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON")
	return group(cmd, flags.status(), flags.rewrap(), flags.rotate(), flags.reseal())
}

func (f *encryptionFlags) status() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell which keys are in use",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withVault(cmd.Context(), func(ctx context.Context, v *vault.Vault) error {
				status, err := v.Status(ctx)
				if err != nil {
					return err
				}
				return f.showStatus(cmd, status)
			})
		},
	}
}

func (f *encryptionFlags) showStatus(cmd *cobra.Command, status vault.Status) error {
	out := &printer{w: cmd.OutOrStdout()}
	if f.asJSON {
		out.json(status)
		return out.err
	}
	rows := [][]string{{"KEY", "TENANTS", "SET HERE"}}
	for _, use := range status.Keys {
		present := "no"
		switch {
		case use.Key == status.First:
			present = "yes, wraps"
		case use.Present:
			present = "yes"
		}
		rows = append(rows, []string{use.Key, fmt.Sprint(use.Tenants), present})
	}
	out.table(rows)
	out.printf("\n%d tenants have no keyset: what they stored, if anything, is in the clear\n%d tenants are shredded\n", status.Without, status.Shredded)
	if status.OldestKey != nil {
		out.printf("the oldest key that seals rows was made %s\n", stamp(*status.OldestKey))
	}
	if status.First == "" {
		out.printf("no key is set here\n")
	}
	return out.err
}

func (f *encryptionFlags) rewrap() *cobra.Command {
	return &cobra.Command{
		Use:   "rewrap",
		Short: "Wrap all keysets with the first key, so that the others can go",
		Args:  takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withVault(cmd.Context(), func(ctx context.Context, v *vault.Vault) error {
				n, err := v.Rewrap(ctx)
				if err != nil {
					return err
				}
				out := &printer{w: cmd.OutOrStdout()}
				if f.asJSON {
					out.json(map[string]int{"rewrapped": n})
				} else {
					out.printf("%d keysets are wrapped anew; `millrace encryption status` shows which keys are still needed\n", n)
				}
				return out.err
			})
		},
	}
}

func (f *encryptionFlags) rotate() *cobra.Command {
	return f.ofTenants("rotate --tenant TENANT | --all", "Give tenants a new key; what is encrypted stays readable", f.rotateSome)
}

func (f *encryptionFlags) reseal() *cobra.Command {
	return f.ofTenants("reseal --tenant TENANT | --all", "Encrypt rows that are in the clear, or by an older key, with the newest", f.resealSome)
}

// ofTenants is a command that does something for one tenant, or for all.
func (f *encryptionFlags) ofTenants(use, short string, do func(context.Context, *cobra.Command, *vault.Vault, *someTenants, []string) error) *cobra.Command {
	of := &someTenants{}
	cmd := &cobra.Command{Use: use, Short: short, Args: takes(0, 0, "")}
	of.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := of.check(cmd); err != nil {
			return err
		}
		return f.withVault(cmd.Context(), func(ctx context.Context, v *vault.Vault) error {
			tenants, err := of.list(ctx, v)
			if err != nil {
				return err
			}
			return do(ctx, cmd, v, of, tenants)
		})
	}
	return cmd
}

func (f *encryptionFlags) rotateSome(ctx context.Context, cmd *cobra.Command, v *vault.Vault, of *someTenants, tenants []string) error {
	rotated := 0
	for _, tenant := range tenants {
		err := v.Rotate(ctx, tenant)
		if of.all && notFound(err) {
			continue // it has no keyset yet
		}
		if err != nil {
			return err
		}
		rotated++
	}
	out := &printer{w: cmd.OutOrStdout()}
	if f.asJSON {
		out.json(map[string]int{"rotated": rotated})
	} else {
		out.printf("%d tenants have a new key; programs use it within %s\n", rotated, postgres.KeysetTTL)
	}
	return out.err
}

func (f *encryptionFlags) resealSome(ctx context.Context, cmd *cobra.Command, v *vault.Vault, _ *someTenants, tenants []string) error {
	progress := newProgress(cmd.ErrOrStderr(), f.now)
	var total, done int64
	if progress.w != nil { // counting reads the rows, as the work does
		for _, tenant := range tenants {
			n, err := v.Pending(ctx, tenant)
			if err != nil {
				return err
			}
			total += int64(n)
		}
	}
	var all vault.Resealed
	for _, tenant := range tenants {
		one, err := v.Reseal(ctx, tenant, func(rows int) {
			done += int64(rows)
			progress.show(tenant, done, max(total, done))
		})
		all.Rows, all.Damaged = all.Rows+one.Rows, all.Damaged+one.Damaged
		if err != nil {
			progress.clear()
			return err
		}
	}
	progress.clear()
	out := &printer{w: cmd.OutOrStdout()}
	if f.asJSON {
		out.json(all)
	} else {
		out.printf("%d rows are encrypted with the newest key of their tenant\n", all.Rows)
	}
	if out.err == nil && all.Damaged > 0 {
		return fmt.Errorf("%d rows cannot be decrypted: they were changed, or are other rows'; they stay as they are", all.Damaged)
	}
	return out.err
}

// someTenants is which tenants a command is about.
type someTenants struct {
	tenant string
	all    bool
}

func (s *someTenants) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.tenant, "tenant", "", "this tenant")
	cmd.Flags().BoolVar(&s.all, "all", false, "every tenant that is not shredded")
}

func (s *someTenants) check(cmd *cobra.Command) error {
	if (s.tenant == "") == !s.all {
		return misuse(cmd, "one of --tenant and --all must be given")
	}
	return nil
}

func (s *someTenants) list(ctx context.Context, v *vault.Vault) ([]string, error) {
	if !s.all {
		return []string{s.tenant}, nil
	}
	return v.Tenants(ctx)
}

func (f *encryptionFlags) withVault(ctx context.Context, work func(context.Context, *vault.Vault) error) error {
	return withVault(ctx, f.environ, f.now, work)
}

// withVault runs work on the keysets of the database, with the keys of the
// environment.
func withVault(ctx context.Context, environ []string, now func() time.Time, work func(context.Context, *vault.Vault) error) error {
	keys, err := findKeys(environ)
	if err != nil {
		return err
	}
	return withOwner(ctx, environ, "millrace-encryption", "millrace encryption status", func(ctx context.Context, db *postgres.Tenancy) error {
		v, err := vault.New(vault.Options{DB: db, Keys: keys, Tables: sealedTables(), Now: now})
		if err != nil {
			return err
		}
		return work(ctx, v)
	})
}

// findKeys returns the keys of the environment, else those of dev.env; nil when
// there are none.
func findKeys(environ []string) (*seal.Keys, error) {
	env, err := readEnvironment(environ)
	if err != nil {
		return nil, err
	}
	for _, variables := range []map[string]string{env.process, env.dev} {
		of := config.Encryption{EncryptionKeys: telemetry.Secret(variables["ENCRYPTION_KEYS"]), EncryptionKeysFile: variables["ENCRYPTION_KEYS_FILE"]}
		if keys, err := of.Keys(); err != nil || keys != nil {
			return keys, err
		}
	}
	return nil, nil
}

func notFound(err error) bool {
	f := fault.From(err)
	return f != nil && f.Code == fault.NotFound
}
