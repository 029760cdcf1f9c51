package client

import (
	"context"
	"iter"
	"net/http"
)

// PaymentsFilter chooses payments of a list. Zero values do not filter.
type PaymentsFilter struct {
	// Limit is how many payments a page has at most, from 1 to 100. Default: the
	// server's, 20.
	Limit int
	// PageToken is the NextPageToken of the page before.
	PageToken string
}

// PaymentsPage is one page of a list, newest payments first.
type PaymentsPage struct {
	Payments []*Payment `json:"payments"`
	// NextPageToken asks for the next page; empty on the last.
	NextPageToken string `json:"next_page_token"`
}

// Payments reads a page of the key's tenant's payments, newest first.
func (c *Client) Payments(ctx context.Context, filter PaymentsFilter) (*PaymentsPage, error) {
	path := pagePath(paymentsPath, filter.Limit, filter.PageToken, nil)
	var page PaymentsPage
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// AllPayments yields the payments of all pages from the filter's on, reading a
// page when it is needed. An error ends it.
func (c *Client) AllPayments(ctx context.Context, filter PaymentsFilter) iter.Seq2[*Payment, error] {
	return pages(filter.PageToken, func(token string) ([]*Payment, string, error) {
		at := filter
		at.PageToken = token
		page, err := c.Payments(ctx, at)
		if err != nil {
			return nil, "", err
		}
		return page.Payments, page.NextPageToken, nil
	})
}
