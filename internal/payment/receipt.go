package payment

import (
	"slices"
	"time"
)

// Operation is one kind of request to the gateway.
type Operation string

// The operations.
const (
	OpCreate  Operation = "create"
	OpRead    Operation = "read"
	OpConfirm Operation = "confirm"
	OpCapture Operation = "capture"
	OpCancel  Operation = "cancel"
)

// Operations lists every operation, for tables that must be complete.
func Operations() []Operation { return []Operation{OpCreate, OpRead, OpConfirm, OpCapture, OpCancel} }

// Call is one request to the gateway, as the payment's receipt shows it.
type Call struct {
	Operation Operation `json:"operation" enum:"create,read,confirm,capture,cancel"`
	AskedAt   time.Time `json:"asked_at"`
	// Answer is a PaymentIntent's status, the gateway's error code, or no_answer.
	Answer string `json:"answer,omitzero" doc:"A PaymentIntent's status, Stripe's error or decline code, or no_answer. Absent when the worker ended before it knew." example:"succeeded"`
	// HTTPStatus is 0 when there was no answer.
	HTTPStatus int    `json:"http_status,omitzero" example:"200"`
	RequestID  string `json:"request_id,omitzero" doc:"Stripe's id of the request." example:"req_Aq5PvAQrxSLqaY"`
	// Spent says that the request's idempotency key leads nowhere any more.
	Spent bool `json:"key_spent,omitzero" doc:"Stripe keeps this answer for the request's idempotency key, so a repeat uses the next key."`
}

// noAnswer is a Call's Answer when the gateway did not answer.
const noAnswer = "no_answer"

// maxLog bounds a receipt.
const maxLog = 100

// Log is what the gateway was asked and what it answered, oldest first.
type Log []Call

// add appends a call. Of reads that keep getting the same answer the first and
// the newest are kept; of more than maxLog calls, the newest and those whose keys
// are spent, by which the next key is found.
func (l Log) add(call Call) Log {
	if n := len(l); n >= 2 && call.Operation == OpRead && call.same(l[n-1]) && call.same(l[n-2]) {
		l = l[:n-1]
	}
	if len(l) >= maxLog {
		oldest := max(0, slices.IndexFunc(l, func(c Call) bool { return !c.Spent }))
		l = slices.Delete(slices.Clone(l), oldest, oldest+1)
	}
	return append(slices.Clip(l), call)
}

func (c Call) same(other Call) bool {
	return c.Operation == other.Operation && c.Answer == other.Answer && c.HTTPStatus == other.HTTPStatus
}

// spent counts the keys of an operation that lead nowhere any more.
func (l Log) spent(operation Operation) (n int) {
	for _, call := range l {
		if call.Operation == operation && call.Spent {
			n++
		}
	}
	return n
}
