package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"time"
)

// Sort is what a list of scores is ordered by.
type Sort string

// What scores are sorted by.
const (
	ByTime         Sort = "time" // when the conversation was submitted
	BySatisfaction Sort = "satisfaction"
)

// ScoresFilter chooses scores of a list. Zero values do not filter.
type ScoresFilter struct {
	// Sort is what the list is ordered by. Default ByTime.
	Sort Sort
	// Ascending begins with the oldest or the lowest. Default: the newest or the
	// highest.
	Ascending bool
	// From and To bound when the conversation was submitted; To is not included.
	From, To time.Time
	// Min and Max bound the satisfaction, both included. Max 0 is no bound.
	Min, Max  float64
	SessionID string
	Verdict   Verdict
	// Limit is how many scores a page has at most, from 1 to 100. Default: the
	// server's, 20.
	Limit int
	// PageToken is the NextPageToken of the page before, which had the same Sort and
	// Ascending.
	PageToken string
}

// ScoresPage is one page of a list.
type ScoresPage struct {
	Scores []*ScoreSummary `json:"scores"`
	// NextPageToken asks for the next page; empty on the last.
	NextPageToken string `json:"next_page_token"`
}

// Scores reads a page of the key's tenant's scores.
func (c *Client) Scores(ctx context.Context, filter ScoresFilter) (*ScoresPage, error) {
	parameters := map[string]string{
		"sort": string(filter.Sort), "session_id": filter.SessionID, "verdict": string(filter.Verdict),
		"from": parameterTime(filter.From), "to": parameterTime(filter.To), "min": parameterNumber(filter.Min), "max": parameterNumber(filter.Max),
	}
	if filter.Ascending {
		parameters["order"] = "asc"
	}
	var page ScoresPage
	if err := c.call(ctx, request{method: http.MethodGet, path: pagePath(scoresPath, filter.Limit, filter.PageToken, parameters)}, &page); err != nil {
		return nil, err
	}
	return &page, nil
}

func parameterTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

func parameterNumber(n float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// AllScores yields the scores of all pages from the filter's on, reading a page when
// it is needed. An error ends it.
func (c *Client) AllScores(ctx context.Context, filter ScoresFilter) iter.Seq2[*ScoreSummary, error] {
	return pages(filter.PageToken, func(token string) ([]*ScoreSummary, string, error) {
		at := filter
		at.PageToken = token
		page, err := c.Scores(ctx, at)
		if err != nil {
			return nil, "", err
		}
		return page.Scores, page.NextPageToken, nil
	})
}

// ScoreDay is how the scores of the conversations of a day are distributed.
type ScoreDay struct {
	// Date is the day in UTC, such as 2026-01-31 (time.DateOnly).
	Date  string `json:"date"`
	Count int64  `json:"count"`
	// Mean is the mean satisfaction; nil on a day without scores.
	Mean *float64 `json:"mean,omitzero"`
	// Buckets counts scores by tens of satisfaction: ten numbers, of which the last
	// includes 100.
	Buckets []int64 `json:"buckets"`
}

// ScoreDays reads how scores are distributed on each day from one to another, such
// as 2026-01-31 (time.DateOnly), both included: at most 366. Days without scores are
// there too.
func (c *Client) ScoreDays(ctx context.Context, from, to string) ([]ScoreDay, error) {
	if from == "" || to == "" {
		return nil, errors.New("client: the first or the last day is empty")
	}
	var list struct {
		Days []ScoreDay `json:"days"`
	}
	path := withQuery(scoresPath+"/distribution", map[string]string{"from": from, "to": to})
	if err := c.call(ctx, request{method: http.MethodGet, path: path}, &list); err != nil {
		return nil, err
	}
	return list.Days, nil
}
