package devpg

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenLogIsBounded(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]int64{maxLogSize: maxLogSize, maxLogSize + 1: 0} {
		path := filepath.Join(t.TempDir(), "postgres.log")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Truncate(path, size))
		log, err := openLog(path)
		require.NoError(t, err)
		require.Equal(t, want, log.size())
		log.close()
	}
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	before := "an earlier run\n"
	require.NoError(t, os.WriteFile(path, []byte(before+
		"2026-11-23 08:09:09.168 UTC [14017] LOG:  one\n\n"+
		"2026-11-23 08:09:09.168 UTC [14017] HINT:  two\n"+
		"\tthree\n4\n5\n6\n7\n8\nnine\n"), 0o600))
	log, err := openLog(path)
	require.NoError(t, err)
	defer log.close()
	require.Equal(t, []string{"HINT: two", "three", "4", "5", "6", "7", "8", "nine"}, log.lastLines(int64(len(before))))
	require.Equal(t, []string{"nine"}, log.lastLines(log.size()-int64(len("nine\n"))))
	require.Empty(t, log.lastLines(log.size()))
}
