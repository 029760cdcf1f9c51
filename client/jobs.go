package client

import (
	"context"
	"iter"
	"net/http"
)

// JobsFilter chooses jobs of a list. Zero values do not filter.
type JobsFilter struct {
	Kind  string
	State State
	// Limit is how many jobs a page has at most, from 1 to 100. Default: the
	// server's, 20.
	Limit int
	// PageToken is the NextPageToken of the page before.
	PageToken string
}

// JobsPage is one page of a list, newest jobs first.
type JobsPage struct {
	Jobs []*Job `json:"jobs"`
	// NextPageToken asks for the next page; empty on the last.
	NextPageToken string `json:"next_page_token"`
}

// Jobs reads a page of the key's tenant's jobs, newest first.
func (c *Client) Jobs(ctx context.Context, filter JobsFilter) (*JobsPage, error) {
	path := pagePath(jobsPath, filter.Limit, filter.PageToken, map[string]string{"kind": filter.Kind, "state": string(filter.State)})
	var page JobsPage
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// AllJobs yields the jobs of all pages from the filter's on, reading a page
// when it is needed. An error ends it.
func (c *Client) AllJobs(ctx context.Context, filter JobsFilter) iter.Seq2[*Job, error] {
	return pages(filter.PageToken, func(token string) ([]*Job, string, error) {
		at := filter
		at.PageToken = token
		page, err := c.Jobs(ctx, at)
		if err != nil {
			return nil, "", err
		}
		return page.Jobs, page.NextPageToken, nil
	})
}
