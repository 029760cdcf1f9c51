package payment

// Status is where a payment stands.
type Status string

// The states of a payment.
const (
	Pending        Status = "pending"         // accepted, not yet worked
	Processing     Status = "processing"      // the gateway has been asked
	RequiresAction Status = "requires_action" // the customer must authenticate
	Captured       Status = "captured"
	Failed         Status = "failed"
	Refunded       Status = "refunded" // captured, and all of it given back
	Disputed       Status = "disputed" // captured, and the customer's bank asks for it back
)

// Final reports whether there is nothing left to do for the payment's job.
func (s Status) Final() bool {
	switch s {
	case Captured, Failed, Refunded, Disputed:
		return true
	case Pending, Processing, RequiresAction:
		return false
	default:
		return false
	}
}

// before lists the states from which a payment may come into this one, or stay
// in it: the one table of the state machine. No way leads back, so whatever is
// told late, twice or out of order changes nothing.
func (s Status) before() []Status {
	switch s {
	case Processing, RequiresAction, Failed:
		return []Status{Pending, Processing, RequiresAction}
	case Captured:
		return []Status{Pending, Processing, RequiresAction, Captured}
	case Disputed:
		return []Status{Pending, Processing, RequiresAction, Captured, Disputed}
	case Refunded:
		return []Status{Pending, Processing, RequiresAction, Captured, Disputed, Refunded}
	case Pending:
		return []Status{Pending}
	default:
		return nil
	}
}
