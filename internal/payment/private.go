package payment

import (
	"context"

	"millrace/internal/phi"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// table is where rows are, and what their sealed texts are bound to.
const table = "payments"

// Sealed says what is encrypted of a payment's row: the members of private.
func Sealed() seal.Table {
	return seal.Table{Name: table, Columns: []string{"customer_email", "description", "items", "metadata"}}
}

// private is what a payment says about people.
type private struct {
	CustomerEmail string            `json:"customer_email,omitzero"`
	Description   string            `json:"description,omitzero"`
	Items         []Item            `json:"items,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
}

func (r Request) private() private {
	return private{CustomerEmail: r.CustomerEmail, Description: r.Description, Items: r.Items, Metadata: r.Metadata}
}

func (s private) none() bool {
	return s.CustomerEmail == "" && s.Description == "" && len(s.Items) == 0 && len(s.Metadata) == 0
}

func (s private) to(p *Payment) {
	p.CustomerEmail, p.Description, p.Items, p.Metadata = s.CustomerEmail, s.Description, s.Items, s.Metadata
}

func (p Payment) row() seal.Row { return seal.Row{Tenant: p.Tenant, Table: table, ID: p.ID} }

// Seal returns the payment ready to be stored: with what it says about people
// encrypted, if that is how the tenant's rows are stored. The faults are those of
// Tenancy.Seal.
func Seal(ctx context.Context, db *postgres.Tenancy, p Payment) (Payment, error) {
	secret := p.private()
	if secret.none() {
		return p, nil
	}
	var err error
	p.sealed, err = db.Seal(ctx, p.row(), secret)
	return p, err
}

func (p Payment) unseal(ctx context.Context, db *postgres.Tenancy) (Payment, error) {
	if p.sealed == nil {
		return p, nil
	}
	var secret private
	if err := db.Unseal(ctx, p.row(), p.sealed, &secret); err != nil {
		return Payment{}, err
	}
	secret.to(&p)
	p.sealed = nil // what is in memory is whole
	return p, nil
}

// Masked returns the payment as answers show it: with its customer's address beyond
// recognition. The rest says what is paid for, not by whom.
func (p Payment) Masked() Payment {
	p.CustomerEmail = phi.MaskEmail(p.CustomerEmail)
	return p
}
