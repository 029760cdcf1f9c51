package devpg

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// contextThatHasEnded is one whose deadline has passed.
func contextThatHasEnded(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 0)
}

// contextCancelledBy is cancelled when the channel is closed.
func contextCancelledBy(t *testing.T, event <-chan struct{}) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		select {
		case <-event:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func TestStartWaitsForAnEarlierServer(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	stopping, err := acquireServer(t.Context(), dir)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = Start(ctx, Options{Dir: string(dir)})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireOneLine(t, err)
	require.NoDirExists(t, dir.init(), "it has touched what the other server may still use")

	_, err = acquire(t.Context(), dir.serverLock(), time.Millisecond)
	require.ErrorIs(t, err, errLocked)

	stopping.release()
	requireIdle(t, string(dir))
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	dir := directory(t.TempDir())
	first, err := acquireOwner(t.Context(), dir)
	require.NoError(t, err)
	began := time.Now()
	_, err = acquireOwner(t.Context(), dir)
	require.Greater(t, time.Since(began), 100*time.Millisecond, "it leaves a killed owner no time")
	inUse := new(DirInUseError)
	require.ErrorAs(t, err, &inUse)
	requireOneLine(t, err)
	require.ErrorContains(t, err, string(dir))

	first.release()
	second, err := acquireOwner(t.Context(), dir)
	require.NoError(t, err)
	second.release()
}
