package main

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"timestamp,value\n2026-01-31T09:30:00Z,1\n", "\ufefftimestamp,value\n2026-01-31 09:30:00,1e300\n", "timestamp,value\n\"", "value\n1\n", "timestamp,value\n2026-01-31T09:30:00Z,NaN\n", "timestamp,value\n,\n\n1",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, skip bool) {
		format := usualFormat()
		format.skipBad = skip
		reader, err := newCSVReader(strings.NewReader(text), format)
		if err != nil {
			return
		}
		for {
			point, err := reader.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				_, bad := errors.AsType[*badRow](err)
				require.True(t, bad && !skip, "%v", err)
				return
			}
			require.False(t, math.IsNaN(point.value) || math.IsInf(point.value, 0))
			require.False(t, point.at.After(format.now.Add(time.Hour)))
		}
	})
}
