package client

import (
	"context"
	"iter"
	"net/http"
)

// BookingsFilter chooses bookings of a list. Zero values do not filter.
type BookingsFilter struct {
	// Limit is how many bookings a page has at most, from 1 to 100. Default: the
	// server's, 20.
	Limit int
	// PageToken is the NextPageToken of the page before.
	PageToken string
}

// BookingsPage is one page of a list, the bookings made last first.
type BookingsPage struct {
	Bookings []*Booking `json:"bookings"`
	// NextPageToken asks for the next page; empty on the last.
	NextPageToken string `json:"next_page_token"`
}

// Bookings reads a page of the key's tenant's bookings, cancelled ones too, those
// made last first.
func (c *Client) Bookings(ctx context.Context, filter BookingsFilter) (*BookingsPage, error) {
	path := pagePath(bookingsPath, filter.Limit, filter.PageToken, nil)
	var page BookingsPage
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// AllBookings yields the bookings of all pages from the filter's on, reading a
// page when it is needed. An error ends it.
func (c *Client) AllBookings(ctx context.Context, filter BookingsFilter) iter.Seq2[*Booking, error] {
	return pages(filter.PageToken, func(token string) ([]*Booking, string, error) {
		at := filter
		at.PageToken = token
		page, err := c.Bookings(ctx, at)
		if err != nil {
			return nil, "", err
		}
		return page.Bookings, page.NextPageToken, nil
	})
}
