package jobs

import "github.com/google/uuid"

// BookingReminderEmailArgs is what a booking_reminder_email job carries.
type BookingReminderEmailArgs struct {
	BookingID uuid.UUID `json:"booking_id"`
}

// Kind implements river.JobArgs.
func (BookingReminderEmailArgs) Kind() string { return "booking_reminder_email" }

// Validate returns the arguments: none are wrong.
func (a BookingReminderEmailArgs) Validate() (BookingReminderEmailArgs, error) { return a, nil }

func bookingReminderEmail(do work[BookingReminderEmailArgs]) *Kind {
	return standalone(Kind{
		Name:    BookingReminderEmailArgs{}.Kind(),
		Queue:   EmailQueue,
		Slots:   emailSlots,
		Summary: "Reminds the customer of the appointment a while before it.",
		Policy:  emailPolicy(),
		Sample:  BookingReminderEmailArgs{},
	}, do)
}
