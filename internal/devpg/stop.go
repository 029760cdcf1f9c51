package devpg

import (
	"context"
	"time"
)

// patience is how long Stop waits after each kind of request.
type patience struct{ fast, immediate time.Duration }

func defaultPatience() patience {
	return patience{fast: 10 * time.Second, immediate: 5 * time.Second}
}

// Stop ends the server: it breaks off the connections and writes everything to
// disk. When that takes more than 10 s, or when ctx ends, it is stopped without
// a last write, which costs the next Start a recovery but loses nothing; and
// when that takes more than 5 s, it is killed.
//
// No process of the server is left when Stop returns nil. It may be called
// more than once, and after the server has exited by itself.
func (s *Server) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	ended := s.process.request("INT", s.patience.fast, ctx.Done())
	if !ended {
		s.logger.WarnContext(ctx, "PostgreSQL does not stop: asking it to stop at once")
		ended = s.process.request("QUIT", s.patience.immediate, nil)
	}
	if !ended {
		s.logger.WarnContext(ctx, "PostgreSQL does not stop: killing it")
		s.process.kill()
	}
	<-s.done

	if s.idle != nil || !s.ephemeral {
		return s.idle
	}
	var err error
	s.cleaned.Do(func() {
		err = s.dir.remove()
		s.owner.release()
	})
	return err
}

// awaitIdle waits until no process of a server on d is left.
func (d directory) awaitIdle(ctx context.Context) error {
	held, err := acquireServer(ctx, d)
	if err != nil {
		return err
	}
	held.release()
	return nil
}

// removeWhenIdle is for an Ephemeral server that did not start.
func (d directory) removeWhenIdle(ctx context.Context) error {
	if err := d.awaitIdle(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return d.remove()
}
