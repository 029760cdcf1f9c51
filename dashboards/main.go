// Command dashboards writes Millrace's Grafana dashboards: what is on them is in
// queues.go, how Grafana wants it written is in grafana.go.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"millrace/internal/program"
)

//go:generate go run . grafana

func main() { os.Exit(program.Main("dashboards", os.Stderr, run)) }

// run writes every dashboard into the directory that the command line names.
func run(context.Context) error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s DIRECTORY", os.Args[0])
	}
	for _, d := range all() {
		text, err := d.render()
		if err != nil {
			return fmt.Errorf("%s: %w", d.file, err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], d.file), text, 0o644); err != nil { //nolint:gosec // Grafana's account reads it
			return fmt.Errorf("write the dashboard: %w", err)
		}
	}
	return nil
}

// all lists the dashboards.
func all() []dashboard { return []dashboard{queues()} }
