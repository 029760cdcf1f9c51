package client

import (
	"context"
	"errors"
	"net/http"
	"time"
)

const slotsPath = "/v1/slots"

// SlotsFilter chooses the slots of a day.
type SlotsFilter struct {
	// Timezone is the IANA name of the time zone whose day is meant, and whose
	// offset the times have. Default: the calendar's.
	Timezone string
	// Resource is whose slots are asked for. Default: DefaultResource.
	Resource string
}

// Slot is a time that can be booked. Its times have the offset from UTC of the
// time zone that was asked for.
type Slot struct {
	// ID is what BookingRequest.SlotID takes.
	ID       string    `json:"id"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
}

// Slots lists the free slots of a day, such as 2026-11-24 (time.DateOnly), oldest
// first: none for a day that is closed, booked out, past or too far ahead. The
// code is INVALID_INPUT for what is no day or no time zone, NOT_FOUND for a
// resource without a Calendar. A slot is held for nobody: SubmitBooking may find
// that it is taken.
func (c *Client) Slots(ctx context.Context, date string, filter SlotsFilter) ([]Slot, error) {
	if date == "" {
		return nil, errors.New("client: the slots' date is empty")
	}
	path := withQuery(slotsPath, map[string]string{"date": date, "timezone": filter.Timezone, "resource": filter.Resource})
	var list struct {
		Slots []Slot `json:"slots"`
	}
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &list); err != nil {
		return nil, err
	}
	return list.Slots, nil
}
