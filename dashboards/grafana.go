package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const (
	// schemaVersion is that of Grafana 11.6 and 12.0; later ones migrate it.
	schemaVersion = 41
	pluginVersion = "11.6.0"

	// gridWidth is how many columns Grafana's grid has.
	gridWidth = 24

	sharedTooltip = 2 // graphTooltip: hovering one graph shows all of them at that time
)

// object is a JSON object. Its names are written in alphabetical order, as
// Grafana's own export writes them, so that the two can be compared.
type object = map[string]any

// dashboard is a file for Grafana's import.
type dashboard struct {
	file        string
	uid         string
	title       string
	description string
	rows        []row
}

// row is a titled group of panels, laid out from left to right.
type row struct {
	title  string
	panels []panel
}

// view is the way a panel draws.
type view string

const (
	// lines are values over time.
	lines view = "timeseries"
	// bars are amounts over time, one on top of the other.
	bars view = "bars"
	// areas are the parts of a whole over time, one on top of the other.
	areas view = "areas"
	// number is one value as it is now: nothing rather than an old one.
	number view = "stat"
	// states is a lane for each series that shows when it was what.
	states view = "state-timeline"
)

type panel struct {
	title string
	// description says what is seen, and what to do about it.
	description string
	view        view
	// unit is Grafana's name of the unit.
	unit          string
	width, height int
	// most is the end of the axis; zero lets the data decide.
	most    float64
	queries []query
	// steps colour what is at or above their value; below the first is green.
	steps []step
	// words stand for the values 0, 1, and so on.
	words []word
	looks []look
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

// render returns the dashboard as JSON.
func (d dashboard) render() ([]byte, error) {
	model := object{
		"annotations": object{"list": []object{{
			"builtIn": 1, "datasource": object{"type": "grafana", "uid": "-- Grafana --"}, "enable": true, "hide": true,
			"iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
		}}},
		"description":   d.description,
		"editable":      true,
		"graphTooltip":  sharedTooltip,
		"id":            nil,
		"links":         []object{},
		"panels":        layOut(d.rows),
		"refresh":       "10s",
		"schemaVersion": schemaVersion,
		"tags":          []string{"millrace"},
		"templating":    object{"list": []object{datasourceVariable(), queueVariable()}},
		"time":          object{"from": "now-1h", "to": "now"},
		"timepicker":    object{},
		"timezone":      "browser",
		"title":         d.title,
		"uid":           d.uid,
		"version":       1,
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(model); err != nil {
		return nil, fmt.Errorf("encode the dashboard: %w", err)
	}
	return text.Bytes(), nil
}

// layOut gives panels their ids and places.
func layOut(rows []row) []object {
	var panels []object
	y := 0
	for _, r := range rows {
		panels = append(panels, object{
			"collapsed": false, "gridPos": place(0, y, gridWidth, 1), "id": len(panels) + 1, "panels": []object{}, "title": r.title, "type": "row",
		})
		y++
		x, height := 0, 0
		for _, p := range r.panels {
			if x+p.width > gridWidth {
				x, y, height = 0, y+height, 0
			}
			rendered := p.render()
			rendered["id"], rendered["gridPos"] = len(panels)+1, place(x, y, p.width, p.height)
			panels = append(panels, rendered)
			x, height = x+p.width, max(height, p.height)
		}
		y += height
	}
	return panels
}

func place(x, y, width, height int) object { return object{"x": x, "y": y, "w": width, "h": height} }

func datasource() object { return object{"type": "prometheus", "uid": "${datasource}"} }

func datasourceVariable() object {
	return object{
		"current": object{"text": "", "value": ""}, "hide": 0, "includeAll": false, "label": "Data source", "multi": false, "name": "datasource",
		"options": []object{}, "query": "prometheus", "refresh": 1, "regex": "", "type": "datasource",
	}
}

func queueVariable() object {
	const values = "label_values(millrace_queue_jobs, queue)"
	return object{
		// Not Grafana's list of the values: that is empty while no process leads.
		"allValue":   ".+",
		"current":    object{"text": []string{"All"}, "value": []string{"$__all"}},
		"datasource": datasource(), "definition": values, "hide": 0, "includeAll": true, "label": "Queue", "multi": true,
		"name": "queue", "options": []object{},
		"query":   object{"qryType": 1, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
		"refresh": 2, "regex": "", "sort": 1, "type": "query",
	}
}

func (p panel) render() object {
	kind := p.view
	if kind == bars || kind == areas {
		kind = lines
	}
	return object{
		"datasource": datasource(), "description": p.description, "fieldConfig": p.fieldConfig(), "options": p.options(),
		"pluginVersion": pluginVersion, "targets": p.targets(), "title": p.title, "type": string(kind),
	}
}

func (p panel) targets() []object {
	targets := make([]object, len(p.queries))
	for i, q := range p.queries {
		// What is shown as one number is asked for as of now: the last value of a
		// range may be that of a process which is gone.
		now := p.view == number
		targets[i] = object{
			"datasource": datasource(), "editorMode": "code", "expr": q.expr, "instant": now, "legendFormat": q.legend, "range": !now,
			"refId": string(rune('A' + i)),
		}
	}
	return targets
}

func (p panel) options() object {
	legend := object{"calcs": []string{"lastNotNull", "max"}, "displayMode": "table", "placement": "bottom", "showLegend": true}
	switch p.view {
	case number:
		return object{
			"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
			"textMode":      "value", "wideLayout": true,
		}
	case states:
		return object{
			"alignValue": "left", "legend": object{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"mergeValues": true, "rowHeight": 0.8, "showValue": "auto", "tooltip": object{"mode": "single", "sort": "none"},
		}
	case lines, bars, areas:
	}
	return object{"legend": legend, "tooltip": object{"mode": "multi", "sort": "desc"}}
}

func (p panel) fieldConfig() object {
	steps := []object{{"color": "green", "value": nil}}
	for _, s := range p.steps {
		steps = append(steps, object{"color": s.color, "value": s.from})
	}
	defaults := object{
		"color": object{"mode": p.colorMode()}, "custom": p.custom(), "mappings": p.mappings(), "min": 0,
		"thresholds": object{"mode": "absolute", "steps": steps}, "unit": p.unit,
	}
	if p.most > 0 {
		defaults["max"] = p.most
	}
	overrides := []object{}
	for _, l := range p.looks {
		var properties []object
		if l.color != "" {
			properties = append(properties, object{"id": "color", "value": object{"fixedColor": l.color, "mode": "fixed"}})
		}
		if l.dashed {
			properties = append(properties,
				object{"id": "custom.lineStyle", "value": object{"dash": []int{8, 8}, "fill": "dash"}},
				object{"id": "custom.fillOpacity", "value": 0})
		}
		overrides = append(overrides, object{"matcher": object{"id": "byRegexp", "options": l.series}, "properties": properties})
	}
	return object{"defaults": defaults, "overrides": overrides}
}

func (p panel) colorMode() string {
	if p.view == number || p.view == states {
		return "thresholds"
	}
	return "palette-classic"
}

func (p panel) custom() object {
	custom := object{}
	switch p.view {
	case number:
		return custom
	case states:
		return object{"fillOpacity": 70, "lineWidth": 0}
	case lines:
		custom = object{"drawStyle": "line", "fillOpacity": 10, "stacking": object{"group": "A", "mode": "none"}}
	case bars:
		custom = object{"drawStyle": "bars", "fillOpacity": 80, "stacking": object{"group": "A", "mode": "normal"}}
	case areas:
		custom = object{"drawStyle": "line", "fillOpacity": 30, "stacking": object{"group": "A", "mode": "normal"}}
	}
	custom["lineWidth"], custom["showPoints"], custom["spanNulls"] = 1, "never", false
	if len(p.steps) > 0 {
		custom["thresholdsStyle"] = object{"mode": "dashed"}
	}
	return custom
}

func (p panel) mappings() []object {
	if len(p.words) == 0 {
		return []object{}
	}
	options := object{}
	for i, w := range p.words {
		options[fmt.Sprint(i)] = object{"color": w.color, "index": i, "text": w.text}
	}
	return []object{{"options": options, "type": "value"}}
}
