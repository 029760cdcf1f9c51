package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"millrace/client"
	"millrace/internal/rollup"
)

// sendingAtOnce is how many requests of an import are in flight.
const sendingAtOnce = 4

func (f *metricsFlags) importing() *cobra.Command {
	var (
		i       = &importer{}
		tags    []string
		zone    string
		asked   string
		columns = &i.format
	)
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Send the points of CSV files",
		Long: `Send the points of CSV files with a header. FILE may be - for the standard input.

Times are RFC 3339, or look like 2030-01-31 09:30:00 and are of --timezone. All files
are read through before anything is sent: a row that is no point stops the command
with its line, unless --skip-bad is given.

Importing the same file into the same series again, after a crash for instance, adds
nothing twice: it goes on where it was. The server remembers imports for 7 days. A file
that has changed is another file, and all of it is added.`,
		Example: `  millrace metrics import cpu.csv
  millrace metrics import eu.csv --name checkout.latency --tag region=eu --timezone Europe/Berlin
  gunzip -c load.csv.gz | millrace metrics import - --name host.load --time-column time --value-column load1`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misuse(cmd, "FILE is missing")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&asked, "name", "", "the metric (default made of the file's name)")
	flags.StringArrayVar(&tags, "tag", nil, "tag=value of the series; several times for several")
	flags.StringVar(&columns.timeColumn, "time-column", "timestamp", "the column of the times")
	flags.StringVar(&columns.valueColumn, "value-column", "value", "the column of the values")
	flags.StringVar(&zone, "timezone", "UTC", "the time zone of times that name none, such as Europe/Berlin")
	flags.IntVar(&i.batch, "batch", 1000, fmt.Sprintf("how many points a request has, up to %d", rollup.MaxPoints))
	flags.BoolVar(&columns.skipBad, "skip-bad", false, "leave out rows that are no points, and count them")
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		var err error
		if i.format.zone, err = time.LoadLocation(zone); err != nil || zone == "" {
			return misuse(cmd, "--timezone must be the name of a time zone, such as Europe/Berlin")
		}
		if i.batch < 1 || i.batch > rollup.MaxPoints {
			return misuse(cmd, "--batch is from 1 to %d", rollup.MaxPoints)
		}
		i.format.now = f.now()
		series, err := f.seriesOf(cmd, paths, asked, tags)
		if err != nil {
			return err
		}
		if i.api, err = f.connect(cmd); err != nil {
			return err
		}
		return f.importAll(cmd, i, paths, series)
	}
	return cmd
}

// seriesOf returns the series of each file.
func (f *metricsFlags) seriesOf(cmd *cobra.Command, paths []string, name string, tags []string) ([]rollup.Series, error) {
	parsed, err := parseTags(cmd, tags)
	if err != nil {
		return nil, err
	}
	all := make([]rollup.Series, len(paths))
	for i, path := range paths {
		named := name
		switch {
		case named == "" && path == "-":
			return nil, misuse(cmd, "--name is missing, which the standard input needs")
		case named == "":
			named = seriesName(path)
		}
		normal, ok := rollup.ParseName(named)
		if !ok {
			return nil, misuse(cmd, "--name must be 1 to 128 of a-z, 0-9, _ . : / and -, and begin with a letter or _")
		}
		all[i] = rollup.Series{Name: normal, Tags: parsed}
	}
	return all, nil
}

// imported is what became of a file.
type imported struct {
	File string            `json:"file"`
	Name string            `json:"name"`
	Tags map[string]string `json:"tags,omitzero"`
	// Points are those of the file, Replayed how many of the batches had been
	// imported before, Skipped the rows that are no points.
	Points   int     `json:"points"`
	Batches  int     `json:"batches"`
	Replayed int     `json:"replayed"`
	Skipped  int     `json:"skipped"`
	Seconds  float64 `json:"seconds"`
}

func (f *metricsFlags) importAll(cmd *cobra.Command, i *importer, paths []string, series []rollup.Series) error {
	i.progress = newProgress(cmd.ErrOrStderr(), f.now)
	defer i.progress.clear()
	var files []*csvFile
	defer func() {
		for _, file := range files {
			file.close()
		}
	}()
	for _, path := range paths {
		file, err := openCSV(path, cmd.InOrStdin(), i.format, func(done, size int64) { i.progress.show("reading "+path, done, size) })
		if err != nil {
			return err
		}
		files = append(files, file)
		i.total += int64(file.points)
	}
	out := &printer{w: cmd.OutOrStdout()}
	for n, file := range files {
		result, err := i.run(cmd.Context(), file, series[n])
		i.progress.clear()
		if err != nil {
			return i.explain(cmd.Context(), file, err)
		}
		if f.asJSON {
			out.json(result)
		} else {
			out.printf("%s\n", oneLine(result.String()))
		}
	}
	return out.err
}

// String is one line for people.
func (r imported) String() string {
	text := fmt.Sprintf("%s: %d points of %s in %.1f s", r.File, r.Points, describeSeries(r.Name, r.Tags), r.Seconds)
	switch {
	case r.Batches > 0 && r.Replayed == r.Batches:
		text += "; all had been imported before"
	case r.Replayed > 0:
		text += fmt.Sprintf("; %d of %d batches had been imported before", r.Replayed, r.Batches)
	}
	if r.Skipped > 0 {
		text += fmt.Sprintf("; %d rows skipped", r.Skipped)
	}
	return text
}

// importer sends files.
type importer struct {
	api    *jobsServer
	format csvFormat
	batch  int

	progress *progressLine
	sent     atomic.Int64
	total    int64
}

// run sends a file. The first batch goes alone: when it was sent before with
// another number of points, it is refused before anything else is sent, so that
// no point is added twice.
func (i *importer) run(ctx context.Context, file *csvFile, series rollup.Series) (imported, error) {
	started := time.Now()
	result := imported{File: file.path, Name: series.Name, Tags: series.Tags, Skipped: file.skipped}
	rows, err := file.again(i.format)
	if err != nil {
		return result, err
	}
	var replayed atomic.Int64
	send := func(ctx context.Context, api *client.Client, number int, points []client.MetricPoint) error {
		receipt, err := api.SendMetrics(ctx, points, client.MetricsOptions{IdempotencyKey: i.key(file, series, number)})
		if err != nil {
			return err
		}
		if receipt.Replayed {
			replayed.Add(1)
		}
		i.progress.show("importing "+file.path, i.sent.Add(int64(len(points))), i.total)
		return nil
	}
	group, grouped := errgroup.WithContext(ctx)
	group.SetLimit(sendingAtOnce)
	for more := true; more && grouped.Err() == nil; {
		var points []client.MetricPoint
		if points, more, err = i.next(rows, series); err != nil || len(points) == 0 {
			break
		}
		number := result.Batches
		result.Batches++
		result.Points += len(points)
		if number == 0 {
			if err = send(ctx, i.api.Client, number, points); err != nil {
				return result, &firstBatchError{err}
			}
			continue
		}
		group.Go(func() error { return send(grouped, i.api.patient, number, points) })
	}
	if sendErr := group.Wait(); sendErr != nil {
		err = sendErr
	}
	result.Replayed = int(replayed.Load())
	result.Seconds = time.Since(started).Seconds()
	return result, err
}

// next reads the points of a batch.
func (i *importer) next(rows *csvReader, series rollup.Series) (points []client.MetricPoint, more bool, err error) {
	points = make([]client.MetricPoint, 0, i.batch)
	for len(points) < i.batch {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			return points, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		points = append(points, client.MetricPoint{Name: series.Name, Tags: series.Tags, Value: row.value, At: row.at})
	}
	return points, true, nil
}

// key is equal for a batch that is sent again, and for no other of the tenant's.
// How many points a batch has is not in it: see run.
func (i *importer) key(file *csvFile, series rollup.Series, number int) string {
	hash := sha256.New()
	_, _ = hash.Write(file.hash[:])
	for _, part := range []string{i.format.timeColumn, i.format.valueColumn, i.format.zone.String(), series.Key()} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return fmt.Sprintf("import-%x-%d", hash.Sum(nil), number)
}

// firstBatchError is an error before anything was added.
type firstBatchError struct{ err error }

// Error implements error.
func (e *firstBatchError) Error() string { return e.err.Error() }

// Unwrap lets errors.As look inside.
func (e *firstBatchError) Unwrap() error { return e.err }

func (i *importer) explain(ctx context.Context, file *csvFile, err error) error {
	_, first := errors.AsType[*firstBatchError](err)
	e, answered := errors.AsType[*client.Error](err)
	switch {
	case first && answered && e.Code == client.CodeIdempotencyMismatch:
		return fmt.Errorf("%s was imported before with another --batch than %d; nothing is added: repeat it with that one", oneLine(file.path), i.batch)
	case ctx.Err() != nil:
		return errors.New("interrupted; run it again to go on: what was imported is not added twice")
	}
	explained := i.api.explain(oneLine(file.path), err)
	if first {
		return explained
	}
	return fmt.Errorf("%w; run it again to go on: what was imported is not added twice", explained)
}

// parseTags reads tag=value.
func parseTags(cmd *cobra.Command, pairs []string) (map[string]string, error) {
	tags := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if _, twice := tags[name]; !ok || twice {
			return nil, misuse(cmd, "--tag must look like region=eu, once for each tag")
		}
		tags[name] = value
	}
	normal, problem := rollup.ParseTags(tags)
	if problem != "" {
		return nil, misuse(cmd, "tags %s", problem)
	}
	return normal, nil
}

// describeSeries is a series in words, such as cpu{host=a}.
func describeSeries(name string, tags map[string]string) string {
	if len(tags) == 0 {
		return name
	}
	return name + "{" + joinTags(tags) + "}"
}

func joinTags(tags map[string]string) string {
	pairs := make([]string, 0, len(tags))
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, name+"="+tags[name])
	}
	return strings.Join(pairs, ",")
}

// progressLine is a line at the bottom of a terminal that says how far a command
// is. It is nothing where there is no terminal. It is safe for concurrent use.
type progressLine struct {
	w   io.Writer // nil for none
	now func() time.Time

	busy  atomic.Bool
	shown atomic.Int64 // Unix time in nanoseconds
}

// refresh is how often the line changes at most.
const refresh = 100 * time.Millisecond

func newProgress(w io.Writer, now func() time.Time) *progressLine {
	if !terminal(w) {
		w = nil
	}
	return &progressLine{w: w, now: now}
}

func (p *progressLine) show(what string, done, total int64) {
	now := p.now().UnixNano()
	if p.w == nil || total == 0 || done < total && now-p.shown.Load() < refresh.Nanoseconds() || !p.busy.CompareAndSwap(false, true) {
		return
	}
	defer p.busy.Store(false)
	p.shown.Store(now)
	const cells = 24
	full := int(done * cells / total)
	_, _ = fmt.Fprintf(p.w, "%s%s%s %3d %%  %s", clearLine, strings.Repeat("█", full), strings.Repeat("░", cells-full), done*100/total, oneLine(what))
}

func (p *progressLine) clear() {
	if p.w != nil {
		_, _ = fmt.Fprint(p.w, clearLine)
	}
}
