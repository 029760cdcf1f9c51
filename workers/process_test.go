package workers_test

import (
	"fmt"
	"log/slog"
	"os"
)

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
