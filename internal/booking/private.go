package booking

import (
	"context"

	"millrace/internal/phi"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// table is where rows are, and what their sealed texts are bound to.
const table = "bookings"

// Sealed says what is encrypted of a booking's row: the members of private.
func Sealed() seal.Table {
	return seal.Table{Name: table, Columns: []string{"name", "email", "notes"}}
}

// private is what a booking says about people.
type private struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Notes string `json:"notes,omitzero"`
}

func (s private) to(b *Booking) { b.Name, b.Email, b.Notes = s.Name, s.Email, s.Notes }

func (b Booking) row() seal.Row { return seal.Row{Tenant: b.Tenant, Table: table, ID: b.ID} }

// Seal returns the booking ready to be stored: with what it says about people
// encrypted, if that is how the tenant's rows are stored. The faults are those of
// Tenancy.Seal.
func Seal(ctx context.Context, db *postgres.Tenancy, b Booking) (Booking, error) {
	var err error
	b.sealed, err = db.Seal(ctx, b.row(), private{Name: b.Name, Email: b.Email, Notes: b.Notes})
	return b, err
}

func (b Booking) unseal(ctx context.Context, db *postgres.Tenancy) (Booking, error) {
	if b.sealed == nil {
		return b, nil
	}
	var secret private
	if err := db.Unseal(ctx, b.row(), b.sealed, &secret); err != nil {
		return Booking{}, err
	}
	secret.to(&b)
	b.sealed = nil // what is in memory is whole
	return b, nil
}

// Masked returns the booking as answers show it: with name and address beyond
// recognition, and of notes only that there are some.
func (b Booking) Masked() Booking {
	b.Name, b.Email, b.Notes = phi.MaskName(b.Name), phi.MaskEmail(b.Email), phi.MaskText(b.Notes)
	return b
}
