package client_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]struct {
		url, key string
		opts     client.Options
	}{
		"no scheme":         {url: "localhost:8080", key: testKey},
		"another scheme":    {url: "ftp://localhost", key: testKey},
		"no host":           {url: "http://", key: testKey},
		"empty":             {url: "", key: testKey},
		"a user":            {url: "http://user:hunter2@localhost", key: testKey}, //nolint:gosec // made up
		"a query":           {url: "http://localhost?a=b", key: testKey},
		"no key":            {url: "http://localhost"},
		"a key of two":      {url: "http://localhost", key: "mrk_a\r\nX: y"},
		"negative timeout":  {url: "http://localhost", key: testKey, opts: client.Options{Timeout: -1}},
		"negative attempts": {url: "http://localhost", key: testKey, opts: client.Options{MaxAttempts: -1}},
		"endless attempts":  {url: "http://localhost", key: testKey, opts: client.Options{MaxAttempts: 101}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client.New(try.url, try.key, try.opts)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), testKey)
		})
	}
}

func TestRequestsCarryTheKeyAndSayWhoAsks(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, job("1", "running")))
	c, _ := newClient(t, s.URL+"/", client.Options{UserAgent: "shop/1.2"})
	_, err := c.Job(t.Context(), "1")
	require.NoError(t, err)
	got := s.one(t)
	require.Equal(t, "GET /v1/jobs/1", got.method+" "+got.uri)
	require.Equal(t, "Bearer "+testKey, got.header.Get("Authorization"))
	require.Equal(t, "shop/1.2 millrace-client-go", got.header.Get("User-Agent"))
}

func TestPrintingAClientShowsNoKey(t *testing.T) {
	t.Parallel()
	c, err := client.New("http://localhost", testKey, client.Options{})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		require.NotContains(t, fmt.Sprintf(verb, c), testKey)
		require.NotContains(t, fmt.Sprintf(verb, *c), testKey)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newServer(t, answer(http.StatusOK, job("1", "running")))
	following := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, opts := range []client.Options{{}, {HTTPClient: following}} {
			s := newServer(t, answer(status, "", "Location", elsewhere.URL+"/v1/jobs/1"))
			c, _ := newClient(t, s.URL, opts)
			_, err := c.Job(t.Context(), "1")
			var e *client.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, status, e.Status)
			require.Contains(t, e.Message, "base URL")
		}
	}
	require.Empty(t, elsewhere.received())
	require.NoError(t, following.CheckRedirect(nil, nil), "the caller's client is left as it was")
}

func TestWhatIsNotMillraceIsToldSo(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusForbidden} {
		s := newServer(t, answer(status, "<html>Welcome to our wifi</html>"))
		c, _ := newClient(t, s.URL, client.Options{})
		_, err := c.Job(t.Context(), "1")
		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, status, e.Status)
		require.Empty(t, e.Code)
		require.Contains(t, e.Message, "not Millrace")
		require.NotContains(t, e.Message, "wifi")
	}
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.Job(t.Context(), "1")
	require.ErrorContains(t, err, "more than")
	require.Len(t, s.received(), 1, "it is not asked for again")
}

func TestASilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c, _ := newClient(t, s.URL, client.Options{Timeout: 10 * time.Millisecond, MaxAttempts: 2})
	_, err := c.Job(t.Context(), "1")
	require.ErrorIs(t, err, client.ErrNoAnswer)
	require.ErrorContains(t, err, "nothing came within 10ms")
	require.NoError(t, t.Context().Err())
}

func TestErrorsTellEverything(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusBadRequest, `{"error":"The request is not valid; details name each field.",
		"code":"INVALID_INPUT","details":{"fields":[{"field":"amount","problem":"must be positive"},
		{"field":"currency","problem":"must be an ISO 4217 code"}]},"request_id":"r-7"}`))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitPayment(t.Context(), client.PaymentRequest{}, client.SubmitOptions{})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, http.StatusBadRequest, e.Status)
	require.Equal(t, client.CodeInvalidInput, e.Code)
	require.Equal(t, "r-7", e.RequestID)
	require.Equal(t, []client.Field{
		{Field: "amount", Problem: "must be positive"}, {Field: "currency", Problem: "must be an ISO 4217 code"},
	}, e.Fields())
	require.Equal(t, "INVALID_INPUT: The request is not valid; details name each field. (request r-7)", err.Error())
}
