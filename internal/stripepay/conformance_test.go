package stripepay_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
	"github.com/stripe/stripe-mock/spec"

	"millrace/internal/payment"
	"millrace/internal/stripepay"
)

// TestRequestsConformToStripesOpenAPI sends what the gateway sends to a server
// that knows Stripe's published OpenAPI description and refuses what does not fit.
func TestRequestsConformToStripesOpenAPI(t *testing.T) {
	t.Parallel()
	baseURL := newPublished(t)

	// One entry a request; every method of payment.Gateway has one.
	type check struct {
		method  string // of payment.Gateway
		call    func(ctx context.Context, gateway *stripepay.Gateway) (payment.Intent, error)
		request string
		// parameters must be among those that are sent.
		parameters []string
	}
	const id = "pi_3MrPBM2eZvKYlo2C1TEMacFD"
	p := newPayment("pm_card_visa") // with every optional field
	p.IntentID = id
	part := p
	part.AmountToCapture = 1000
	checks := []check{
		{
			method:  "Create",
			call:    func(ctx context.Context, g *stripepay.Gateway) (payment.Intent, error) { return g.Create(ctx, p) },
			request: "POST /v1/payment_intents",
			parameters: []string{
				"amount", "automatic_payment_methods[allow_redirects]", "automatic_payment_methods[enabled]", "currency",
				"description", "metadata[order]", "metadata[payment_id]", "payment_method", "receipt_email",
			},
		},
		{
			method:  "Find",
			call:    func(ctx context.Context, g *stripepay.Gateway) (payment.Intent, error) { return g.Find(ctx, id) },
			request: "GET /v1/payment_intents/" + id,
		},
		{
			method:  "Confirm",
			call:    func(ctx context.Context, g *stripepay.Gateway) (payment.Intent, error) { return g.Confirm(ctx, p) },
			request: "POST /v1/payment_intents/" + id + "/confirm",
		},
		{
			method:  "Capture",
			call:    func(ctx context.Context, g *stripepay.Gateway) (payment.Intent, error) { return g.Capture(ctx, p) },
			request: "POST /v1/payment_intents/" + id + "/capture",
		},
		{
			method:     "Capture",
			call:       func(ctx context.Context, g *stripepay.Gateway) (payment.Intent, error) { return g.Capture(ctx, part) },
			request:    "POST /v1/payment_intents/" + id + "/capture",
			parameters: []string{"amount_to_capture"},
		},
		{
			method:  "Cancel",
			call:    func(ctx context.Context, g *stripepay.Gateway) (payment.Intent, error) { return g.Cancel(ctx, p) },
			request: "POST /v1/payment_intents/" + id + "/cancel",
		},
	}

	for method := range reflect.TypeFor[payment.Gateway]().Methods() {
		require.True(t, slices.ContainsFunc(checks, func(c check) bool { return c.method == method.Name }), "%s is not checked", method.Name)
	}
	for i, c := range checks {
		t.Run(fmt.Sprintf("%d %s", i, c.method), func(t *testing.T) {
			t.Parallel()
			sent := &witness{}
			gateway, err := stripepay.New(stripepay.Options{
				Key: "sk_test_x", BaseURL: baseURL, Transport: sent, Metrics: prometheus.NewRegistry(),
			})
			require.NoError(t, err)
			intent, err := c.call(t.Context(), gateway)
			require.NoError(t, err, "%s", sent.answers)
			require.NotEmpty(t, intent.Status)
			require.NotEmpty(t, intent.Currency)
			require.Positive(t, intent.Amount)
			if c.method == "Create" {
				require.NotEmpty(t, intent.ID)
			} else {
				require.Equal(t, id, intent.ID)
			}
			require.Equal(t, []string{c.request}, sent.requests)
			require.Subset(t, slices.Collect(maps.Keys(sent.parameters)), c.parameters)
		})
	}

	t.Run("what does not fit is refused", func(t *testing.T) {
		t.Parallel()
		refusals(t, baseURL)
	})
}

// refusals keeps the test above able to fail.
func refusals(t *testing.T, baseURL string) {
	t.Helper()
	const (
		intents = "POST /v1/payment_intents"
		confirm = "POST /v1/payment_intents/pi_1/confirm"
		capture = "POST /v1/payment_intents/pi_1/capture"
		cancel  = "POST /v1/payment_intents/pi_1/cancel"
		find    = "GET /v1/payment_intents/pi_1"
	)
	for _, c := range []struct {
		request, parameters string
		status              int
	}{
		{intents, "amount=1999&currency=usd", http.StatusOK},
		{intents, "amount=1999&currency=usd&nonsense=1", http.StatusBadRequest},
		{intents, "amount=1999&currency=usd&automatic_payment_methods[enabled]=true&automatic_payment_methods[nonsense]=1", http.StatusBadRequest},
		{intents, "amount=1999&currency=usd&payment_method_options[card][nonsense]=1", http.StatusBadRequest},
		{intents, "amount=1999&currency=usd&metadata[nonsense]=1&payment_method_options[card][capture_method]=manual", http.StatusOK},
		{intents, "amount=1999", http.StatusBadRequest},
		{intents, "amount=19.99&currency=usd", http.StatusBadRequest},
		{intents, "amount=much&currency=usd", http.StatusBadRequest},
		{intents, "amount=1999&currency=usd&automatic_payment_methods[enabled]=perhaps", http.StatusBadRequest},
		{intents, "amount=1999&currency=usd&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=sometimes", http.StatusBadRequest},
		{confirm, "", http.StatusOK},
		{confirm, "amount=1999", http.StatusBadRequest},
		{capture, "amount_to_capture=1000", http.StatusOK},
		{capture, "amount_to_capture=all", http.StatusBadRequest},
		{capture, "amount=1000", http.StatusBadRequest},
		{cancel, "cancellation_reason=abandoned", http.StatusOK},
		{cancel, "cancellation_reason=bored", http.StatusBadRequest},
		{find, "", http.StatusOK},
		{find + "?nonsense=1", "", http.StatusBadRequest},
		{"POST /v1/payment_intents/pi_1/captures", "", http.StatusNotFound},
		{"POST /v1/paymentintents", "amount=1999&currency=usd", http.StatusNotFound},
		{"DELETE /v1/payment_intents/pi_1", "", http.StatusNotFound},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		request, err := http.NewRequestWithContext(t.Context(), method, baseURL+path, strings.NewReader(c.parameters))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer sk_test_x")
		if method == http.MethodPost {
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, c.status, response.StatusCode, "%s %s: %s", c.request, c.parameters, answer)
	}
}

// newPublished serves what stripe-mock makes of Stripe's OpenAPI description: its
// operations, their parameters, types and enumerations. It holds no state and
// answers success where only Stripe could refuse.
//
// The description is of a newer API version than the 2023-10-16 of stripe-go v76,
// so this also tells when a later version has no more place for what we send.
func newPublished(t *testing.T) (baseURL string) {
	t.Helper()
	description, err := server.LoadSpec(embedded.OpenAPISpec, "")
	require.NoError(t, err)
	for path, operations := range description.Paths {
		if !strings.HasPrefix(string(path), "/v1/payment_intents") {
			delete(description.Paths, path)
			continue
		}
		for _, operation := range operations {
			if operation.RequestBody != nil {
				for _, content := range operation.RequestBody.Content {
					closeSchema(content.Schema)
				}
			}
		}
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	require.NoError(t, err)
	stub, err := server.NewStubServer(fixtures, description, false, false)
	require.NoError(t, err)
	// Its program would listen for HTTPS on every interface; this is loopback.
	listening := httptest.NewServer(http.HandlerFunc(stub.HandleRequest))
	t.Cleanup(listening.Close)
	return listening.URL
}

// closeSchema forbids unknown parameters inside of others, which the description
// says of the outermost only.
func closeSchema(schema *spec.Schema) {
	if schema == nil {
		return
	}
	if len(schema.Properties) > 0 {
		schema.AdditionalPropertiesAllowed = schema.AdditionalProperties != nil
	}
	for _, property := range schema.Properties {
		closeSchema(property)
	}
	for _, alternative := range schema.AnyOf {
		closeSchema(alternative)
	}
	closeSchema(schema.Items)
}

// witness notes what passes through it.
type witness struct {
	requests   []string // method and path
	parameters url.Values
	answers    []string // statuses
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	w.requests = append(w.requests, r.Method+" "+r.URL.Path)
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		form, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		if w.parameters, err = url.ParseQuery(string(form)); err != nil {
			return nil, err
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		w.answers = append(w.answers, response.Status)
	}
	return response, err
}
