package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"millrace/client"
)

// A payment is submitted and its outcome waited for. The key is the order's, so
// that the same order is never charged twice, whatever breaks in between.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	millrace, stop := standIn() // an app has the address of its server here
	defer stop()

	c, err := client.New(millrace, "mrk_example", client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	submission, err := c.SubmitPayment(ctx, client.PaymentRequest{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_visa", Description: "Two tickets",
	}, client.SubmitOptions{IdempotencyKey: "order-4711"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("job", submission.Job.ID, submission.Job.State)

	job, err := c.WaitJob(ctx, submission.Job.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	var failed *client.Error
	if errors.As(job.Err(), &failed) && failed.Code == client.CodePaymentFailed {
		fmt.Println("declined:", failed.Details["reason"])
		return
	}
	fmt.Println("job", job.ID, job.State)
	// Output:
	// job 17 available
	// job 17 completed
}

// The bank asks the customer to authenticate a payment (3-D Secure): the app
// hands the payment's client secret to Stripe.js in the customer's browser, and
// the job goes on when the customer is done.
func ExampleClient_PaymentOfJob() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	millrace, stop := standInWithABankThatAsks()
	defer stop()

	c, err := client.New(millrace, "mrk_example", client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.SubmitPayment(ctx, client.PaymentRequest{
		Amount: 1999, Currency: "usd", PaymentMethod: "pm_card_threeDSecure2Required",
	}, client.SubmitOptions{IdempotencyKey: "order-4712", Wait: 10 * time.Second})
	failed, ok := errors.AsType[*client.Error](err)
	if !ok || failed.JobID == "" || failed.Details["reason"] != client.ReasonActionRequired {
		fmt.Println(err) // nil when the payment is captured already
		return
	}
	payment, err := c.PaymentOfJob(ctx, failed.JobID)
	if err != nil {
		fmt.Println(err)
		return
	}
	if payment.Status == client.PaymentRequiresAction { // else the customer was faster
		fmt.Println("for stripe.handleNextAction in the browser:", payment.ClientSecret)
	}

	job, err := c.WaitJob(ctx, failed.JobID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("job", job.ID, job.State)
	// Output:
	// for stripe.handleNextAction in the browser: pi_1_secret_2
	// job 18 completed
}

// A customer chooses a free slot, which another customer may have taken
// meanwhile. The key is the app's own id of the visit: it is not used up by a slot
// that was refused, and gets no second one when the app starts again after a crash.
func ExampleClient_SubmitBooking() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	millrace, stop := standInWithASlotThatGoes()
	defer stop()

	c, err := client.New(millrace, "mrk_example", client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	slots, err := c.Slots(ctx, "2030-01-31", client.SlotsFilter{Timezone: "Europe/Berlin"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, slot := range slots { // an app lets its customer choose
		submission, err := c.SubmitBooking(ctx, client.BookingRequest{
			SlotID: slot.ID, Name: "Jo Doe", Email: "customer@example.com", Timezone: "Europe/Berlin",
		}, client.SubmitOptions{IdempotencyKey: "visit-17"})
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Code == client.CodeSlotUnavailable {
			fmt.Println(slot.StartsAt.Format(time.TimeOnly), "has just been taken")
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(slot.StartsAt.Format(time.TimeOnly), submission.Booking.Status)
		return
	}
	// Output:
	// 10:00:00 has just been taken
	// 10:30:00 confirmed
}

// standIn answers as Millrace does.
func standIn() (url string, stop func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"job":`+job("17", "available")+`}`)
			return
		}
		_, _ = io.WriteString(w, job("17", "completed"))
	}))
	return server.URL, server.Close
}

// standInWithABankThatAsks answers as Millrace does, with a customer who
// authenticates once the secret has been read.
func standInWithABankThatAsks() (url string, stop func()) {
	var authenticated atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payments", answer(http.StatusPaymentRequired, actionRequired,
		"Location", "/v1/jobs/18", "Preference-Applied", "wait=10"))
	mux.HandleFunc("GET /v1/jobs/18", func(w http.ResponseWriter, _ *http.Request) {
		state := "scheduled"
		if authenticated.Load() {
			state = "completed"
		}
		_, _ = io.WriteString(w, jobOf("18", state, "p-1"))
	})
	mux.HandleFunc("GET /v1/payments/p-1", func(w http.ResponseWriter, _ *http.Request) {
		authenticated.Store(true)
		_, _ = io.WriteString(w, paymentText("p-1", "requires_action", `"client_secret":"pi_1_secret_2"`))
	})
	server := httptest.NewServer(mux)
	return server.URL, server.Close
}

// standInWithASlotThatGoes answers as Millrace does, with another customer who
// takes the first slot once it has been listed.
func standInWithASlotThatGoes() (url string, stop func()) {
	const goes, stays = "default.20300131T090000Z", "default.20300131T093000Z"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/slots", answer(http.StatusOK, `{"slots":[
		{"id":"`+goes+`","starts_at":"2030-01-31T10:00:00+01:00","ends_at":"2030-01-31T10:30:00+01:00"},
		{"id":"`+stays+`","starts_at":"2030-01-31T10:30:00+01:00","ends_at":"2030-01-31T11:00:00+01:00"}]}`))
	mux.HandleFunc("POST /v1/bookings", func(w http.ResponseWriter, r *http.Request) {
		var booking client.BookingRequest
		if err := json.NewDecoder(r.Body).Decode(&booking); err != nil || booking.SlotID != stays {
			failure(http.StatusConflict, "SLOT_UNAVAILABLE")(w, r)
			return
		}
		answer(http.StatusAccepted, `{"job":`+job("19", "available")+`,"booking":`+bookingText("b-1", "confirmed")+`}`)(w, r)
	})
	server := httptest.NewServer(mux)
	return server.URL, server.Close
}
