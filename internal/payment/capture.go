package payment

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"millrace/internal/fault"
	"millrace/internal/postgres"
)

const (
	// actionTimeout is how long the customer has to authenticate a payment.
	actionTimeout = 24 * time.Hour
	// maxDeclines is how often a payment method is tried when its bank asks to try again.
	maxDeclines = 3
)

// Capturer carries payments through a gateway.
type Capturer struct {
	DB      *postgres.Tenancy
	Gateway Gateway
	Now     func() time.Time
}

// Capture brings one payment on its way to an outcome, which the caller settles
// whether there is an error or not. It is safe to run again at any point, after
// a crash too: an intent is created unconfirmed and its id stored before it is
// confirmed by that id, and one that was stored before is read first.
//
// The error says that the payment is not final: it is a fault for which a repeat
// is right, after its RetryAfter if it has one. A payment that failed for good is
// an Outcome with a Failure, and no error.
func (c *Capturer) Capture(ctx context.Context, tenant string, id uuid.UUID) (Outcome, error) {
	p, err := Find(ctx, c.DB, tenant, id)
	if err != nil {
		return Outcome{}, err
	}
	if p.Status.Final() {
		return p.outcome(), nil
	}
	a := &attempt{Capturer: c, p: p}
	err = a.advance(ctx)
	if errors.Is(err, ErrUnexpectedState) {
		if err = a.read(ctx); err == nil {
			err = a.step(ctx)
		}
	}
	return a.conclude(ctx, err)
}

// Reconcile looks at a payment that no job works on: one that is in flight all
// the same is settled by what the gateway says, and closed there when nothing
// was charged; one that was captured may have been refunded or disputed since.
// Like Capture it returns an error while the outcome is open.
func (c *Capturer) Reconcile(ctx context.Context, tenant string, id uuid.UUID) (Outcome, error) {
	p, err := findSealed(ctx, c.DB, tenant, id) // a shredded tenant's money has an end too
	if err != nil {
		return Outcome{}, err
	}
	a := &attempt{Capturer: c, p: p}
	switch {
	case p.IntentID == "" && p.Status.Final():
		return p.outcome(), nil
	case p.IntentID == "":
		return a.failed(Failure(ReasonGatewayError, "The payment was given up before anything was charged; submit it again.")), nil
	}
	if err = a.read(ctx); err == nil && !p.Status.Final() && !p.capturesAuthorised() &&
		(a.intent.Status == IntentRequiresConfirmation || a.intent.Status == IntentRequiresPaymentMethod) {
		return a.close(ctx, Failure(ReasonGatewayError, "The payment was given up before anything was charged; submit it again."))
	}
	switch {
	case err != nil && p.Status.Final():
		return Outcome{}, err
	case p.Status == Failed:
		if a.intent.Status == IntentSucceeded {
			return Outcome{}, fault.New(fault.Conflict, "The gateway says succeeded of a payment that has failed; give it back in the gateway's dashboard.")
		}
		return p.outcome(), nil
	case a.intent.Status == IntentRequiresCapture:
		return a.failed(Failure(ReasonGatewayError, "The payment was given up before the authorised amount was captured; submit it again.")), nil
	}
	return a.conclude(ctx, err)
}

// attempt is one run of a payment.
type attempt struct {
	*Capturer

	p      Payment
	intent Intent // as it was last seen
	asked  int    // requests that are not in the row's count yet
	// claimed says that the row holds the intent, so that no other payment may.
	claimed bool
}

// capturesAuthorised reports whether the payment captures an intent that the
// client authorised, rather than one of our making.
func (p Payment) capturesAuthorised() bool { return p.PaymentIntent != "" }

// advance looks at the payment's intent, made if there is none, and takes the
// step that it calls for.
func (a *attempt) advance(ctx context.Context) error {
	if a.p.IntentID == "" && !a.p.capturesAuthorised() {
		if err := a.ask(ctx, OpCreate, func() (Intent, error) { return a.Gateway.Create(ctx, a.p) }); err != nil {
			return err
		}
		a.p.IntentID = a.intent.ID
		return a.step(ctx)
	}
	if a.claimed = a.p.IntentID != ""; !a.claimed {
		a.p.IntentID = a.p.PaymentIntent
	}
	if err := a.read(ctx); err != nil {
		return err
	}
	return a.step(ctx)
}

func (a *attempt) read(ctx context.Context) error {
	return a.ask(ctx, OpRead, func() (Intent, error) { return a.Gateway.Find(ctx, a.p.IntentID) })
}

// step takes the one step that the intent's state calls for.
func (a *attempt) step(ctx context.Context) error {
	if a.p.capturesAuthorised() {
		return a.take(ctx)
	}
	switch a.intent.Status {
	case IntentRequiresConfirmation:
		return a.move(ctx, OpConfirm, a.Gateway.Confirm)
	case IntentRequiresPaymentMethod:
		if d := a.intent.Decline; d != nil && a.again(d) {
			return a.move(ctx, OpConfirm, a.Gateway.Confirm)
		}
		return nil
	case IntentRequiresCapture:
		return a.move(ctx, OpCapture, a.Gateway.Capture)
	case IntentRequiresAction, IntentProcessing, IntentCanceled, IntentSucceeded:
		return nil
	default:
		return nil
	}
}

// take captures what the client has authorised, if it is what was asked for.
func (a *attempt) take(ctx context.Context) error {
	// Its id is known to the browser that paid: another tenant could have it from there.
	if of := a.intent.PaymentID; of != "" && of != a.p.ID.String() {
		return Failure(ReasonGatewayError, "The PaymentIntent was made for another payment and cannot pay for this one as well.")
	}
	switch a.intent.Status {
	case IntentRequiresCapture, IntentSucceeded:
		if (a.p.Amount != 0 && a.p.Amount != a.intent.Amount) || (a.p.Currency != "" && a.p.Currency != a.intent.Currency) {
			return Failure(ReasonInvalidAmount, "The PaymentIntent is for another amount or currency than the payment says; nothing was captured for it.")
		}
	case IntentRequiresPaymentMethod, IntentRequiresConfirmation, IntentRequiresAction:
		return Failure(ReasonGatewayError, "The PaymentIntent is not authorised: confirm it with capture_method=manual, then submit its capture again.")
	case IntentProcessing, IntentCanceled:
	}
	switch {
	case a.intent.Status == IntentRequiresCapture:
		return a.move(ctx, OpCapture, a.Gateway.Capture)
	case a.intent.Status == IntentSucceeded && !a.claimed:
		return a.begin(ctx)
	default:
		return nil
	}
}

// move asks for what may move money. That it asks is recorded first, with the
// intent, so that whatever happens to this process the next one finds it.
func (a *attempt) move(ctx context.Context, operation Operation, do func(context.Context, Payment) (Intent, error)) error {
	before := a.p // its keys are those of what has been answered
	a.p.GatewayLog = a.p.GatewayLog.add(Call{Operation: operation, AskedAt: a.now()})
	a.asked++
	if err := a.begin(ctx); err != nil {
		a.forget()
		return err
	}
	intent, err := do(ctx, before)
	return a.answered(intent, err)
}

// begin records the attempt as it stands, and claims the intent.
func (a *attempt) begin(ctx context.Context) error {
	if a.p.Status == Pending {
		a.p.Status = Processing
	}
	if err := Begin(ctx, a.DB, a.p, a.asked, a.Now()); err != nil {
		return err
	}
	a.asked, a.claimed = 0, true
	return nil
}

// ask makes a request that moves no money.
func (a *attempt) ask(_ context.Context, operation Operation, do func() (Intent, error)) error {
	call := Call{Operation: operation, AskedAt: a.now()}
	intent, err := do()
	a.p.GatewayLog = a.p.GatewayLog.add(call)
	a.asked++
	return a.answered(intent, err)
}

// answered completes the newest call of the receipt.
func (a *attempt) answered(intent Intent, err error) error {
	if errors.Is(err, ErrNotAsked) {
		a.forget()
		return err
	}
	answer := intent.Answer
	if err == nil {
		if intent.CaptureBefore.IsZero() {
			intent.CaptureBefore = a.intent.CaptureBefore // only a read tells it
		}
		a.intent = intent
	} else if refusal, ok := errors.AsType[*Refusal](err); ok {
		answer = refusal.Answer
	}
	n := len(a.p.GatewayLog) - 1
	call := a.p.GatewayLog[n]
	call.HTTPStatus, call.RequestID, call.Answer = answer.HTTPStatus, answer.RequestID, answer.Code
	if call.Answer == "" {
		call.Answer = noAnswer
	}
	// A decline to be tried again, and an error that Stripe keeps, would be
	// answered for the same key again.
	f := fault.From(err)
	call.Spent = f != nil && ((f.Code == fault.PaymentFailed && f.RetryAfter > 0) ||
		(answer.Replayed && answer.HTTPStatus >= http.StatusInternalServerError))
	a.p.GatewayLog = a.p.GatewayLog[:n].add(call)
	return err
}

// forget takes back the newest call, which was not made.
func (a *attempt) forget() {
	a.p.GatewayLog = a.p.GatewayLog[:len(a.p.GatewayLog)-1]
	a.asked--
}

func (a *attempt) now() time.Time { return a.Now().UTC().Truncate(time.Microsecond) }

// declines counts how often the payment method was refused.
func (a *attempt) declines() (n int) {
	for _, call := range a.p.GatewayLog {
		if call.Operation == OpConfirm && call.HTTPStatus == http.StatusPaymentRequired {
			n++
		}
	}
	return n
}

// again reports whether the payment method is tried again after a refusal. Once
// the customer has taken over, that is for the customer to do.
func (a *attempt) again(f *fault.Fault) bool {
	return f.RetryAfter > 0 && !a.p.handedOut && a.declines() < maxDeclines
}

// conclude is the one place where what the gateway said becomes an outcome.
func (a *attempt) conclude(ctx context.Context, err error) (Outcome, error) {
	if err != nil {
		f := fault.From(err)
		switch {
		case errors.Is(err, ErrUnexpectedState):
			return a.open(a.p.Status), fault.New(fault.Unavailable, "The payment changed at the gateway meanwhile; it will be looked at again.").Because(err)
		case f.Code == fault.PaymentFailed:
			return a.refused(ctx, f)
		default:
			return a.open(a.p.Status), err
		}
	}
	switch a.intent.Status {
	case IntentSucceeded:
		return a.captured(), nil
	case IntentRequiresAction:
		return a.await(ctx)
	case IntentRequiresPaymentMethod:
		f := a.intent.Decline
		if f == nil {
			f = Failure(ReasonGatewayError, "The PaymentIntent has no payment method to charge.")
		}
		return a.refused(ctx, f)
	case IntentCanceled:
		return a.failed(a.cancelled()), nil
	case IntentProcessing, IntentRequiresConfirmation, IntentRequiresCapture:
		return a.open(Processing), fault.New(fault.Unavailable, "The gateway is still processing the payment; it will be asked again.").
			After(a.patience(10 * time.Second))
	default:
		return a.open(Processing), fault.New(fault.Unavailable, "The gateway answered with a state that is not known here; it will be asked again.")
	}
}

// refused decides what a refusal means.
func (a *attempt) refused(ctx context.Context, f *fault.Fault) (Outcome, error) {
	switch {
	case f.Details["reason"] == string(ReasonActionRequired):
		return a.await(ctx)
	case a.again(f):
		again := fault.New(fault.Unavailable, "The customer's bank asked to try the payment again; that will be done shortly.").Because(f)
		again.Details = f.Details
		// Three tries within about five times the wait.
		return a.open(Processing), again.After(f.RetryAfter << (2 * max(a.declines()-1, 0)))
	case a.p.handedOut && a.intent.Status != IntentCanceled:
		// The customer's browser could still pay through it.
		return a.close(ctx, f)
	default:
		return a.failed(f), nil
	}
}

// await leaves the payment to the customer, until the customer's time is over.
func (a *attempt) await(ctx context.Context) (Outcome, error) {
	if a.Now().Sub(a.intent.CreatedAt) > actionTimeout {
		return a.close(ctx, Failure(ReasonDeclined, "The customer did not authenticate the payment within a day.").
			With("decline_code", "authentication_required"))
	}
	o := a.open(RequiresAction)
	o.ClientSecret = a.intent.ClientSecret
	return o, Failure(ReasonActionRequired, "The bank asks the customer to authenticate this payment: finish it with the client_secret of the payment.").
		After(a.patience(15 * time.Second))
}

// close cancels the intent, so that nobody can pay for what has failed.
func (a *attempt) close(ctx context.Context, f *fault.Fault) (Outcome, error) {
	err := a.move(ctx, OpCancel, a.Gateway.Cancel)
	if errors.Is(err, ErrUnexpectedState) {
		err = a.read(ctx)
	}
	switch {
	case err != nil && fault.From(err).Code == fault.PaymentFailed:
		return a.failed(f), nil // there is nothing to cancel
	case err != nil:
		return a.open(a.p.Status), err
	case a.intent.Status == IntentCanceled:
		return a.failed(f), nil
	case a.intent.Status == IntentSucceeded:
		return a.captured(), nil
	default:
		return a.open(a.p.Status), fault.New(fault.Unavailable, "The payment changed at the gateway meanwhile; it will be looked at again.").
			After(a.patience(10 * time.Second))
	}
}

func (a *attempt) cancelled() *fault.Fault {
	if a.intent.Lapsed {
		return LapsedFault()
	}
	return Failure(ReasonGatewayError, "The payment was cancelled at the gateway before it was captured.")
}

// patience is how long to leave an intent alone before it is read again: longer
// the longer it has been there already.
func (a *attempt) patience(least time.Duration) time.Duration {
	const most = 10 * time.Minute
	return min(max(a.Now().Sub(a.intent.CreatedAt)/4, least), most)
}

// open is the outcome of a payment that is not final.
func (a *attempt) open(status Status) Outcome {
	o := Outcome{
		Status: status, IntentID: a.p.IntentID, Currency: a.intent.Currency,
		Amount: a.intent.Amount, AmountCaptured: a.intent.AmountReceived, AmountRefunded: a.intent.AmountRefunded,
		ExpiresAt: a.intent.CaptureBefore, Log: a.p.GatewayLog, Asked: a.asked, JobID: a.p.JobID,
	}
	if a.p.capturesAuthorised() && !a.claimed {
		o.IntentID = ""
	}
	return o
}

func (a *attempt) captured() Outcome {
	status := Captured
	switch {
	case a.intent.AmountRefunded > 0 && a.intent.AmountRefunded >= a.intent.AmountReceived:
		status = Refunded
	case a.intent.Disputed, a.p.Status == Disputed:
		status = Disputed
	}
	return a.open(status)
}

func (a *attempt) failed(f *fault.Fault) Outcome {
	o := a.open(Failed)
	o.Failure, o.AmountCaptured = f, 0
	o.Failure.RetryAfter = 0 // it is final
	return o
}
