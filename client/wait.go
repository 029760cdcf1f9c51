package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// watchInterval is how often WatchJob looks.
const watchInterval = time.Second

// WaitJob waits until a job is done, and returns it: completed, cancelled or
// discarded, which Job.Err tells apart. It waits as long as that takes; bound it
// with ctx, whose end is the error then. The job of a payment that its customer
// must authenticate is not done before that, which takes up to a day; it is asked
// for about once a second meanwhile.
func (c *Client) WaitJob(ctx context.Context, id string) (*Job, error) {
	for {
		job, rest, err := c.poll(ctx, id, maxWait)
		if err != nil || job.Done {
			return job, err
		}
		if err := c.pause(ctx, rest); err != nil {
			return nil, err
		}
	}
}

// WatchJob yields a job as it is, then about once a second, and as soon as it
// is done, which is the last. An error ends it too.
//
//	for job, err := range c.WatchJob(ctx, id) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(job.State, job.Why)
//	}
func (c *Client) WatchJob(ctx context.Context, id string) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		for wait := time.Duration(0); ; wait = watchInterval {
			job, rest, err := c.poll(ctx, id, wait)
			if !yield(job, err) || err != nil || job.Done {
				return
			}
			if wait == 0 {
				continue
			}
			if err := c.pause(ctx, rest); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// poll reads a job once it is done or the wait is over. rest is how long to
// leave the server alone before the next poll: nothing when it waited, but a
// server that is shutting down answers at once, and so does any for a job that
// waits for a customer.
func (c *Client) poll(ctx context.Context, id string, wait time.Duration) (job *Job, rest time.Duration, err error) {
	path, err := jobPath(id)
	if err != nil {
		return nil, 0, err
	}
	started := time.Now()
	a, err := c.do(ctx, request{method: http.MethodGet, path: path, wait: wait})
	if err != nil {
		return nil, 0, err
	}
	job = &Job{}
	if err := a.decode(job); err != nil {
		return nil, 0, err
	}
	asked := retryAfter(a.header, time.Now())
	if asked == 0 {
		asked = watchInterval
	}
	return job, max(min(asked, longestRetryAfter)-time.Since(started), 0), nil
}
