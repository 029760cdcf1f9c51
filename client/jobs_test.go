package client_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/client"
)

func TestJobsFilters(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"jobs":[`+job("2", "completed")+`,`+job("1", "discarded")+`],"next_page_token":"next"}`))
	c, _ := newClient(t, s.URL, client.Options{})
	page, err := c.Jobs(t.Context(), client.JobsFilter{Kind: "payment_capture", State: client.Completed, Limit: 2, PageToken: "a&b"})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 2)
	require.Equal(t, "2", page.Jobs[0].ID)
	require.NotEmpty(t, page.Jobs[0].Raw)
	require.Equal(t, "next", page.NextPageToken)
	require.Equal(t, "/v1/jobs?kind=payment_capture&limit=2&page_token=a%26b&state=completed", s.one(t).uri)
}

func TestAllJobsReadsPageByPage(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"jobs":[`+job("3", "completed")+`,`+job("2", "completed")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"jobs":[`+job("1", "completed")+`]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	var ids []string
	for job, err := range c.AllJobs(t.Context(), client.JobsFilter{Kind: "k"}) {
		require.NoError(t, err)
		ids = append(ids, job.ID)
	}
	require.Equal(t, []string{"3", "2", "1"}, ids)
	require.Equal(t, "/v1/jobs?kind=k&page_token=next", s.received()[1].uri)
}

func TestAllJobsStartsAgainWithEachRange(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(http.StatusOK, `{"jobs":[`+job("2", "completed")+`],"next_page_token":"next"}`),
		answer(http.StatusOK, `{"jobs":[`+job("1", "completed")+`]}`))
	c, _ := newClient(t, s.URL, client.Options{})
	all := c.AllJobs(t.Context(), client.JobsFilter{PageToken: "first"})
	for range 2 {
		for _, err := range all {
			require.NoError(t, err)
		}
	}
	require.Equal(t, "/v1/jobs?page_token=first", s.received()[2].uri)
}

func TestAllJobsEndsWithAnError(t *testing.T) {
	t.Parallel()
	s := newServer(t, failure(403, "TENANT_ACCESS_DENIED"))
	c, _ := newClient(t, s.URL, client.Options{})
	var errs []error
	for _, err := range c.AllJobs(t.Context(), client.JobsFilter{}) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.Error(t, errs[0])
}
