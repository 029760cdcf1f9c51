package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func usualFormat() csvFormat {
	return csvFormat{timeColumn: "timestamp", valueColumn: "value", zone: time.UTC, now: noon()}
}

func readCSV(t *testing.T, text string, format csvFormat) ([]csvPoint, error) {
	t.Helper()
	rows, err := newCSVReader(strings.NewReader(text), format)
	if err != nil {
		return nil, err
	}
	var points []csvPoint
	for {
		point, err := rows.next()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return points, err
		}
		points = append(points, point)
	}
}

func TestCSVTimesAndColumns(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	format := csvFormat{timeColumn: "when", valueColumn: "load1", zone: berlin, now: noon()}
	points, err := readCSV(t, "\ufeffhost, Load1 ,When\r\na, 1.5 ,2014-07-01 12:00:00\r\nb,-2e3,2014-07-01T10:00:00Z\n\"c\nd\",3,2014-07-01 12:00:00.25+02:00\n\ne,4,2014-01-01T00:00:00\n", format)
	require.NoError(t, err)
	at := time.Date(2014, 7, 1, 10, 0, 0, 0, time.UTC)
	want := []csvPoint{{at, 1.5}, {at, -2000}, {at.Add(250 * time.Millisecond), 3}, {time.Date(2013, 12, 31, 23, 0, 0, 0, time.UTC), 4}}
	require.Len(t, points, len(want))
	for i, point := range points {
		assert.Equal(t, want[i].at, point.at.UTC())
		assert.InDelta(t, want[i].value, point.value, 0)
	}
}

func TestCSVRowsThatAreNoPoints(t *testing.T) {
	t.Parallel()
	const good = "2014-04-10 00:04:00,1\n"
	for row, says := range map[string]string{
		"yesterday,1\n":                                  "timestamp must look like",
		",1\n":                                           "timestamp must look like",
		"0001-01-01 00:00:00,1\n":                        "timestamp must look like",
		"1969-12-31 23:59:59,1\n":                        "timestamp must not be before 1970",
		"2030-02-01 00:00:00,1\n":                        "timestamp must not be in the future",
		"2014-04-10 00:04:00,\n":                         "value is required",
		"2014-04-10 00:04:00,NaN\n":                      "value must be a finite number",
		"2014-04-10 00:04:00,1e301\n":                    "value must be a finite number",
		"2014-04-10 00:04:00,12 apples\n":                "value must be a finite number",
		"2014-04-10 00:04:00,9007199254740993\n":         "2^53",
		"2014-04-10 00:04:00\n":                          "1 fields",
		"2014-04-10 00:04:00,\"1\n" + good + "and so on": "extraneous or missing \"",
	} {
		points, err := readCSV(t, "timestamp,value\n"+good+"\n"+row+good, usualFormat())
		bad, ok := errors.AsType[*badRow](err)
		require.True(t, ok, "%q: %v", row, err)
		assert.Equal(t, 4, bad.line, row)
		assert.Contains(t, err.Error(), says, row)
		assert.Len(t, points, 1, row)
	}
	format := usualFormat()
	format.skipBad = true
	rows, err := newCSVReader(strings.NewReader("timestamp,value\nx,1\n"+good+"2014-04-10 00:04:00,y\n2014,1,2\n"+good), format)
	require.NoError(t, err)
	for range 2 {
		_, err = rows.next()
		require.NoError(t, err)
	}
	_, err = rows.next()
	require.ErrorIs(t, err, io.EOF)
	assert.Equal(t, 3, rows.skipped)
}

func TestCSVHeaders(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"":                  "empty",
		"time,value\n":      `no column "timestamp" but ["time" "value"]; --time-column names it`,
		"timestamp,cpu\n":   `--value-column names it`,
		"\"timestamp,value": "header cannot be read",
	} {
		_, err := readCSV(t, text, usualFormat())
		require.ErrorContains(t, err, says, text)
	}
	points, err := readCSV(t, "timestamp,value\n", usualFormat())
	require.NoError(t, err)
	assert.Empty(t, points)
}

// A file that grows while it is read is taken as it was at first.
func TestAFileIsReadTwiceAlike(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cpu.csv")
	text := "timestamp,value\n2014-04-10 00:04:00,1\n2014-04-10 00:09:00,2\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	file, err := openCSV(path, nil, usualFormat(), func(int64, int64) {})
	require.NoError(t, err)
	defer file.close()
	piped, err := openCSV("-", strings.NewReader(text), usualFormat(), func(int64, int64) {})
	require.NoError(t, err)
	assert.Equal(t, file.hash, piped.hash)
	kept := piped.file.Name()
	piped.close()
	_, err = os.Stat(kept)
	require.ErrorIs(t, err, os.ErrNotExist, "the copy of the standard input is removed")

	require.Equal(t, 2, file.points)
	grown, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0) //nolint:gosec // a file of the test
	require.NoError(t, err)
	_, err = grown.WriteString("2014-04-10 00:14:00,3\n")
	require.NoError(t, err)
	require.NoError(t, grown.Close())
	rows, err := file.again(usualFormat())
	require.NoError(t, err)
	for range file.points {
		_, err = rows.next()
		require.NoError(t, err)
	}
	_, err = rows.next()
	require.ErrorIs(t, err, io.EOF)
}

func TestSeriesNames(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/data/cpu.csv": "cpu", "EC2 Request Latency (eu).CSV": "ec2_request_latency__eu_", "2014-04.csv": "_2014-04", "checkout.latency.csv": "checkout.latency",
		".csv": "_", "größe.csv": "gr__e", strings.Repeat("x", 200) + ".csv": strings.Repeat("x", 128),
	} {
		assert.Equal(t, want, seriesName(path), path)
	}
}
