package security_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"millrace/internal/booking"
	"millrace/internal/conversation"
	"millrace/internal/payment"
	"millrace/internal/satisfaction"
)

// faults are accidents that a payment's amount, or the part of a mail's address
// behind the plus sign, brings about at the hostile vendors.
func faults() []string {
	return []string{"refused", "declined", "invalid", "forbidden", "conflict", "rate limit", "broken", "html", "nonsense", "hung up", "silent", "panic", "error panic", "runtime panic"}
}

// hostile is a vendor that repeats what it was sent in whatever it answers, where
// texts belong and where they do not.
type hostile struct {
	mu     sync.Mutex
	served map[string]bool
}

func (h *hostile) did(vendor, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.served[vendor+" "+name] = true
}

func (h *hostile) has(vendor, name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.served[vendor+" "+name]
}

func (h *hostile) answer(w http.ResponseWriter, r *http.Request, vendor, name string) {
	h.did(vendor, name)
	echo := everything() + " " + canaries()["note"]
	w.Header().Set("Request-Id", strings.ReplaceAll(echo, "\n", " "))
	w.Header().Set("X-Echo", echo)
	w.Header().Set("Content-Type", "application/json")
	status := map[string]int{
		"refused": 422, "declined": 402, "invalid": 400, "forbidden": 403, "conflict": 409, "rate limit": 429, "broken": 500, "html": 502, "nonsense": 200,
	}[name]
	kind := map[string]string{"declined": "card_error"}[name]
	switch name {
	case "hung up":
		panic(http.ErrAbortHandler)
	case "silent":
		<-r.Context().Done() // until the client has had enough
		return
	case "html":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html>%s</html>", echo)
		return
	}
	w.WriteHeader(status)
	if name == "nonsense" {
		_, _ = fmt.Fprintf(w, `{"id":%q,`, echo)
		return
	}
	if kind == "" {
		kind = echo
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"name": echo, "message": "`to` " + echo, "statusCode": status,
		"error": map[string]any{"type": kind, "code": echo, "decline_code": echo, "message": echo, "param": echo, "doc_url": echo},
	})
}

func (h *hostile) stripe(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	var amount int
	_, _ = fmt.Sscan(r.Form.Get("amount"), &amount)
	if i := amount - 1000; i >= 0 && i < len(faults()) {
		h.answer(w, r, "stripe", faults()[i])
		return
	}
	h.answer(w, r, "stripe", "invalid")
}

func (h *hostile) resend(w http.ResponseWriter, r *http.Request) {
	var mail struct{ To []string }
	// To its end: until then the server does not notice that the client has gone.
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &mail)
	for i, name := range faults() {
		if len(mail.To) == 1 && strings.HasPrefix(mail.To[0], fmt.Sprintf("fault%d-", i)) {
			h.answer(w, r, "resend", name)
			return
		}
	}
	h.answer(w, r, "resend", "invalid")
}

// accident panics with what it works on.
func (h *hostile) accident(vendor, name, with string) {
	switch name {
	case "panic":
		h.did(vendor, name)
		panic("value of " + with + everything())
	case "error panic":
		h.did(vendor, name)
		panic(errors.New("error of " + with + everything()))
	case "runtime panic":
		h.did(vendor, name)
		index := strings.Fields(with)
		_ = index[len(with)]
	}
}

type panickyGateway struct {
	payment.Gateway

	hostile *hostile
}

func (g panickyGateway) Create(ctx context.Context, p payment.Payment) (payment.Intent, error) {
	if i := p.Amount - 1000; i >= 0 && i < int64(len(faults())) {
		g.hostile.accident("stripe", faults()[i], p.CustomerEmail+p.Description)
	}
	return g.Gateway.Create(ctx, p)
}

type panickyMailer struct {
	booking.Mailer

	hostile *hostile
}

func (m panickyMailer) Send(ctx context.Context, mail booking.Mail) (string, error) {
	for i, name := range faults() {
		if strings.HasPrefix(mail.To, fmt.Sprintf("fault%d-", i)) {
			m.hostile.accident("resend", name, mail.To+mail.Text)
		}
	}
	return m.Mailer.Send(ctx, mail)
}

type panickyModel struct {
	conversation.Model

	hostile *hostile
}

func (m panickyModel) Score(messages []satisfaction.Message, given satisfaction.Feedback) satisfaction.Score {
	m.hostile.accident("model", "panic", everything())
	return m.Model.Score(messages, given)
}

type panickyStripe struct{}

func (panickyStripe) Verify(payload []byte, _ string) (payment.Event, error) { panic(string(payload)) }

type panickyResend struct{}

func (panickyResend) Verify(payload []byte, _ http.Header) (booking.MailEvent, error) {
	panic(errors.New(string(payload)))
}
