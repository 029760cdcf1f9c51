package sandbox

import (
	"encoding/json"
	"time"
)

// state is all that the sandbox remembers and the journal holds. Its objects are never changed in place: a transaction
// works on copies, and committing replaces them.
type state struct {
	intents     map[string]*intent
	charges     map[string]*charge
	refunds     map[string]*refund
	intentOrder []string // oldest first
	chargeOrder []string
	refundOrder []string
	methods     map[string]string // a PaymentMethod's id -> the test method that it was made from
	answers     map[answerKey]*storedAnswer
	swept       time.Time // when expired answers were last dropped
}

func newState() *state {
	return &state{
		intents: map[string]*intent{}, charges: map[string]*charge{}, refunds: map[string]*refund{},
		methods: map[string]string{}, answers: map[answerKey]*storedAnswer{},
	}
}

// record is one change: what a transaction leaves behind, and one line of the journal. Charge and stored answer are in
// the same line, so that no crash can keep one without the other.
type record struct {
	Intents []*intent       `json:"intents,omitempty"`
	Charges []*charge       `json:"charges,omitempty"`
	Refunds []*refund       `json:"refunds,omitempty"`
	Answers []*storedAnswer `json:"answers,omitempty"`
}

func (r record) empty() bool {
	return len(r.Intents) == 0 && len(r.Charges) == 0 && len(r.Refunds) == 0 && len(r.Answers) == 0
}

func (st *state) apply(r record) {
	for _, in := range r.Intents {
		if _, known := st.intents[in.API.ID]; !known {
			st.intentOrder = append(st.intentOrder, in.API.ID)
		}
		st.intents[in.API.ID] = in
		if in.MethodID != "" {
			st.methods[in.MethodID] = in.TestMethod
		}
	}
	for _, ch := range r.Charges {
		if _, known := st.charges[ch.API.ID]; !known {
			st.chargeOrder = append(st.chargeOrder, ch.API.ID)
		}
		st.charges[ch.API.ID] = ch
		st.methods[ch.API.PaymentMethod] = ch.TestMethod
	}
	for _, re := range r.Refunds {
		if _, known := st.refunds[re.ID]; !known {
			st.refundOrder = append(st.refundOrder, re.ID)
		}
		st.refunds[re.ID] = re
	}
	for _, a := range r.Answers {
		st.answers[a.key()] = a
	}
}

// tx is one transaction. It is used under Stripe.mu, by one goroutine.
type tx struct {
	s    *Stripe
	call *call // nil for a control route
	now  time.Time
	rec  record
}

func (s *Stripe) begin(c *call) *tx {
	return &tx{s: s, call: c, now: s.now()}
}

// commit is the one place where changes become visible, and so the place where events are made: from what differs
// between the transaction and the state before it.
func (s *Stripe) commit(t *tx, a *storedAnswer) error {
	if a != nil {
		t.rec.Answers = append(t.rec.Answers, a)
	}
	if t.rec.empty() {
		return nil
	}
	if s.journal != nil {
		if err := s.journal.append(t.rec); err != nil {
			return err
		}
	}
	var events []*event
	if s.webhooks.wanted() {
		events = t.events()
	}
	s.state.apply(t.rec)
	s.webhooks.publish(events)
	s.complain(t.rec.Charges)
	return nil
}

// intent returns a copy that may be changed and put back, brought up to date with the clock, or nil.
func (t *tx) intent(id string) *intent {
	for _, in := range t.rec.Intents {
		if in.API.ID == id {
			return in.clone()
		}
	}
	known, ok := t.s.state.intents[id]
	if !ok {
		return nil
	}
	return t.caughtUp(known)
}

// caughtUp commits what time has done to an intent as a change of its own: the request that notices it did not cause it.
func (t *tx) caughtUp(known *intent) *intent {
	own := t.s.begin(nil)
	own.now = t.now
	in := known.clone()
	own.catchUp(in)
	if err := t.s.commit(own, nil); err != nil {
		// The journal may take it together with what the transaction does, or refuse that, too.
		t.rec.Intents = append(t.rec.Intents, own.rec.Intents...)
		t.rec.Charges = append(t.rec.Charges, own.rec.Charges...)
	}
	return in
}

// putIntent keeps a copy: what is done to in afterwards is not committed.
func (t *tx) putIntent(in *intent) {
	kept := in.clone()
	for i, had := range t.rec.Intents {
		if had.API.ID == in.API.ID {
			t.rec.Intents[i] = kept
			return
		}
	}
	t.rec.Intents = append(t.rec.Intents, kept)
}

// charge returns a copy that may be changed and put back, or nil. One that was put is the transaction's own, and goes on
// changing with its holder.
func (t *tx) charge(id string) *charge {
	for _, ch := range t.rec.Charges {
		if ch.API.ID == id {
			return ch
		}
	}
	known, ok := t.s.state.charges[id]
	if !ok {
		return nil
	}
	return known.clone()
}

func (t *tx) putCharge(ch *charge) {
	for i, had := range t.rec.Charges {
		if had.API.ID == ch.API.ID {
			t.rec.Charges[i] = ch
			return
		}
	}
	t.rec.Charges = append(t.rec.Charges, ch)
}

// optional is a string that Stripe sends as null when there is none.
type optional string

// MarshalJSON implements json.Marshaler.
func (o optional) MarshalJSON() ([]byte, error) {
	if o == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(o))
}

// optionalTime is Unix seconds that Stripe sends as null when there are none.
type optionalTime int64

// MarshalJSON implements json.Marshaler.
func (o optionalTime) MarshalJSON() ([]byte, error) {
	if o == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(int64(o))
}
