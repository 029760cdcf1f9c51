package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"millrace/internal/telemetry"
	"millrace/jobs"
)

// model is what the tests read of a dashboard's JSON.
type model struct {
	UID           string       `json:"uid"`
	Title         string       `json:"title"`
	Description   string       `json:"description"`
	Tags          []string     `json:"tags"`
	SchemaVersion int          `json:"schemaVersion"`
	GraphTooltip  int          `json:"graphTooltip"`
	Refresh       string       `json:"refresh"`
	Panels        []panelModel `json:"panels"`
	Time          struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Links []struct {
		Type        string   `json:"type"`
		Tags        []string `json:"tags"`
		KeepTime    bool     `json:"keepTime"`
		IncludeVars bool     `json:"includeVars"`
	} `json:"links"`
	Annotations struct {
		List []annotationModel `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []struct {
			Name       string     `json:"name"`
			Type       string     `json:"type"`
			Definition string     `json:"definition"`
			Multi      bool       `json:"multi"`
			IncludeAll bool       `json:"includeAll"`
			Datasource *sourceRef `json:"datasource"`
			Current    struct {
				Value string `json:"value"`
			} `json:"current"`
			// Query is a text, or an object with a query.
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type annotationModel struct {
	Name        string     `json:"name"`
	Enable      bool       `json:"enable"`
	Expr        string     `json:"expr"`
	TitleFormat string     `json:"titleFormat"`
	TextFormat  string     `json:"textFormat"`
	Datasource  *sourceRef `json:"datasource"`
	Target      struct {
		Expr  string `json:"expr"`
		Range bool   `json:"range"`
	} `json:"target"`
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

	Transformations []struct {
		ID      string `json:"id"`
		Options struct {
			RenameByName map[string]string `json:"renameByName"`
		} `json:"options"`
	} `json:"transformations"`
}

type sourceRef struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type gridPos struct{ X, Y, W, H int }

type fieldConfig struct {
	Defaults struct {
		Unit       string                        `json:"unit"`
		Links      []struct{ Title, URL string } `json:"links"`
		Thresholds struct {
			Steps []struct {
				Color string   `json:"color"`
				Value *float64 `json:"value"`
			} `json:"steps"`
		} `json:"thresholds"`
	} `json:"defaults"`
	Overrides []struct {
		Matcher struct {
			ID      string `json:"id"`
			Options string `json:"options"`
		} `json:"matcher"`
		Properties []struct {
			ID    string          `json:"id"`
			Value json.RawMessage `json:"value"`
		} `json:"properties"`
	} `json:"overrides"`
}

type target struct {
	RefID        string     `json:"refId"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
	Instant      bool       `json:"instant"`
	Format       string     `json:"format"`
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
	models := load(t)
	require.Len(t, models, len(boards()))
	for _, b := range boards() {
		m := models[filepath.Join("grafana", b.file())]
		require.Equal(t, b.uid, m.UID)
		require.Regexp(t, `^millrace-[a-z-]{1,31}$`, m.UID)
		require.NotEmpty(t, m.Title, m.UID)
		require.GreaterOrEqual(t, strings.Count(m.Description, "."), 1, m.UID)
		require.Equal(t, 41, m.SchemaVersion, m.UID)
		require.Equal(t, 2, m.GraphTooltip, "graphs share their tooltip")
		require.Equal(t, "10s", m.Refresh, m.UID)
		require.Equal(t, "now-1h now", m.Time.From+" "+m.Time.To, m.UID)
		require.Equal(t, []string{"millrace"}, m.Tags, "what the menu of dashboards looks for")

		require.Len(t, m.Templating.List, 1+len(b.variables), m.UID)
		source := m.Templating.List[0]
		require.Equal(t, "datasource datasource", source.Name+" "+source.Type)
		require.JSONEq(t, `"prometheus"`, string(source.Query))
		for _, v := range m.Templating.List[1:] {
			require.Equal(t, "query", v.Type)
			require.False(t, v.Multi || v.IncludeAll, "its panels are of one")
			require.Contains(t, string(v.Query), v.Definition[:len("label_values(")])
			requireVariable(t, v.Datasource)
		}
	}
}

// What a person sees first on the boards of one queue and one kind is one that
// the catalogue has.
func TestVariablesBeginWithWhatThereIs(t *testing.T) {
	t.Parallel()
	models := load(t)
	first := func(uid, name string) string {
		for _, v := range models[filepath.Join("grafana", uid+".json")].Templating.List {
			if v.Name == name {
				return v.Current.Value
			}
		}
		return ""
	}
	require.True(t, slices.ContainsFunc(jobs.Queues(), func(q jobs.Queue) bool { return q.Name == first(queueUID, "queue") }))
	require.NotNil(t, jobs.Find(first(kindUID, "kind")))
}

// The SDK's types know Grafana's names and what may stand behind them: nothing is
// there that Grafana does not know.
func TestEveryNameIsOneOfGrafanas(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	for file := range load(t) {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this package
		require.NoError(t, err)
		var tree map[string]any
		require.NoError(t, json.Unmarshal(text, &tree))
		all, ok := tree["annotations"].(map[string]any)
		require.True(t, ok)
		annotations, ok := all["list"].([]any)
		require.True(t, ok)
		for _, item := range annotations {
			annotation, ok := item.(map[string]any)
			require.True(t, ok)
			delete(annotation, "titleFormat") // the Prometheus plugin's own names
			delete(annotation, "textFormat")  // are not in the SDK
		}
		text, err = json.Marshal(tree)
		require.NoError(t, err)
		var strict dashboard.Dashboard
		require.NoError(t, strict.UnmarshalJSONStrict(text), file)
	}
}

// Every link leads to a dashboard that there is, and chooses what it lets choose
// by a label that the series has.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	chosen := map[string][]string{}
	for _, b := range boards() {
		chosen[b.uid] = []string{}
		for _, v := range b.variables {
			chosen[b.uid] = append(chosen[b.uid], v.label)
		}
	}
	form := regexp.MustCompile(`^/d/([a-z-]+)\?\$\{__url_time_range\}&\$\{datasource:queryparam\}(?:&var-(\w+)=\$\{__(?:field\.labels|data\.fields)\.(\w+)\})?$`)
	led := map[string]bool{}
	for file, m := range load(t) {
		require.Len(t, m.Links, 1, file)
		menu := m.Links[0]
		require.Equal(t, "dashboards", menu.Type)
		require.True(t, menu.KeepTime && menu.IncludeVars)
		require.Equal(t, m.Tags, menu.Tags)
		for _, p := range m.graphs() {
			for _, url := range p.links(t) {
				parts := form.FindStringSubmatch(url)
				require.NotNil(t, parts, "%s: %s", p.Title, url)
				require.Contains(t, chosen, parts[1], p.Title)
				require.Equal(t, parts[2], parts[3])
				led[parts[1]+" "+parts[2]] = true
				if parts[2] == "" {
					continue
				}
				require.Contains(t, chosen[parts[1]], parts[2], p.Title)
				for _, q := range p.Targets {
					require.Regexp(t, `by \([^)]*\b`+parts[2]+`\b`, q.Expr, "%s: the series has no such label", p.Title)
				}
			}
		}
	}
	for _, way := range []string{queueUID + " queue", kindUID + " kind", intakeUID + " ", workersUID + " ", paymentsUID + " ", databaseUID + " "} {
		require.True(t, led[way], "no panel leads to %s", way)
	}
}

// links are the addresses that a click in the panel leads to.
func (p panelModel) links(t *testing.T) []string {
	t.Helper()
	all := p.FieldConfig.Defaults.Links
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "links" {
				var some []struct{ Title, URL string }
				require.NoError(t, json.Unmarshal(property.Value, &some))
				all = append(all, some...)
			}
		}
	}
	var urls []string
	for _, l := range all {
		require.NotEmpty(t, l.Title)
		urls = append(urls, l.URL)
	}
	return urls
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
					require.Equal(t, p.Type == "stat" || p.Type == "table", q.Instant, "a number is of now, a graph is of the range")
					require.Equal(t, p.Type == "table", q.Format == "table")
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

// A column of a list has its name from its query, and a unit of its own.
func TestEveryColumnHasAUnit(t *testing.T) {
	t.Parallel()
	lists := 0
	for file, m := range load(t) {
		for _, p := range m.graphs() {
			if p.Type != "table" {
				continue
			}
			lists++
			units := map[string]bool{}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					units[o.Matcher.Options] = units[o.Matcher.Options] || property.ID == "unit"
				}
			}
			require.Equal(t, []string{"merge", "organize"}, []string{p.Transformations[0].ID, p.Transformations[1].ID})
			names := p.Transformations[1].Options.RenameByName
			require.Len(t, names, len(p.Targets))
			for _, q := range p.Targets {
				require.Equal(t, q.LegendFormat, names["Value #"+q.RefID], "%s: %s", file, p.Title)
				require.True(t, units[q.LegendFormat], "%s: %s of %s", file, q.LegendFormat, p.Title)
			}
		}
	}
	require.Equal(t, 3, lists)
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

// At three in the morning nobody scrolls: the tiles, the graphs and a list of five
// queues are on one screen of 1080 points, of which Grafana's own head takes some
// 130. A unit of its grid is 38 high.
func TestTheOverviewFitsOnOneScreen(t *testing.T) {
	t.Parallel()
	end := 0
	for _, p := range load(t)[filepath.Join("grafana", overviewUID+".json")].graphs() {
		if p.Type != "table" {
			end = max(end, p.GridPos.Y+p.GridPos.H)
		}
	}
	const title = 1
	require.LessOrEqual(t, 38*(end+title+int(listHeight(5))), 1080-130)
}

func TestEveryQueryAsksForWhatTheProgramsRegister(t *testing.T) {
	t.Parallel()
	registered := metrics(t)
	maps.Copy(registered, everyPrograms(t))
	for file, m := range load(t) {
		chosen := map[string]bool{}
		for _, v := range m.Templating.List {
			chosen[v.Name] = true
			if v.Definition != "" {
				parts := labelValues.FindStringSubmatch(v.Definition)
				require.Len(t, parts, 3, v.Definition)
				require.Equal(t, v.Name, parts[2])
				for _, name := range requireKnown(t, registered, parts[1]) {
					require.Contains(t, registered[name], parts[2], v.Definition)
				}
			}
		}
		marks := 0
		for _, a := range m.Annotations.List {
			if a.Expr != "" {
				marks++
				requireVariable(t, a.Datasource)
				requireKnown(t, registered, a.Expr)
				require.Equal(t, a.Expr, a.Target.Expr)
				require.True(t, a.Enable && a.Target.Range && a.TitleFormat != "")
				require.Contains(t, a.TextFormat, "{{version}}")
			}
		}
		require.Equal(t, 1, marks, "%s marks deploys", file)
		for _, p := range m.graphs() {
			t.Run(filepath.Base(file)+" "+p.name(), func(t *testing.T) {
				t.Parallel()
				for _, q := range p.Targets {
					requireKnown(t, registered, q.Expr)
					for _, variable := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
						require.True(t, chosen[variable[1]] || strings.HasPrefix(variable[1], "__"), "%s has no variable %s", file, variable[1])
					}
				}
			})
		}
	}
}

// labelValues is how a variable asks for the values of a label.
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// inGrafana puts in what Grafana does for the variables of its own.
func inGrafana() *strings.Replacer {
	return strings.NewReplacer("$__rate_interval", "15s", "$__range", "1m", "$__interval", "15s")
}

// requireKnown parses PromQL as Prometheus does: every metric in it is one that a
// program registers, with the labels that are asked for and grouped by. It
// returns the metrics.
func requireKnown(t *testing.T, registered map[string][]string, expr string) []string {
	t.Helper()
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(inGrafana().Replace(expr))
	require.NoError(t, err, expr)
	var asked []string
	labels := []string{"instance", "le"} // Prometheus's own, and that of buckets
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		names := []string{selector.Name}
		if selector.Name == "" {
			for _, matcher := range selector.LabelMatchers {
				require.Equal(t, "__name__ =~", matcher.Name+" "+matcher.Type.String(), expr)
				names = strings.Split(matcher.Value, "|")
			}
		}
		for _, name := range names {
			name = base(registered, name)
			of, ok := registered[name]
			require.True(t, ok, "no program registers %s", name)
			asked, labels = append(asked, name), append(labels, of...)
			for _, matcher := range selector.LabelMatchers {
				require.Contains(t, append([]string{"__name__"}, of...), matcher.Name, "%s has no such label", name)
			}
		}
		return nil
	})
	require.NotEmpty(t, asked, expr)
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			require.Subset(t, labels, node.Grouping, expr)
		case *parser.BinaryExpr:
			if node.VectorMatching != nil {
				require.Subset(t, labels, node.VectorMatching.MatchingLabels, expr)
			}
		}
		return nil
	})
	return asked
}

// everyPrograms returns the metrics of Go and of the process, which every program has.
func everyPrograms(t *testing.T) map[string][]string {
	t.Helper()
	families, err := telemetry.NewRegistry("test").Gather()
	require.NoError(t, err)
	found := map[string][]string{}
	for _, family := range families {
		if name := family.GetName(); strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			found[name] = nil
		}
	}
	return found
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

// Grafana ignores a name that it does not know, and so would an operator.
func TestProvisioningIsWhatGrafanaReads(t *testing.T) {
	t.Parallel()
	read := func(folder string, into any) {
		text, err := os.ReadFile(filepath.Join("grafana", "provisioning", folder, "millrace.yaml")) //nolint:gosec // a file of this package
		require.NoError(t, err)
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		require.NoError(t, decoder.Decode(into))
	}
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, Type, Access, URL string
			JSONData                struct {
				HTTPMethod   string `yaml:"httpMethod"`
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	read("datasources", &sources)
	require.Equal(t, 1, sources.APIVersion)
	require.Len(t, sources.Datasources, 1)
	require.Equal(t, "prometheus proxy", sources.Datasources[0].Type+" "+sources.Datasources[0].Access)

	var dashboards struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type string
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			Options            struct{ Path string }
		}
	}
	read("dashboards", &dashboards)
	require.Equal(t, 1, dashboards.APIVersion)
	require.Len(t, dashboards.Providers, 1)
	require.Equal(t, "file", dashboards.Providers[0].Type)
	require.True(t, filepath.IsAbs(dashboards.Providers[0].Options.Path))
}
