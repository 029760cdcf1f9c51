// Command dashboards writes what monitoring tools read: Grafana's dashboards,
// Prometheus's rules with their tests and the lists of their runbooks, and manifests for
// Kubernetes's autoscalers.
// Each dashboard has a file of what is on it, such as overview.go; promql.go has what
// their queries share, and grafana.go and panel.go how Grafana wants it written.
// The alerts are in alerts.go and its neighbours, what is recorded for them in rules.go.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"millrace/internal/program"
)

//go:generate go run . .

func main() { os.Exit(program.Main("dashboards", os.Stderr, run)) }

// file is a generated file: its path in this directory, and what is in it.
type file struct {
	path string
	text []byte
}

// files lists everything that is generated.
func files() ([]file, error) {
	var all []file
	for _, generate := range []func() ([]file, error){grafana, rules, autoscaling} {
		some, err := generate()
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// run writes every file into the directory that the command line names.
func run(context.Context) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s DIRECTORY", os.Args[0])
	}
	all, err := files()
	if err != nil {
		return err
	}
	for _, f := range all {
		path := filepath.Join(os.Args[1], f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // other programs' accounts read it
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		if err := os.WriteFile(path, f.text, 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return nil
}

// boards are the dashboards, in the order in which one reads them.
func boards() []board {
	return []board{
		overviewBoard(), queueBoard(), kindBoard(), intakeBoard(), workersBoard(), paymentsBoard(), databaseBoard(), platformBoard(),
	}
}

// grafana returns the dashboards' files.
func grafana() ([]file, error) {
	var all []file
	for _, b := range boards() {
		text, err := b.render()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.file(), err)
		}
		all = append(all, file{filepath.Join("grafana", b.file()), text})
	}
	return all, nil
}
