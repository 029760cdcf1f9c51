// Command dashboards writes what monitoring tools read: Grafana's dashboards,
// and manifests for Kubernetes's autoscalers.
// What is on them is in queues.go, how Grafana wants it written is in grafana.go.
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
	for _, generate := range []func() ([]file, error){grafana, autoscaling} {
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
		if err := os.MkdirAll(filepath.Join(os.Args[1], filepath.Dir(f.path)), 0o755); err != nil { //nolint:gosec // other programs' accounts read it
			return fmt.Errorf("write %s: %w", f.path, err)
		}
		if err := os.WriteFile(filepath.Join(os.Args[1], f.path), f.text, 0o644); err != nil { //nolint:gosec // other programs' accounts read it
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return nil
}

// grafana returns the dashboards.
func grafana() ([]file, error) {
	var all []file
	for _, d := range []dashboard{queues()} {
		text, err := d.render()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.file, err)
		}
		all = append(all, file{filepath.Join("grafana", d.file), text})
	}
	return all, nil
}
