// Package grafana writes the dashboards of examples/grafana: for each of both engines
// the same ones, out of one description.
//
// Nothing comes in; JSON goes out that Grafana imports. The package never talks to
// Grafana, nor to a database.
package grafana

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
)

// Engines are those whose databases dashboards ask: also the names of the folders.
var Engines = []string{"postgresql", "sqlite"}

// dashboard is a page of panels.
type dashboard struct {
	name   string // of the file, and the end of its uid
	title  string
	panels []panel
}

// panel shows what a statement finds.
type panel struct {
	title  string
	about  string // what it shows, for who asks
	kind   kind
	width  int // of 24
	height int
	// sql is a template: what differs between the engines are its functions.
	sql   string
	units map[string]string // of columns, in Grafana's names: bytes, s
	times []string          // columns that are times, besides that of a series
}

type kind int

const (
	number kind = iota // one value, large
	series             // values by time; the columns are time, metric (or none) and value
	rows               // a table
	bars               // a name and a value for each bar
)

// Files returns the dashboards by their paths below examples/grafana.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, engine := range Engines {
		for i := range dashboards {
			d := &dashboards[i]
			body, err := d.json(engine)
			if err != nil {
				return nil, fmt.Errorf("dashboard %s: %w", d.name, err)
			}
			files[filepath.Join(engine, d.name+".json")] = body
		}
	}
	return files, nil
}

// object keeps the order of keys by their names, so that the same description gives
// the same bytes.
type object = map[string]any

func (d *dashboard) json(engine string) ([]byte, error) {
	source := object{"type": plugins[engine], "uid": "${datasource}"}
	var list []any
	x, y, row := 0, 0, 0
	for i, p := range d.panels {
		if x+p.width > 24 {
			x, y, row = 0, y+row, 0
		}
		sql, err := p.statement(engine)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.title, err)
		}
		made := p.object(source, target(engine, p, sql))
		made["id"] = i + 1
		made["gridPos"] = object{"x": x, "y": y, "w": p.width, "h": p.height}
		list = append(list, made)
		x, row = x+p.width, max(row, p.height)
	}
	out := object{
		"title": "midden: " + d.title, "uid": "midden-" + engine + "-" + d.name, "tags": []string{"midden", "cowrie"},
		"schemaVersion": 39, "version": 1, "editable": true, "timezone": "utc", "graphTooltip": 1,
		"time":        object{"from": "now-30d", "to": "now"},
		"annotations": object{"list": []any{}},
		"links": []any{object{"type": "dashboards", "tags": []string{"midden"}, "title": "midden", "asDropdown": false,
			"includeVars": true, "keepTime": true, "icon": "external link"}},
		"panels": list,
		"templating": object{"list": []any{
			object{"type": "datasource", "name": "datasource", "label": "Database", "query": plugins[engine], "refresh": 1, "hide": 0},
			object{"type": "query", "name": "sensor", "label": "Sensor", "datasource": source, "query": sensors, "definition": sensors,
				"refresh": 1, "sort": 1, "multi": true, "includeAll": true, "hide": 0,
				"current": object{"text": []string{"All"}, "value": []string{"$__all"}}},
		}},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// plugins are Grafana's names of the data sources.
var plugins = map[string]string{"postgresql": "grafana-postgresql-datasource", "sqlite": "frser-sqlite-datasource"}

// sensors lists what the variable of that name offers.
const sensors = `SELECT DISTINCT sensor FROM sensor_days ORDER BY sensor`

// target is the question of a panel as the data source takes it.
func target(engine string, p panel, sql string) object {
	form := map[kind]string{series: "time_series"}[p.kind]
	if form == "" {
		form = "table"
	}
	if engine == "postgresql" {
		return object{"refId": "A", "format": form, "rawQuery": true, "editorMode": "code", "rawSql": sql}
	}
	times := append([]string{"time"}, p.times...)
	return object{"refId": "A", "queryType": strings.ReplaceAll(form, "_", " "), "rawQueryText": sql, "queryText": sql, "timeColumns": times}
}

func (p panel) object(source, question object) object {
	question["datasource"] = source
	out := object{"title": p.title, "description": p.about, "datasource": source, "targets": []any{question}}
	defaults := object{"noValue": "0"}
	var overrides []any
	switch p.kind {
	case number:
		out["type"] = "stat"
		out["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}, "values": false}, "colorMode": "none", "graphMode": "none"}
	case series:
		out["type"] = "timeseries"
		out["interval"] = "1h" // no column is narrower
		out["options"] = object{"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": object{"mode": "multi", "sort": "desc"}}
		defaults["custom"] = object{"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": object{"mode": "normal", "group": "A"}}
		defaults["displayName"] = "${__field.labels.metric}"
		if !strings.Contains(p.sql, "AS metric") {
			delete(defaults, "displayName")
		}
	case bars:
		out["type"] = "barchart"
		out["options"] = object{"orientation": "horizontal", "showValue": "auto", "legend": object{"showLegend": false}, "xTickLabelMaxLength": 40}
	case rows:
		out["type"] = "table"
		out["options"] = object{"showHeader": true, "cellHeight": "sm"}
		defaults["noValue"] = "–"
		defaults["custom"] = object{"filterable": true}
	}
	for _, column := range sortedKeys(p.units) {
		overrides = append(overrides, object{"matcher": object{"id": "byName", "options": column},
			"properties": []any{object{"id": "unit", "value": p.units[column]}}})
	}
	if overrides == nil {
		overrides = []any{}
	}
	out["fieldConfig"] = object{"defaults": defaults, "overrides": overrides}
	return out
}

// statement fills in what the engine has otherwise.
func (p panel) statement(engine string) (string, error) {
	t, err := template.New(p.title).Funcs(dialects[engine]).Parse(p.sql)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}
