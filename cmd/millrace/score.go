package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"millrace/internal/satisfaction"
)

func scoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Score conversations, and train and measure the model that does",
		Long: `Score conversations without a server, and train and measure the model behind
POST /v1/conversations. Files hold one JSON object a line: "messages", each with
"role" (user, assistant, system) and "content", and in rated files "overall", the
ratings from 1 to 5 that people gave the whole. Nothing leaves this machine.`,
	}
	return group(cmd, scorePredict(), scoreEval(), scoreTrain())
}

func scorePredict() *cobra.Command {
	var model string
	var full bool
	cmd := &cobra.Command{
		Use:   "predict FILE",
		Short: "Print the score of every conversation of a file",
		Long: `Print one JSON object a line, in the file's order: satisfaction (0 to 100), rating
(the mean rating from 1 to 5 that people would give), confidence (0 to 1) and the
verdict. FILE may be - for the standard input.`,
		Example: `  millrace score predict dialogues.jsonl
  echo '{"messages":[{"role":"user","content":"Perfect, thank you so much!"}]}' | millrace score predict - --full`,
		Args: takes(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := loadModel(model)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fileError(err)
				}
				defer func() { _ = file.Close() }()
				in = file
			}
			out := &printer{w: cmd.OutOrStdout()}
			err = satisfaction.ReadDialogues(in, func(d satisfaction.Dialogue) error {
				if full {
					out.json(m.Score(d.Messages, satisfaction.Feedback{}))
					return out.err
				}
				estimate, verdict := m.Estimate(d.Messages)
				out.json(struct {
					satisfaction.Estimate

					Verdict satisfaction.Verdict `json:"verdict"`
				}{estimate, verdict})
				return out.err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return out.err
		},
	}
	modelFlag(cmd, &model)
	cmd.Flags().BoolVar(&full, "full", false, "with the sub-scores and the reasons, as GET /v1/scores/{id} shows them")
	return cmd
}

func scoreEval() *cobra.Command {
	var model string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "eval FILE…",
		Short: "Measure how well the scores agree with people's ratings",
		Long: `Measure on rated files, each taken for a domain of its own. Correlations are
Spearman's, with ties at their mean rank, between the estimate and the mean rating:

  model        the model itself; * says that it was trained on this very file
  10-fold      models trained on nine tenths of the file and tested on the rest, five
               times over, with the lowest and the highest
  transferred  a model trained on the other files only
  one rater    one of the people against the mean of the others: what a human reaches
  AUC          telling who is dissatisfied (mean under 3) from the others; 0.5 is chance
  error        mean absolute difference to the mean rating, 10-fold, and what it is
               when everybody gets the mean`,
		Example: "  millrace score eval hotels.jsonl films.jsonl",
		Args:    someFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := loadModel(model)
			if err != nil {
				return err
			}
			sets, err := readDatasets(args)
			if err != nil {
				return err
			}
			out := &printer{w: cmd.OutOrStdout()}
			qualities := satisfaction.Evaluate(m, sets)
			if asJSON {
				for _, q := range qualities {
					out.json(q)
				}
				return out.err
			}
			printQuality(out, m, sets, qualities)
			return out.err
		},
	}
	modelFlag(cmd, &model)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a file")
	return cmd
}

func scoreTrain() *cobra.Command {
	var version, to string
	var about []string
	cmd := &cobra.Command{
		Use:   "train FILE…",
		Short: "Train the model on rated conversations",
		Long: `Train the model on rated files, each taken for a domain of its own, and print how good
it is. Its coefficients are written to --out with their provenance and quality; the
one that the program carries is internal/satisfaction/model.json. Scores carry
--model-version, so give every model that goes into service another one.`,
		Example: `  millrace score train hotels.jsonl films.jsonl --model-version 2 --out model.json \
    --about "booking hotels" --about "talking about films"`,
		Args: someFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if version == "" || to == "" {
				return misuse(cmd, "--model-version and --out are required")
			}
			if len(about) > len(args) {
				return misuse(cmd, "--about is given %d times for %d files", len(about), len(args))
			}
			sets, err := readDatasets(args)
			if err != nil {
				return err
			}
			for i, text := range about {
				sets[i].About = text
			}
			m, err := satisfaction.Train(version, sets, time.Now())
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(m.File(), "", "  ")
			if err != nil {
				return fmt.Errorf("encode: %w", err)
			}
			if err := os.WriteFile(to, append(data, '\n'), 0o644); err != nil { //nolint:gosec // coefficients are no secret
				return fileError(err)
			}
			out := &printer{w: cmd.OutOrStdout()}
			printQuality(out, m, sets, m.File().Quality)
			out.printf("\nWritten to %s.\n", to)
			return out.err
		},
	}
	cmd.Flags().StringVar(&version, "model-version", "", "what scores of the model carry")
	cmd.Flags().StringArrayVar(&about, "about", nil, "what the dialogues of a file are, in words; once for each file, in order")
	cmd.Flags().StringVar(&to, "out", "", "file for the coefficients")
	return cmd
}

func someFiles(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return misuse(cmd, "FILE is missing")
	}
	return nil
}

func modelFlag(cmd *cobra.Command, model *string) {
	cmd.Flags().StringVar(model, "model", "", "file of a trained model; the program's own when absent")
}

func loadModel(path string) (*satisfaction.Model, error) {
	if path == "" {
		return satisfaction.Default(), nil
	}
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fileError(err)
	}
	return satisfaction.Load(data)
}

func readDatasets(paths []string) ([]satisfaction.Dataset, error) {
	var sets []satisfaction.Dataset
	for _, path := range paths {
		set, err := readDataset(path)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	return sets, nil
}

func readDataset(path string) (satisfaction.Dataset, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return satisfaction.Dataset{}, fileError(err)
	}
	defer func() { _ = file.Close() }()
	return satisfaction.ReadDataset(filepath.Base(path), file)
}

// fileError says what is wrong with a file; the system's words name it.
func fileError(err error) error { return fmt.Errorf("the file cannot be used: %w", err) }

func printQuality(out *printer, m *satisfaction.Model, sets []satisfaction.Dataset, qualities []satisfaction.Quality) {
	rows := [][]string{{"file", "dialogues", "model", "10-fold", "(lowest–highest)", "transferred", "one rater", "AUC", "error", "of the mean"}}
	for i, q := range qualities {
		seen, transferred := "", "-"
		if q.Seen {
			seen = "*"
		}
		if len(sets) > 1 {
			transferred = decimals(q.Transferred)
		}
		rows = append(rows, []string{
			q.Source, strconv.Itoa(sets[i].Source.Dialogues), decimals(q.Model) + seen, decimals(q.CrossValidated),
			"(" + decimals(q.CrossValidatedLowest) + "–" + decimals(q.CrossValidatedMost) + ")", transferred,
			decimals(q.OneRater), decimals(q.AUC), decimals(q.Error), decimals(q.ErrorOfMean),
		})
	}
	out.table(rows)
	names := []string{}
	for _, source := range m.File().Trained {
		names = append(names, source.Name)
	}
	out.printf("\nmodel %s, trained on %s\n", m.Version(), strings.Join(names, " and "))
}

func decimals(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
