package payment_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/internal/dbtest"
	"millrace/internal/fault"
	"millrace/internal/payment"
	"millrace/internal/postgres"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func charge(change func(*payment.Request)) payment.Request {
	r := payment.Request{Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa"}
	if change != nil {
		change(&r)
	}
	return r
}

func TestValidateNormalises(t *testing.T) {
	t.Parallel()
	got, err := charge(func(r *payment.Request) {
		r.Currency, r.PaymentMethod, r.CustomerEmail = " EUR ", " pm_card_visa ", " jo@example.com "
	}).Validate()
	require.NoError(t, err)
	require.Equal(t, "eur", got.Currency)
	require.Equal(t, "pm_card_visa", got.PaymentMethod)
	require.Equal(t, "jo@example.com", got.CustomerEmail)

	_, err = payment.Request{PaymentIntent: "pi_123", AmountToCapture: 500}.Validate()
	require.NoError(t, err)
	_, err = charge(func(r *payment.Request) {
		r.Items = []payment.Item{{Name: "a", Quantity: 2, Price: new(int64(999))}, {Name: "b", Quantity: 1, Price: new(int64(1))}}
	}).Validate()
	require.NoError(t, err)
	_, err = charge(func(r *payment.Request) { r.Items = []payment.Item{{Name: "a", Quantity: 2}} }).Validate()
	require.NoError(t, err, "without prices nothing is added up")
}

func TestValidateNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*payment.Request)
		field  string
	}{
		"zero":                 {func(r *payment.Request) { r.Amount = 0 }, "amount"},
		"negative":             {func(r *payment.Request) { r.Amount = -1 }, "amount"},
		"too much":             {func(r *payment.Request) { r.Amount = 100_000_000 }, "amount"},
		"no currency":          {func(r *payment.Request) { r.Currency = "" }, "currency"},
		"unknown currency":     {func(r *payment.Request) { r.Currency = "abc" }, "currency"},
		"neither":              {func(r *payment.Request) { r.PaymentMethod = "" }, "payment_method"},
		"both":                 {func(r *payment.Request) { r.PaymentIntent = "pi_1" }, "payment_method"},
		"method with spaces":   {func(r *payment.Request) { r.PaymentMethod = "pm card" }, "payment_method"},
		"method with a slash":  {func(r *payment.Request) { r.PaymentMethod = "../refunds" }, "payment_method"},
		"capture of a new":     {func(r *payment.Request) { r.AmountToCapture = 5 }, "amount_to_capture"},
		"not an intent":        {func(r *payment.Request) { r.PaymentMethod, r.PaymentIntent = "", "pm_1" }, "payment_intent"},
		"intent with a slash":  {func(r *payment.Request) { r.PaymentMethod, r.PaymentIntent = "", "pi_1/cancel" }, "payment_intent"},
		"more than authorised": {func(r *payment.Request) { r.PaymentMethod, r.PaymentIntent, r.AmountToCapture = "", "pi_1", 2000 }, "amount_to_capture"},
		"e-mail":               {func(r *payment.Request) { r.CustomerEmail = "not an address" }, "customer_email"},
		"e-mail with a name":   {func(r *payment.Request) { r.CustomerEmail = "Jo <jo@example.com>" }, "customer_email"},
		"e-mail with a header": {func(r *payment.Request) { r.CustomerEmail = "jo@example.com\r\nBcc: all@example.com" }, "customer_email"},
		"description":          {func(r *payment.Request) { r.Description = strings.Repeat("x", 1001) }, "description"},
		"items do not add up":  {func(r *payment.Request) { r.Items = []payment.Item{{Name: "a", Quantity: 1, Price: new(int64(1))}} }, "items"},
		"items that overflow": {func(r *payment.Request) {
			r.Items = []payment.Item{{Name: "a", Quantity: 99_999_999, Price: new(int64(99_999_999))}}
		}, "items"},
		"nameless item":         {func(r *payment.Request) { r.Items = []payment.Item{{Quantity: 1}} }, "items[0].name"},
		"no quantity":           {func(r *payment.Request) { r.Items = []payment.Item{{Name: "a"}} }, "items[0].quantity"},
		"negative price":        {func(r *payment.Request) { r.Items = []payment.Item{{Name: "a", Quantity: 1, Price: new(int64(-1))}} }, "items[0].price"},
		"metadata key":          {func(r *payment.Request) { r.Metadata = map[string]string{"a[b]": "x"} }, "metadata"},
		"metadata value":        {func(r *payment.Request) { r.Metadata = map[string]string{"a": strings.Repeat("x", 501)} }, "metadata"},
		"metadata that is ours": {func(r *payment.Request) { r.Metadata = map[string]string{"payment_id": "x"} }, "metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := charge(c.change).Validate()
			f := fault.From(err)
			require.NotNil(t, f)
			require.Equal(t, fault.InvalidInput, f.Code)
			fields, ok := f.Details["fields"].([]fault.Field)
			require.True(t, ok)
			require.Equal(t, c.field, fields[0].Field)
		})
	}
}

func insert(t *testing.T, db *postgres.Tenancy, payments ...payment.Payment) {
	t.Helper()
	require.NoError(t, db.Tx(t.Context(), payments[0].Tenant, func(tx pgx.Tx) error {
		jobIDs := make([]int64, len(payments))
		for i, p := range payments {
			jobIDs[i] = p.JobID
		}
		return payment.InsertMany(t.Context(), tx, payments, jobIDs)
	}))
}

func TestStoreKeepsEveryField(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	intake := db.Tenancy(t, postgres.Intake)
	full := payment.New("alice", uuid.New(), charge(func(r *payment.Request) {
		r.CustomerEmail, r.Description = "jo@example.com", "Two tickets"
		r.Items = []payment.Item{{Name: "a", Quantity: 1, Price: new(int64(1999))}, {Name: "b \"q\", {x}", Quantity: 2}}
		r.Metadata = map[string]string{"order": "42", "quote": `"{},`}
	}), time.Now())
	capture := payment.New("alice", uuid.New(), payment.Request{PaymentIntent: "pi_1", AmountToCapture: 7}, time.Now())
	insert(t, intake, full, capture)
	for _, want := range []payment.Payment{full, capture} {
		got, err := payment.Find(t.Context(), intake, "alice", want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, want, got.Submitted())
	}
	_, err := payment.Find(t.Context(), intake, "mallory", full.ID)
	require.Equal(t, fault.NotFound, fault.From(err).Code)
}

func TestSettleIsFinal(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	p := payment.New("alice", uuid.New(), charge(nil), time.Now())
	insert(t, db.Tenancy(t, postgres.Intake), p)
	worker := db.Tenancy(t, postgres.Worker)
	require.True(t, settle(t, worker, p, payment.Outcome{Status: payment.RequiresAction, IntentID: "pi_1"}))
	require.True(t, settle(t, worker, p, payment.Outcome{Status: payment.Captured, IntentID: "pi_1", AmountCaptured: 1999}))
	require.False(t, settle(t, worker, p, payment.Outcome{Status: payment.Failed, Failure: fault.New(fault.PaymentFailed, "Too late.")}))
	got, err := payment.Find(t.Context(), worker, "alice", p.ID)
	require.NoError(t, err)
	require.Equal(t, payment.Captured, got.Status)
	require.EqualValues(t, 1999, got.AmountCaptured)
	require.Empty(t, got.Failure)
	require.Equal(t, fault.Unavailable, fault.From(payment.Begin(t.Context(), worker, got, 1, time.Now())).Code)
	again, err := payment.Find(t.Context(), worker, "alice", p.ID)
	require.NoError(t, err)
	require.Equal(t, got, again)
}

func TestLogsShowNoPersonalData(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := payment.New("alice", uuid.New(), charge(func(r *payment.Request) {
		r.CustomerEmail, r.Description = "jo@example.com", "For Jo Doe"
	}), time.Now())
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("payment", p), slog.Any("request", p.Request))
	require.NotContains(t, out.String(), "jo@example.com")
	require.NotContains(t, out.String(), "Jo Doe")
	require.Contains(t, out.String(), p.ID.String())
}
