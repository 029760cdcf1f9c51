package api

import (
	"context"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"millrace/internal/apikey"
	"millrace/internal/audit"
	"millrace/internal/fault"
	"millrace/internal/phi"
)

// Lengths of a reason, in characters.
const (
	minReason = 3
	maxReason = 200
)

// readInput asks for one row, and with Reason for what answers mask of it.
type readInput struct {
	ID     string `path:"id" doc:"Its id." example:"019a2f5e-7c1b-7d3e-9a40-0c5b1f2e3d4c"`
	Reason string `query:"reveal" doc:"Show what is masked, for this reason (3 to 200 characters). It needs the scope phi:reveal, and is written down." maxLength:"800" example:"the customer asks for a correction"`
}

// reveal reports whether a row is to be shown unmasked, after who asked for it and
// why was written down: what cannot be is not shown. The fault is
// TENANT_ACCESS_DENIED when the key lacks the scope, INVALID_INPUT for a reason that
// is none.
func (s *Server) reveal(ctx context.Context, in *readInput, resource string, id uuid.UUID) (bool, error) {
	if in.Reason == "" {
		return false, nil
	}
	if !principal(ctx).Has(apikey.PHIReveal) {
		s.recordRefusal(ctx, principal(ctx).Tenant, audit.Entry{Action: "revealed", ResourceType: resource, ResourceID: id.String()}, apikey.PHIReveal)
		return false, lacks(apikey.PHIReveal)
	}
	reason, err := readReason(in.Reason)
	if err != nil {
		return false, err
	}
	if err := s.auditReveal(ctx, resource, id, reason); err != nil {
		return false, err
	}
	return true, nil
}

// readReason returns a reason as it is written down: without personal data. The error
// is an INVALID_INPUT fault.
func readReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	n := utf8.RuneCountInString(text)
	var fields fault.Fields
	fields.Check(n >= minReason && n <= maxReason && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }),
		"reveal", "must be a reason of "+strconv.Itoa(minReason)+" to "+strconv.Itoa(maxReason)+" visible characters")
	var masker phi.Masker
	masked, _ := masker.Mask(text)
	return masked, fields.Err()
}

// auditReveal notes in the audit log that the request's key is about to see a row
// unmasked. The reason is masked itself. Who gets an error shows nothing.
func (s *Server) auditReveal(ctx context.Context, resource string, id uuid.UUID, reason string) error {
	return audit.Record(ctx, s.opts.DB, principal(ctx).Tenant, audit.Entry{
		Action: "revealed", ResourceType: resource, ResourceID: id.String(), Outcome: audit.Done, Details: audit.Details{"reason": reason},
	})
}
