package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"millrace/internal/apikey"
	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

func keysCommand() *cobra.Command { return newKeysCommand(os.Environ(), time.Now) }

// keysFlags are the flags of every keys command, and what commands get from
// outside.
type keysFlags struct {
	environ []string
	now     func() time.Time

	asJSON bool
}

func newKeysCommand(environ []string, now func() time.Time) *cobra.Command {
	flags := &keysFlags{environ: environ, now: now}
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Create, list, rotate and revoke API keys",
		Long: `Create, list, rotate and revoke API keys, in the database itself: DATABASE_URL's, else that
of dev.env in MILLRACE_HOME (.millrace), which ` + "`millrace dev`" + ` writes. The login must be
a member of the role millrace_owner, as the one that ran ` + "`millrace migrate up`" + ` is.

` + exitCodesHelp,
		Example: `  millrace keys create --tenant acme --name "billing service"
  millrace keys list --tenant acme
  millrace keys rotate k7q2m5x4w3v6z2y5
  millrace keys revoke k7q2m5x4w3v6z2y5`,
	}
	cmd.PersistentFlags().BoolVar(&flags.asJSON, "json", false, "print JSON, one line a key")
	return group(cmd, flags.create(), flags.list(), flags.rotate(), flags.revoke())
}

func (f *keysFlags) create() *cobra.Command {
	var (
		request apikey.Request
		scopes  []string
		expires string
	)
	cmd := &cobra.Command{
		Use:   "create --tenant TENANT",
		Short: "Create a key, and its tenant if that is new",
		Long: `Create a key, and its tenant if that is new. The key is printed this once: only its
hash is stored. The standard output has the key alone, so that it can go straight
into a secret store.

Scopes: ` + scopeNames() + `.`,
		Example: `  millrace keys create --tenant acme
  millrace keys create --tenant acme --name dashboard --scopes jobs:read --expires 90d
  MILLRACE_API_KEY=$(millrace keys create --tenant acme --expires 2030-01-31T00:00:00Z)`,
		Args: takes(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&request.Tenant, "tenant", "", "the tenant that the key belongs to (required)")
	flags.StringVar(&request.Name, "name", "", "what the key is for")
	flags.StringSliceVar(&scopes, "scopes", []string{string(apikey.JobsRead), string(apikey.JobsWrite), string(apikey.MetricsWrite)}, "what the key may do")
	flags.StringToStringVar(&request.Limits, "limits", nil, "rates that differ from the server's, by class: payments=100/m,reads=1000/m")
	flags.StringVar(&expires, "expires", "", "when it stops working: 90d or 12h from now, or RFC 3339 (default never)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if request.Tenant == "" {
			return misuse(cmd, "--tenant is missing")
		}
		for _, scope := range scopes {
			request.Scopes = append(request.Scopes, apikey.Scope(strings.TrimSpace(scope)))
		}
		if expires != "" {
			at, err := parseExpiry(cmd, expires, f.now())
			if err != nil {
				return err
			}
			request.ExpiresAt = &at
		}
		return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
			key, secret, err := apikey.Create(ctx, db, request, f.now())
			if err != nil {
				return err
			}
			return f.showNew(cmd, key, secret.Reveal())
		})
	}
	return cmd
}

func (f *keysFlags) showNew(cmd *cobra.Command, key apikey.Key, secret string) error {
	out := &printer{w: cmd.OutOrStdout()}
	if f.asJSON {
		out.json(struct {
			apikey.Key
			Secret string `json:"key"`
		}{key, secret})
		return out.err
	}
	hints := &printer{w: cmd.ErrOrStderr()}
	hints.printf("Key %s of the tenant %s, for %s, expires %s:\n", key.ID, key.Tenant, joinScopes(key.Scopes), orNever(key.ExpiresAt))
	out.printf("%s\n", secret)
	if key.Has(apikey.OpsConsole) {
		hints.printf("It opens the operators' console, where whoever has it sees and controls the jobs of all tenants.\n")
	}
	hints.printf("Keep it now: it is not stored and cannot be shown again.\n")
	return errors.Join(out.err, hints.err)
}

func (f *keysFlags) list() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List keys, newest first",
		Example: `  millrace keys list
  millrace keys list --tenant acme --json | jq -r 'select(.revoked_at == null) | .id'`,
		Args: takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				keys, err := apikey.List(ctx, db, tenant)
				if err != nil {
					return err
				}
				return f.showKeys(cmd, keys)
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant's keys")
	return cmd
}

func (f *keysFlags) showKeys(cmd *cobra.Command, keys []apikey.Key) error {
	out := &printer{w: cmd.OutOrStdout()}
	rows := [][]string{{"ID", "TENANT", "STATUS", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "NAME"}}
	for _, key := range keys {
		if f.asJSON {
			out.json(key)
			continue
		}
		rows = append(rows, []string{key.ID, key.Tenant, f.status(key), joinScopes(key.Scopes), stamp(key.CreatedAt), orNever(key.ExpiresAt), orNever(key.LastUsedAt), key.Name})
	}
	if !f.asJSON {
		out.table(rows)
	}
	return out.err
}

func (f *keysFlags) revoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a key",
		Long: fmt.Sprintf(`End a key for good. Servers remember keys for up to %s, so that it may work that long.
ID is the part between mrk_ and the next _; the whole key is taken too.`, apikey.CacheTTL),
		Example: "  millrace keys revoke k7q2m5x4w3v6z2y5",
		Args:    takes(1, 1, "the ID of a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := keyID(args[0])
			return f.withDatabase(cmd.Context(), func(ctx context.Context, db *postgres.Tenancy) error {
				now := f.now().UTC()
				if err := apikey.Revoke(ctx, db, id, now); err != nil {
					return err
				}
				out := &printer{w: cmd.OutOrStdout()}
				if f.asJSON {
					out.json(map[string]any{"id": id, "revoked_at": now})
				} else {
					out.printf("key %s is revoked; servers follow within %s\n", id, apikey.CacheTTL)
				}
				return out.err
			})
		},
	}
}

// keyID takes the id out of a whole key.
func keyID(presented string) string {
	if id, _, ok := apikey.Split(presented); ok {
		return id
	}
	return presented
}

// withDatabase runs work as the owner of the schema.
func (f *keysFlags) withDatabase(ctx context.Context, work func(context.Context, *postgres.Tenancy) error) error {
	return withOwner(ctx, f.environ, "millrace-keys", "millrace keys list", work)
}

// withOwner runs work as the owner of the schema. shows is the command that shows
// what was done when it is interrupted.
func withOwner(ctx context.Context, environ []string, application, shows string, work func(context.Context, *postgres.Tenancy) error) error {
	found, err := findDatabase(environ)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, postgres.Options{
		URL: found.value, Role: postgres.Owner, MaxConns: 1, Application: application,
	})
	if err != nil {
		return fmt.Errorf("%w (it is from %s)", err, found.source)
	}
	defer pool.Close()
	err = work(asOperator(ctx), postgres.NewTenancy(pool, postgres.Owner))
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted; `%s` shows what was done", shows)
	}
	return explainDatabase(err, found.source)
}

// explainDatabase says in one line what to do about an error of the database or
// of the request.
func explainDatabase(err error, source string) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok {
		return err
	}
	switch f.Code { //nolint:exhaustive // the others say all there is to say
	case fault.NotFound:
		return &exitError{exitNotFound, errors.New(f.Message)}
	case fault.InvalidInput:
		return &exitError{exitUsage, errors.New(invalid(f))}
	case fault.Unavailable:
		if f.Details["reason"] == seal.ReasonNoKey {
			return fmt.Errorf("the keysets are wrapped with another key than those that are set here (%v is needed); set ENCRYPTION_KEYS or ENCRYPTION_KEYS_FILE", f.Details["key"])
		}
		return fmt.Errorf("the database cannot be reached (DATABASE_URL from %s); start it, or set DATABASE_URL to where it is", source)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("the database (DATABASE_URL from %s) %s", source, refusal(refused.Code))
	}
	return errors.New(f.Message)
}

// invalid names every field of an INVALID_INPUT.
func invalid(f *fault.Fault) string {
	fields, ok := f.Details["fields"].([]fault.Field)
	if !ok {
		return f.Message
	}
	problems := make([]string, len(fields))
	for i, field := range fields {
		problems[i] = "--" + strings.TrimSuffix(field.Field, "_at") + " " + field.Problem
	}
	return strings.Join(slices.Compact(problems), "; ")
}

// refusal explains what Postgres refuses (PostgreSQL documentation, appendix A),
// without its text, which may quote what was sent.
func refusal(sqlState string) string {
	switch sqlState {
	case "28P01", "28000":
		return "refuses the login; check its user and password"
	case "3D000":
		return "does not exist on its server; create it, then run `millrace migrate up`"
	case "22023", "42704", "42P01", "42703":
		return "lacks Millrace's roles or tables; run `millrace migrate up`"
	case "42501":
		return "does not let this login act as millrace_owner; use the login that ran `millrace migrate up`"
	default:
		return "refuses (SQLSTATE " + sqlState + ")"
	}
}

// parseExpiry reads 90d or 12h from now, or a time.
func parseExpiry(cmd *cobra.Command, text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	d, err := parseDuration(text)
	if err != nil {
		return time.Time{}, misuse(cmd, "--expires must look like 90d, 12h or 2030-01-31T09:30:00Z")
	}
	return now.Add(d).UTC().Truncate(time.Second), nil
}

func (f *keysFlags) status(key apikey.Key) string {
	switch {
	case key.RevokedAt != nil:
		return "revoked"
	case !key.Valid(f.now()):
		return "expired"
	default:
		return "active"
	}
}

func orNever(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return stamp(*at)
}

func scopeNames() string { return joinScopes(apikey.Scopes()) }

func joinScopes(scopes []apikey.Scope) string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return strings.Join(names, ",")
}
