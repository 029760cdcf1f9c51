package jobs

import "github.com/google/uuid"

// BookingCancellationEmailArgs is what a booking_cancellation_email job carries.
type BookingCancellationEmailArgs struct {
	BookingID uuid.UUID `json:"booking_id"`
}

// Kind implements river.JobArgs.
func (BookingCancellationEmailArgs) Kind() string { return "booking_cancellation_email" }

// Validate returns the arguments: none are wrong.
func (a BookingCancellationEmailArgs) Validate() (BookingCancellationEmailArgs, error) { return a, nil }

func bookingCancellationEmail(do work[BookingCancellationEmailArgs]) *Kind {
	return standalone(Kind{
		Name:    BookingCancellationEmailArgs{}.Kind(),
		Queue:   EmailQueue,
		Slots:   emailSlots,
		Summary: "Tells the customer that the booking is cancelled, and takes it out of the calendar.",
		Policy:  emailPolicy(),
		Sample:  BookingCancellationEmailArgs{},
	}, do)
}
