package security_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// canaries are marked personal data, one of each sort. Each is searched by itself,
// and by the parts that would give it away when only they come through.
func canaries() map[string]string {
	return map[string]string{
		"name":    "Xanthippe Canaryson",
		"email":   "canary.person@canary.example",
		"phone":   "+1 (312) 555-0147",
		"ssn":     "536-90-4399",
		"mrn":     "MRN 84719203",
		"card":    "4111 1111 1111 1111",
		"address": "1742 Canary Lane, Springfield, IL 62704",
		"note":    "canarynote about lithium",
		"tag":     "canarytag",
	}
}

// everything is all canaries in one text, as somebody would write it.
func everything() string {
	c := canaries()
	return "My name is " + c["name"] + ", e-mail " + c["email"] + ", phone " + c["phone"] + ", SSN " + c["ssn"] + ", " + c["mrn"] + ", card " + c["card"] + ", I live at " + c["address"] + "."
}

// found returns the sorts of canaries in a text, however they are escaped.
func found(text string) (sorts []string) {
	unescaped, err := url.QueryUnescape(text)
	if err != nil {
		unescaped = text
	}
	text = strings.ToLower(text + "\n" + unescaped)
	for sort, canary := range canaries() {
		for part := range strings.FieldsSeq(canary) {
			part = strings.ToLower(strings.Trim(part, ",()"))
			// What anybody may write is no trace of anybody.
			if slices.Contains([]string{"+1", "312", "mrn", "il", "about", "lane", "1111", "4111", "springfield", "lithium", "canary", "1742", "62704"}, part) {
				continue
			}
			if strings.Contains(text, part) && !slices.Contains(sorts, sort) {
				sorts = append(sorts, sort)
			}
		}
		if strings.Contains(text, strings.ToLower(canary)) && !slices.Contains(sorts, sort) {
			sorts = append(sorts, sort)
		}
	}
	slices.Sort(sorts)
	return sorts
}

// belongs lists the columns in which personal data is kept at present, each with
// the reason. The suite fails for a column that is not here, and for one that is
// here and holds none: the list must shrink when a column is sealed.
func belongs(encrypted bool) map[string]string {
	columns := map[string]string{
		"metric_series.tags":              "the client's dimensions; docs/metrics.md asks for no personal data in them",
		"submissions.idempotency_key":     "the client's own id of a submission, compared byte by byte",
		"metric_receipts.idempotency_key": "the same for metric points",
	}
	if !encrypted {
		maps.Copy(columns, map[string]string{
			"bookings.email":          "where the mails go",
			"bookings.name":           "whom the invitation is for",
			"bookings.notes":          "what the customer wants the business to know",
			"payments.customer_email": "where Stripe sends the receipt",
			"payments.description":    "what Stripe shows the customer",
			"payments.items":          "what is paid for, in the client's words",
			"payments.metadata":       "the client's references at Stripe",
		})
	}
	return columns
}

// shown lists members of answers that are shown as they were sent, each with the reason.
func shown() map[string]string {
	return map[string]string{
		"description": "what is paid for, in the client's words",
		"items":       "the same",
		"metadata":    "the client's references at Stripe",
	}
}

// masked is an answer without the members that shown names.
func masked(t *testing.T, text string) string {
	t.Helper()
	var strip func(value any) any
	strip = func(value any) any {
		switch v := value.(type) {
		case map[string]any:
			for name := range v {
				if v[name] = strip(v[name]); shown()[name] != "" {
					delete(v, name)
				}
			}
		case []any:
			for i := range v {
				v[i] = strip(v[i])
			}
		}
		return value
	}
	var body any
	if json.Unmarshal([]byte(text), &body) != nil {
		return text
	}
	stripped, err := json.Marshal(strip(body))
	require.NoError(t, err)
	return string(stripped)
}

// canaryBodies are valid ones of each public kind with all the personal data that it
// takes. Names in a conversation come with a cue: how many of all are found without
// one is measured elsewhere (millrace phi eval).
func canaryBodies() map[string]string {
	c, now := canaries(), time.Now().UTC().Truncate(time.Hour)
	hours := fmt.Sprintf(`{"from":%q,"to":%q}`, now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339))
	return map[string]string{
		"payment_capture": fmt.Sprintf(`{"amount":%%d,"currency":"usd","payment_method":"pm_card_visa","customer_email":%q,"description":%q,"items":[{"name":%q,"quantity":1}],"metadata":{"patient":%q}}`,
			c["email"], everything(), c["name"], c["mrn"]),
		"booking_confirmation_email": fmt.Sprintf(`{"slot_id":%q,"name":%q,"email":%q,"notes":%q}`, "%s", c["name"], "%s", c["note"]+" "+everything()),
		"conversation_scoring": fmt.Sprintf(`{"session_id":"chat-1","messages":[{"role":"user","content":%q},{"role":"assistant","content":%q},{"role":"tool","content":%q},{"role":"user","content":"Thanks!","at":%[1]q}],"feedback":{"stars":4,"text":%[1]q}}`,
			everything(), "Thank you. I will write to "+c["email"]+" or call "+c["phone"]+".", everything()),
		"conversation_rescoring": hours,
		"metric_rollup":          hours,
	}
}
