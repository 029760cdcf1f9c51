package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

const (
	// schemaVersion is that of Grafana 11.6 and 12.0. The SDK's is one more, which
	// those do not know and whose one novelty is not used here; later ones migrate it.
	schemaVersion = 41
	pluginVersion = "11.6.0"

	// gridWidth is how many columns Grafana's grid has.
	gridWidth = 24
)

// board is a dashboard: a file for Grafana's import.
type board struct {
	// uid is how links name it, and its file.
	uid         string
	title       string
	description string
	// variables are chosen at the top, after the data source.
	variables []variable
	rows      []row
}

// variable is a label's value that a person chooses.
type variable struct {
	label string
	// title is what stands before the choice.
	title string
	// first is chosen at the start.
	first string
}

// row is a titled group of panels, laid out from left to right.
type row struct {
	title  string
	panels []panel
}

func (b board) file() string { return b.uid + ".json" }

// render returns the dashboard as JSON. Names are in alphabetical order, as
// Grafana's own export writes them, so that the two can be compared.
func (b board) render() ([]byte, error) {
	model := dashboard.Dashboard{
		Annotations:   dashboard.AnnotationContainer{List: []dashboard.AnnotationQuery{builtIn(), deploys()}},
		Description:   new(b.description),
		Editable:      new(true),
		GraphTooltip:  new(dashboard.DashboardCursorSyncTooltip),
		Links:         []dashboard.DashboardLink{toOthers()},
		Panels:        layOut(b.rows),
		Refresh:       new("10s"),
		SchemaVersion: schemaVersion,
		Tags:          []string{tag},
		Templating:    dashboard.DashboardDashboardTemplating{List: []dashboard.VariableModel{datasourceVariable()}},
		Time:          &dashboard.DashboardDashboardTime{From: "now-1h", To: "now"},
		Timezone:      new("browser"),
		Title:         new(b.title),
		Uid:           new(b.uid),
		Version:       new(uint32(1)),
	}
	for _, v := range b.variables {
		model.Templating.List = append(model.Templating.List, v.render())
	}
	if err := model.Validate(); err != nil {
		return nil, fmt.Errorf("the dashboard is not valid: %w", err)
	}
	tree, err := treeOf(model)
	if err != nil {
		return nil, err
	}
	nameDeploys(tree)

	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(tree); err != nil {
		return nil, fmt.Errorf("encode the dashboard: %w", err)
	}
	return text.Bytes(), nil
}

// treeOf is the model as plain JSON values.
func treeOf(model dashboard.Dashboard) (map[string]any, error) {
	text, err := json.Marshal(model)
	if err != nil {
		return nil, fmt.Errorf("encode the dashboard: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("read the dashboard back: %w", err)
	}
	return tree, nil
}

// layOut gives panels their ids and places.
func layOut(rows []row) []dashboard.PanelOrRowPanel {
	var panels []dashboard.PanelOrRowPanel
	id, y := uint32(0), uint32(0)
	for _, r := range rows {
		id++
		panels = append(panels, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
			Type: "row", Id: id, Title: new(r.title), GridPos: &dashboard.GridPos{Y: y, W: gridWidth, H: 1}, Panels: []dashboard.Panel{},
		}})
		y++
		x, height := uint32(0), uint32(0)
		for _, p := range r.panels {
			if x+p.width > gridWidth {
				x, y, height = 0, y+height, 0
			}
			id++
			rendered := p.render()
			rendered.Id, rendered.GridPos = new(id), &dashboard.GridPos{X: x, Y: y, W: p.width, H: p.height}
			panels = append(panels, dashboard.PanelOrRowPanel{Panel: &rendered})
			x, height = x+p.width, max(height, p.height)
		}
		y += height
	}
	return panels
}

// source is the data source that is chosen at the top: its uid differs in every Grafana.
func source() *common.DataSourceRef {
	return &common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

func datasourceVariable() dashboard.VariableModel {
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeDatasource, Name: "datasource", Label: new("Data source"),
		Query: &dashboard.StringOrMap{String: new("prometheus")}, Refresh: new(dashboard.VariableRefreshOnDashboardLoad),
		Hide: new(dashboard.VariableHideDontHide), IncludeAll: new(false), Multi: new(false), Regex: new(""),
	}
}

func (v variable) render() dashboard.VariableModel {
	// Intake counts arrivals and workers say targets: the choice is there as long as
	// one of them has lived in the time shown.
	values := `label_values({__name__=~"millrace_jobs_enqueued_total|millrace_job_target_seconds"}, ` + v.label + `)`
	chosen := dashboard.StringOrArrayOfString{String: new(v.first)}
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeQuery, Name: v.label, Label: new(v.title), Datasource: source(), Definition: new(values),
		// 1 is the plugin's number for queries of label values.
		Query:      &dashboard.StringOrMap{Map: map[string]any{"qryType": 1, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"}},
		Current:    &dashboard.VariableOption{Selected: new(true), Text: chosen, Value: chosen},
		Refresh:    new(dashboard.VariableRefreshOnTimeRangeChanged),
		Sort:       new(dashboard.VariableSortAlphabeticalAsc),
		Hide:       new(dashboard.VariableHideDontHide),
		IncludeAll: new(false), Multi: new(false), Regex: new(""),
	}
}

// builtIn is the annotation that every dashboard of Grafana has.
func builtIn() dashboard.AnnotationQuery {
	return dashboard.AnnotationQuery{
		BuiltIn: new(1.0), Datasource: &common.DataSourceRef{Type: new("grafana"), Uid: new("-- Grafana --")},
		Enable: true, Hide: new(true), IconColor: "rgba(0, 211, 255, 1)", Name: "Annotations & Alerts", Type: new("dashboard"),
	}
}

// deployed has a value at the first point of a graph after a version began to run
// that ran nowhere in the five minutes before: once a deploy, and once a roll-back.
// The five minutes are so that a restart is no deploy; what comes and goes between
// two points is seen all the same.
const deployed = `count by (version) (last_over_time(millrace_build_info[$__interval]))` +
	` unless count by (version) (last_over_time(millrace_build_info[5m] offset $__interval))`

// deploysName is what the annotation of deploys is called.
const deploysName = "Deploys"

func deploys() dashboard.AnnotationQuery {
	return dashboard.AnnotationQuery{
		Datasource: source(), Enable: true, Hide: new(false), IconColor: blue, Name: deploysName,
		// Grafana 11 reads expr, later ones the target.
		Expr: new(deployed),
		Target: prometheus.Dataquery{
			Datasource: source(), EditorMode: new(prometheus.QueryEditorModeCode), Expr: deployed, Instant: new(false), Range: new(true),
			RefId: new("Anno"),
		},
	}
}

// nameDeploys says at the mark which version it is. These are names of the
// Prometheus plugin's own, which the SDK's type does not have.
func nameDeploys(tree map[string]any) {
	annotations, _ := tree["annotations"].(map[string]any)
	list, _ := annotations["list"].([]any)
	for _, item := range list {
		if annotation, ok := item.(map[string]any); ok && annotation["name"] == deploysName {
			annotation["titleFormat"], annotation["textFormat"] = "Deploy", "Version {{version}} begins to run"
		}
	}
}

// tag is what finds our dashboards among others.
const tag = "millrace"

// toOthers is the menu of all our dashboards. It keeps the time and what is chosen.
func toOthers() dashboard.DashboardLink {
	return dashboard.DashboardLink{
		Title: "Millrace", Type: dashboard.DashboardLinkTypeDashboards, Icon: "external link", Tags: []string{tag}, AsDropdown: true, IncludeVars: true, KeepTime: true,
	}
}

// link leads from a panel to a dashboard. It keeps the time and the data source.
type link struct {
	to string // uid
	// variable is what it chooses there, from the value of the series' label of that
	// name; empty for nothing.
	variable string
}

func (l link) render(inTable bool) dashboard.DashboardLink {
	url := "/d/" + l.to + "?${__url_time_range}&${datasource:queryparam}"
	title := "Open this"
	if l.variable != "" {
		value := "${__field.labels." + l.variable + "}"
		if inTable {
			value = "${__data.fields." + l.variable + "}"
		}
		url += "&var-" + l.variable + "=" + value
		title = "Open " + value
	}
	return dashboard.DashboardLink{Title: title, Type: dashboard.DashboardLinkTypeLink, Url: new(url), Tags: []string{}}
}
