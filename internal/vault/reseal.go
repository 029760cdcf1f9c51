package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/internal/fault"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// resealBatch is how many rows are written together: a conversation may have 2 MB.
const resealBatch = 50

// Resealed is what Reseal did.
type Resealed struct {
	// Rows were encrypted, for the first time or again.
	Rows int `json:"rows"`
	// Damaged cannot be decrypted, and stay as they are.
	Damaged int `json:"damaged"`
}

// Pending counts the rows of a tenant that Reseal would encrypt. It reads them all.
func (v *Vault) Pending(ctx context.Context, tenant string) (n int, err error) {
	if v.opts.Keys == nil {
		return 0, errNoKeys()
	}
	keyset, err := v.opts.DB.Keyset(ctx, tenant)
	if err != nil {
		return 0, err
	}
	for _, table := range v.opts.Tables {
		err := v.opts.DB.Query(ctx, tenant, func(rows pgx.Rows) error {
			count, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
			n += count
			return err
		}, "SELECT count(*)::int FROM "+table.Name+" WHERE tenant_id = $1 AND "+outdated(table, "$2"), tenant, keyset.Prefix())
		if err != nil {
			return 0, postgres.Fault(err)
		}
	}
	return n, nil
}

// Reseal encrypts with a tenant's newest key all rows that are plain or of an older
// key; a tenant without a keyset gets one. It works in short transactions and waits
// for no program, tells tell of each, and goes on where it was interrupted.
func (v *Vault) Reseal(ctx context.Context, tenant string, tell func(rows int)) (done Resealed, err error) {
	if v.opts.Keys == nil {
		return done, errNoKeys()
	}
	keyset, err := v.opts.DB.Keyset(ctx, tenant)
	if err != nil {
		return done, err
	}
	for _, table := range v.opts.Tables {
		for after, more := uuid.Nil, true; more; {
			batch, err := v.outdatedRows(ctx, tenant, table, keyset, after)
			if err != nil {
				return done, err
			}
			if more = len(batch) == resealBatch; len(batch) == 0 {
				break
			}
			after = batch[len(batch)-1].id
			n, damaged, err := v.resealRows(ctx, tenant, table, keyset, batch)
			if err != nil {
				return done, err
			}
			done.Rows, done.Damaged = done.Rows+n, done.Damaged+damaged
			tell(n)
		}
	}
	return done, nil
}

// outdated is the condition for rows that are plain, or of another key than the one
// with a prefix. Names of tables and columns are constants of ours.
func outdated(table seal.Table, prefix string) string {
	// An empty value is of a shredded tenant, and no text at all.
	return fmt.Sprintf("CASE WHEN sealed IS NULL THEN num_nonnulls(%s) > 0 ELSE length(sealed) > 0 AND substring(sealed FROM 1 FOR %d) <> %s END",
		strings.Join(table.Columns, ", "), seal.PrefixSize, prefix)
}

// storedRow is a row as it is, with its plain columns as JSON.
type storedRow struct {
	id     uuid.UUID
	sealed []byte
	plain  map[string]json.RawMessage
}

func (v *Vault) outdatedRows(ctx context.Context, tenant string, table seal.Table, keyset *seal.Keyset, after uuid.UUID) ([]storedRow, error) {
	var (
		list    []storedRow
		columns = make([]string, len(table.Columns))
		values  = make([]*string, len(table.Columns))
		row     storedRow
		fields  = []any{&row.id, &row.sealed}
	)
	for i, column := range table.Columns {
		columns[i] = "to_json(" + column + ")::text"
		fields = append(fields, &values[i])
	}
	err := v.opts.DB.Query(ctx, tenant, func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, fields, func() error {
			row.plain = map[string]json.RawMessage{}
			for i, value := range values {
				if value != nil {
					row.plain[table.Columns[i]] = json.RawMessage(*value)
				}
			}
			list = append(list, row)
			row = storedRow{}
			return nil
		})
		return err
	}, "SELECT id, sealed, "+strings.Join(columns, ", ")+" FROM "+table.Name+
		" WHERE tenant_id = $1 AND id > $2 AND "+outdated(table, "$3")+" ORDER BY id LIMIT $4", tenant, after, keyset.Prefix(), resealBatch)
	return list, postgres.Fault(err)
}

func (v *Vault) resealRows(ctx context.Context, tenant string, table seal.Table, keyset *seal.Keyset, batch []storedRow) (n, damaged int, err error) {
	var (
		ids        []uuid.UUID
		old, fresh [][]byte
	)
	for _, row := range batch {
		at := seal.Row{Tenant: tenant, Table: table.Name, ID: row.id}
		text, err := row.text(keyset, at)
		if f := fault.From(err); f != nil && f.Code == fault.MaskingFailed {
			damaged++
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		sealed, err := keyset.Seal(at, text)
		if err != nil {
			return 0, 0, err
		}
		ids, old, fresh = append(ids, row.id), append(old, row.sealed), append(fresh, sealed)
	}
	nulls := strings.Join(table.Columns, " = NULL, ") + " = NULL"
	err = v.opts.DB.Tx(ctx, tenant, func(tx pgx.Tx) error {
		// What is sealed never changes, except by a reseal that was faster, or a shredding.
		tag, err := tx.Exec(ctx, "UPDATE "+table.Name+" AS stored SET sealed = fresh.sealed, "+nulls+`
			FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS fresh (id, old, sealed)
			WHERE stored.tenant_id = $1 AND stored.id = fresh.id AND stored.sealed IS NOT DISTINCT FROM fresh.old`, tenant, ids, old, fresh)
		n = int(tag.RowsAffected())
		return err
	})
	return n, damaged, postgres.Fault(err)
}

// text returns what the row says about people, as Tenancy.Seal encrypts it.
func (r storedRow) text(keyset *seal.Keyset, at seal.Row) ([]byte, error) {
	if r.sealed != nil {
		return keyset.Open(at, r.sealed)
	}
	text, err := json.Marshal(r.plain)
	if err != nil {
		return nil, fmt.Errorf("vault: encode: %w", err)
	}
	return text, nil
}
