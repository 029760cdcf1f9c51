package client_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestScanPHI(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"findings":[{"type":"NAME","start":5,"end":13}],"categories":{"NAME":1},"masked":"I am [NAME_1]"}`))
	c, _ := newClient(t, s.URL, client.Options{})
	got, err := c.ScanPHI(t.Context(), "I am Jane Doe")
	require.NoError(t, err)
	require.Equal(t, &client.PHIScan{
		Findings: []client.PHIFinding{{Type: "NAME", Start: 5, End: 13}}, Categories: map[string]int{"NAME": 1}, Masked: "I am [NAME_1]",
	}, got)
	sent := s.one(t)
	require.Equal(t, "POST /v1/compliance/scan", sent.method+" "+sent.uri)
	require.JSONEq(t, `{"text":"I am Jane Doe"}`, sent.body)
}

func TestPersonalDataThatIsRefusedIsTold(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusUnprocessableEntity, `{"error":"No.","code":"PHI_DETECTED","request_id":"r","details":{
		"categories":{"EMAIL":1},"findings":[{"field":"notes","type":"EMAIL","start":1,"end":9}]}}`))
	c, _ := newClient(t, s.URL, client.Options{})
	_, err := c.SubmitBooking(t.Context(), client.BookingRequest{}, client.SubmitOptions{})
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, []client.PHIFinding{{Field: "notes", Type: "EMAIL", Start: 1, End: 9}}, e.PHI())
	e.Code = client.CodeInvalidInput
	require.Empty(t, e.PHI())
}
