package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// model is what the tests read of a dashboard's JSON.
type model struct {
	UID           string       `json:"uid"`
	Title         string       `json:"title"`
	SchemaVersion int          `json:"schemaVersion"`
	GraphTooltip  int          `json:"graphTooltip"`
	Refresh       string       `json:"refresh"`
	Panels        []panelModel `json:"panels"`
	Time          struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Templating struct {
		List []struct {
			Name       string     `json:"name"`
			Type       string     `json:"type"`
			Definition string     `json:"definition"`
			Multi      bool       `json:"multi"`
			IncludeAll bool       `json:"includeAll"`
			AllValue   string     `json:"allValue"`
			Datasource *sourceRef `json:"datasource"`
			// Query is a text, or an object with a query.
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panelModel struct {
	ID          int         `json:"id"`
	Type        string      `json:"type"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Datasource  *sourceRef  `json:"datasource"`
	GridPos     gridPos     `json:"gridPos"`
	Targets     []target    `json:"targets"`
	FieldConfig fieldConfig `json:"fieldConfig"`
}

type sourceRef struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type gridPos struct{ X, Y, W, H int }

type fieldConfig struct {
	Defaults struct {
		Unit       string `json:"unit"`
		Thresholds struct {
			Steps []struct {
				Color string   `json:"color"`
				Value *float64 `json:"value"`
			} `json:"steps"`
		} `json:"thresholds"`
	} `json:"defaults"`
}

type target struct {
	RefID        string     `json:"refId"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
	Instant      bool       `json:"instant"`
	Range        bool       `json:"range"`
	Datasource   *sourceRef `json:"datasource"`
}

// load reads every dashboard that Grafana would be given.
func load(t *testing.T) map[string]model {
	t.Helper()
	files, err := filepath.Glob("grafana/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	models := map[string]model{}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this package
		require.NoError(t, err)
		var m model
		require.NoError(t, json.Unmarshal(text, &m), file)
		models[file] = m
	}
	return models
}

// graphs are the panels that show data: all but the rows.
func (m model) graphs() []panelModel {
	return slices.DeleteFunc(slices.Clone(m.Panels), func(p panelModel) bool { return p.Type == "row" })
}

// name is what a panel's test is called; a title alone may occur twice.
func (p panelModel) name() string { return fmt.Sprintf("%d %s", p.ID, p.Title) }

func TestTheFilesAreGenerated(t *testing.T) {
	t.Parallel()
	models := load(t)
	all, err := files()
	require.NoError(t, err)
	for _, f := range all {
		got, err := os.ReadFile(f.path)
		require.NoError(t, err)
		require.Equal(t, string(f.text), string(got), "%s is out of date: go generate ./dashboards", f.path)
		delete(models, f.path)
	}
	require.Empty(t, models, "nothing generates these")
}

func TestADashboardIsOneThatAnyGrafanaTakes(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for file, m := range load(t) {
		require.NotEmpty(t, m.Title, file)
		require.Regexp(t, `^millrace-[a-z-]{1,31}$`, m.UID, file)
		require.Empty(t, uids[m.UID], "%s has the uid of another", file)
		uids[m.UID] = file
		require.Equal(t, 41, m.SchemaVersion, file)
		require.Equal(t, 2, m.GraphTooltip, "graphs share their tooltip")
		require.Equal(t, "10s", m.Refresh, file)
		require.Equal(t, "now-1h now", m.Time.From+" "+m.Time.To, file)

		require.Len(t, m.Templating.List, 2, file)
		source, queue := m.Templating.List[0], m.Templating.List[1]
		require.Equal(t, "datasource datasource", source.Name+" "+source.Type)
		require.JSONEq(t, `"prometheus"`, string(source.Query))
		require.Equal(t, "queue query", queue.Name+" "+queue.Type)
		require.True(t, queue.Multi && queue.IncludeAll)
		require.Equal(t, ".+", queue.AllValue, "All must work while no process reports a queue")
		require.Contains(t, string(queue.Query), `"`+queue.Definition+`"`)
		requireVariable(t, queue.Datasource)
	}
}

func requireVariable(t *testing.T, source *sourceRef) {
	t.Helper()
	require.NotNil(t, source)
	require.Equal(t, sourceRef{Type: "prometheus", UID: "${datasource}"}, *source, "a data source has another uid in every Grafana")
}

func TestEveryPanelExplainsItself(t *testing.T) {
	t.Parallel()
	for file, m := range load(t) {
		for _, p := range m.graphs() {
			t.Run(filepath.Base(file)+" "+p.name(), func(t *testing.T) {
				t.Parallel()
				require.NotEmpty(t, p.Title)
				require.GreaterOrEqual(t, strings.Count(p.Description, "."), 2, "what it means, and what to do")
				require.NotEmpty(t, p.FieldConfig.Defaults.Unit)
				requireVariable(t, p.Datasource)
				require.NotEmpty(t, p.Targets)
				refs := map[string]bool{}
				for _, q := range p.Targets {
					requireVariable(t, q.Datasource)
					require.NotEmpty(t, q.LegendFormat)
					require.False(t, refs[q.RefID], "a refId occurs twice")
					refs[q.RefID] = true
					require.Equal(t, p.Type == "stat", q.Instant, "a number is of now, a graph is of the range")
					require.NotEqual(t, q.Instant, q.Range)
				}
				steps := p.FieldConfig.Defaults.Thresholds.Steps
				require.NotEmpty(t, steps)
				require.Nil(t, steps[0].Value)
				for i := 2; i < len(steps); i++ {
					require.Greater(t, *steps[i].Value, *steps[i-1].Value, "thresholds rise")
				}
			})
		}
	}
}

func TestPanelsHaveAPlaceOfTheirOwn(t *testing.T) {
	t.Parallel()
	for file, m := range load(t) {
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range m.Panels {
			require.Positive(t, p.ID, file)
			require.False(t, ids[p.ID], "%s: id %d occurs twice", file, p.ID)
			ids[p.ID] = true
			at := p.GridPos
			require.Positive(t, at.W*at.H, p.Title)
			require.True(t, at.X >= 0 && at.Y >= 0 && at.X+at.W <= gridWidth, "%s is off the grid", p.Title)
			for x := at.X; x < at.X+at.W; x++ {
				for y := at.Y; y < at.Y+at.H; y++ {
					other := taken[[2]int{x, y}]
					require.Empty(t, other, "%q lies on %q", p.Title, other)
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

func TestEveryQueryAsksForWhatTheProgramsRegister(t *testing.T) {
	t.Parallel()
	registered := metrics(t)
	for file, m := range load(t) {
		for _, v := range m.Templating.List {
			if v.Definition != "" {
				parts := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Definition)
				require.Len(t, parts, 3, v.Definition)
				require.Contains(t, registered[parts[1]], parts[2], v.Definition)
			}
		}
		for _, p := range m.graphs() {
			t.Run(filepath.Base(file)+" "+p.name(), func(t *testing.T) {
				t.Parallel()
				for _, q := range p.Targets {
					requireKnown(t, registered, q.Expr)
				}
			})
		}
	}
}

// requireKnown takes PromQL apart as far as our queries need: every name in it
// is a function, a keyword, a metric, or a label of a metric that it names.
func requireKnown(t *testing.T, registered map[string][]string, expr string) {
	t.Helper()
	rest := regexp.MustCompile(`\$(queue|__rate_interval|__range)\b`).ReplaceAllString(expr, "")
	require.NotContains(t, rest, "$", "a variable that there is not: %s", expr)

	labels := []string{"instance", "le"} // Prometheus's own, and that of buckets
	take := func(form string, do func(found []string)) {
		expression := regexp.MustCompile(form)
		for _, found := range expression.FindAllStringSubmatch(rest, -1) {
			do(found)
		}
		rest = expression.ReplaceAllString(rest, " ")
	}
	var groups []string
	take(`\[[^\]]*\]`, func([]string) {})
	take(`\bby \(([^)]*)\)`, func(found []string) { groups = append(groups, strings.Split(found[1], ", ")...) })
	take(`\b\w+\s*\(`, func([]string) {}) // functions
	take(`\bor\b`, func([]string) {})
	take(`\b([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?`, func(found []string) {
		of, ok := registered[base(registered, found[1])]
		require.True(t, ok, "no program registers %s", found[1])
		labels = append(labels, of...)
		for _, match := range regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`).FindAllStringSubmatch(found[2], -1) {
			require.Contains(t, of, match[1], "%s has no such label", found[1])
		}
	})
	require.Subset(t, labels, groups, expr)
	require.Regexp(t, `^[-+*/<>=.,()\s\d]*$`, rest, "this test does not understand %s", expr)
}

// base takes the suffix of a histogram's series off its name.
func base(registered map[string][]string, name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		short, _ := strings.CutSuffix(name, suffix)
		if _, ok := registered[short]; ok {
			return short
		}
	}
	return name
}

func TestProvisioningIsYAML(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"datasources", "dashboards"} {
		text, err := os.ReadFile(filepath.Join("grafana", "provisioning", folder, "millrace.yaml")) //nolint:gosec // a file of this package
		require.NoError(t, err)
		require.YAMLEq(t, string(text), string(text), "it parses")
		require.Contains(t, string(text), "\napiVersion: 1\n")
	}
}
