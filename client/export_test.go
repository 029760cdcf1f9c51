package client

import (
	"context"
	"time"
)

// SetPause replaces what the client does between attempts and polls.
func (c *Client) SetPause(pause func(ctx context.Context, d time.Duration) error) { c.pause = pause }
