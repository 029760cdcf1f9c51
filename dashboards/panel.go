package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// view is the way a panel draws.
type view string

const (
	// lines are values over time.
	lines view = "lines"
	// bars are amounts over time, one on top of the other.
	bars view = "bars"
	// areas are the parts of a whole over time, one on top of the other.
	areas view = "areas"
	// number is one value as it is now: nothing rather than an old one.
	number view = "stat"
	// states is a lane for each series that shows when it was what.
	states view = "state-timeline"
	// list is a line for each value of a label, with a column for each query, as of now.
	list view = "table"
)

// plugin is Grafana's name of what draws the view.
func (v view) plugin() string {
	switch v {
	case lines, bars, areas:
		return "timeseries"
	case number, states, list:
	}
	return string(v)
}

// asOfNow says that the view asks for the present only.
func (v view) asOfNow() bool { return v == number || v == list }

type panel struct {
	title string
	// description says what is seen, and what to do about it.
	description string
	view        view
	// unit is Grafana's name of the unit.
	unit          string
	width, height uint32
	// most is the end of the axis; zero lets the data decide.
	most float64
	// signed values may be below zero.
	signed  bool
	queries []query
	// steps colour what is at or above their value.
	steps []step
	// below is the colour below the first step; green when empty.
	below string
	// words stand for the values 0, 1, and so on.
	words []word
	looks []look
	// none stands where there is no data; Grafana's own words when empty.
	none string
	// leads is where a click on a value leads.
	leads []link
	// by is the label whose values a list has lines for, and columns what it shows of each.
	by      string
	columns []column
}

// query is PromQL, and what its series are called.
type query struct{ legend, expr string }

type step struct {
	from  float64
	color string
}

type word struct{ text, color string }

// look changes how the series whose name matches the expression are drawn.
type look struct {
	series string
	color  string
	dashed bool
}

// column is PromQL that has one value for each line of a list.
type column struct {
	title string
	expr  string
	unit  string
	steps []step
	words []word
}

func (p panel) render() dashboard.Panel {
	rendered := dashboard.Panel{
		Type: p.view.plugin(), PluginVersion: new(pluginVersion), Title: new(p.title), Description: new(p.description),
		Datasource: source(), Targets: p.targets(), Options: p.options(), FieldConfig: p.fieldConfig(),
	}
	if p.view == list {
		rendered.Transformations = p.transformations()
	}
	return rendered
}

// refID is Grafana's name of a panel's query, from A on.
func refID(i int) string { return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i : i+1] }

func (p panel) targets() []variants.Dataquery {
	asked := p.queries
	format := prometheus.PromQueryFormatTimeSeries
	if p.view == list {
		format = prometheus.PromQueryFormatTable
		for _, c := range p.columns {
			asked = append(asked, query{c.title, c.expr})
		}
	}
	targets := make([]variants.Dataquery, len(asked))
	for i, q := range asked {
		// What is shown as one number is asked for as of now: the last value of a
		// range may be that of a process which is gone.
		targets[i] = prometheus.Dataquery{
			Datasource: source(), EditorMode: new(prometheus.QueryEditorModeCode), Expr: q.expr, Format: new(format),
			Instant: new(p.view.asOfNow()), Range: new(!p.view.asOfNow()), LegendFormat: new(q.legend), RefId: new(refID(i)),
		}
	}
	return targets
}

func (p panel) options() any {
	switch p.view {
	case number:
		// Colour where it says something: a number that cannot be wrong is not green.
		mode := common.BigValueColorModeNone
		if len(p.steps)+len(p.words) > 0 {
			mode = common.BigValueColorModeBackground
		}
		return stat.Options{
			ColorMode: mode, GraphMode: common.BigValueGraphModeNone, JustifyMode: common.BigValueJustifyModeAuto,
			Orientation: common.VizOrientationAuto, PercentChangeColorMode: common.PercentChangeColorModeStandard,
			ReduceOptions: common.ReduceDataOptions{Calcs: []string{"lastNotNull"}, Fields: new(""), Values: new(false)},
			TextMode:      p.textMode(), WideLayout: true,
		}
	case states:
		return statetimeline.Options{
			AlignValue: new(common.TimelineValueAlignmentLeft), MergeValues: new(true), RowHeight: 0.8, ShowValue: common.VisibilityModeAuto,
			Legend:  common.VizLegendOptions{DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: true, Calcs: []string{}},
			Tooltip: common.VizTooltipOptions{Mode: common.TooltipDisplayModeSingle, Sort: common.SortOrderNone},
		}
	case list:
		return table.Options{
			ShowHeader: true, CellHeight: new(common.TableCellHeightSm), SortBy: []common.TableSortByFieldState{{DisplayName: p.by, Desc: new(false)}},
		}
	case lines, bars, areas:
	}
	return timeseries.Options{
		Legend: common.VizLegendOptions{
			Calcs: []string{"lastNotNull", "max"}, DisplayMode: common.LegendDisplayModeTable, Placement: common.LegendPlacementBottom, ShowLegend: true,
		},
		Tooltip: common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending},
	}
}

// textMode of a number: which one it is stands beside it when the legend says so.
func (p panel) textMode() common.BigValueTextMode {
	if strings.HasPrefix(p.queries[0].legend, "{{") {
		return common.BigValueTextModeValueAndName
	}
	return common.BigValueTextModeValue
}

func (p panel) fieldConfig() *dashboard.FieldConfigSource {
	defaults := dashboard.FieldConfig{
		Color: &dashboard.FieldColor{Mode: p.colorMode()}, Custom: p.custom(), Mappings: mappings(p.words), Thresholds: thresholds(p.below, p.steps), Unit: new(p.unit),
	}
	if !p.signed {
		defaults.Min = new(0.0)
	}
	if p.most > 0 {
		defaults.Max = new(p.most)
	}
	if p.none != "" {
		defaults.NoValue = new(p.none)
	}
	overrides := []dashboard.DashboardFieldConfigSourceOverrides{}
	for _, l := range p.looks {
		overrides = append(overrides, l.override())
	}
	if p.view != list {
		for _, l := range p.leads {
			defaults.Links = append(defaults.Links, l.render(false))
		}
		return &dashboard.FieldConfigSource{Defaults: defaults, Overrides: overrides}
	}
	if len(p.leads) > 0 {
		var links []dashboard.DashboardLink
		for _, l := range p.leads {
			links = append(links, l.render(true))
		}
		overrides = append(overrides, override("byName", p.by, dashboard.DynamicConfigValue{Id: "links", Value: links}))
	}
	for _, c := range p.columns {
		overrides = append(overrides, c.override())
	}
	return &dashboard.FieldConfigSource{Defaults: defaults, Overrides: overrides}
}

func (p panel) colorMode() dashboard.FieldColorModeId {
	switch p.view {
	case number, states, list:
		return dashboard.FieldColorModeIdThresholds
	case lines, bars, areas:
	}
	return dashboard.FieldColorModeIdPaletteClassic
}

func (p panel) custom() any {
	graph := common.GraphFieldConfig{
		DrawStyle: new(common.GraphDrawStyleLine), FillOpacity: new(10.0), LineWidth: new(1.0),
		ShowPoints: new(common.VisibilityModeNever), SpanNulls: &common.BoolOrFloat64{Bool: new(false)},
		Stacking: &common.StackingConfig{Group: new("A"), Mode: new(common.StackingModeNone)},
	}
	switch p.view {
	case number:
		return map[string]any{} // a stat has none of its own
	case states:
		return statetimeline.FieldConfig{FillOpacity: new(uint32(70)), LineWidth: new(uint32(0))}
	case list:
		return table.FieldConfig{Align: common.FieldTextAlignmentAuto}
	case lines:
	case bars:
		graph.DrawStyle, graph.FillOpacity = new(common.GraphDrawStyleBars), new(80.0)
		graph.Stacking.Mode = new(common.StackingModeNormal)
	case areas:
		graph.FillOpacity = new(30.0)
		graph.Stacking.Mode = new(common.StackingModeNormal)
	}
	if len(p.steps) > 0 {
		graph.ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
	return graph
}

// transformations make one table of the answers of a list's queries.
func (p panel) transformations() []dashboard.DataTransformerConfig {
	names, order := map[string]string{}, map[string]int{p.by: 0}
	for i, c := range p.columns {
		names["Value #"+refID(i)] = c.title
		order["Value #"+refID(i)] = i + 1
	}
	return []dashboard.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}, "indexByName": order, "renameByName": names}},
	}
}

func (l look) override() dashboard.DashboardFieldConfigSourceOverrides {
	var properties []dashboard.DynamicConfigValue
	if l.color != "" {
		properties = append(properties, dashboard.DynamicConfigValue{
			Id: "color", Value: dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: new(l.color)},
		})
	}
	if l.dashed {
		properties = append(properties,
			dashboard.DynamicConfigValue{Id: "custom.lineStyle", Value: common.LineStyle{Fill: new(common.LineStyleFillDash), Dash: []float64{8, 8}}},
			dashboard.DynamicConfigValue{Id: "custom.fillOpacity", Value: 0})
	}
	return override("byRegexp", l.series, properties...)
}

func (c column) override() dashboard.DashboardFieldConfigSourceOverrides {
	properties := []dashboard.DynamicConfigValue{{Id: "unit", Value: c.unit}}
	if len(c.words) > 0 {
		properties = append(properties, dashboard.DynamicConfigValue{Id: "mappings", Value: mappings(c.words)})
	}
	if len(c.steps)+len(c.words) > 0 {
		properties = append(properties,
			dashboard.DynamicConfigValue{Id: "thresholds", Value: thresholds("", c.steps)},
			dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: common.TableColorTextCellOptions{Type: common.TableCellDisplayModeColorText}})
	}
	return override("byName", c.title, properties...)
}

func override(matcher, options string, properties ...dashboard.DynamicConfigValue) dashboard.DashboardFieldConfigSourceOverrides {
	return dashboard.DashboardFieldConfigSourceOverrides{Matcher: dashboard.MatcherConfig{Id: matcher, Options: options}, Properties: properties}
}

func thresholds(below string, steps []step) *dashboard.ThresholdsConfig {
	config := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{{Color: cmp.Or(below, green)}}}
	for _, s := range steps {
		config.Steps = append(config.Steps, dashboard.Threshold{Color: s.color, Value: new(s.from)})
	}
	return config
}

func mappings(words []word) []dashboard.ValueMapping {
	if len(words) == 0 {
		return nil
	}
	options := map[string]dashboard.ValueMappingResult{}
	for i, w := range words {
		options[fmt.Sprint(i)] = dashboard.ValueMappingResult{Color: new(w.color), Index: new(int32(i)), Text: new(w.text)}
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}}
}
