package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
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
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("kind", filter.Kind)
	set("state", string(filter.State))
	set("page_token", filter.PageToken)
	if filter.Limit != 0 {
		query.Set("limit", strconv.Itoa(filter.Limit))
	}
	path := jobsPath
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var page JobsPage
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

// AllJobs yields the jobs of all pages from the filter's on, reading a page
// when it is needed. An error ends it.
func (c *Client) AllJobs(ctx context.Context, filter JobsFilter) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		for {
			page, err := c.Jobs(ctx, filter)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, job := range page.Jobs {
				if !yield(job, nil) {
					return
				}
			}
			if page.NextPageToken == "" {
				return
			}
			filter.PageToken = page.NextPageToken
		}
	}
}
