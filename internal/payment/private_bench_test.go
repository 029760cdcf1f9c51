package payment_test

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/payment"
	"millrace/internal/postgres"
	"millrace/internal/seal"
)

// What a request pays for being encrypted, in front of the shared commit.
func BenchmarkSeal(b *testing.B) {
	keys, err := seal.ParseKeys("bench:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.KeySize)))
	require.NoError(b, err)
	db := dbtest.New(b).Tenancy(b, postgres.Intake).WithKeys(keys, time.Now)
	p := payment.New("alice", uuid.New(), payment.Request{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", CustomerEmail: "customer@example.com", Description: "Two tickets",
		Metadata: map[string]string{"order": "4711"},
	}, time.Now())
	_, err = payment.Seal(b.Context(), db, p)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = payment.Seal(b.Context(), db, p)
	}
}
