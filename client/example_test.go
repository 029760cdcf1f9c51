package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
