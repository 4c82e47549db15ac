package gen

import (
	"bytes"
	"encoding/csv"
	"strings"

	"waybill/internal/plan"
)

// csvColumns are those of events and event properties in Amplitude Data:
// https://amplitude.com/docs/data/csv-import-export
var csvColumns = []string{
	"Object Type", "Object Name", "Event Display Name", "Object Owner", "Object Description", "Event Category",
	"Event Tags", "Event Schema Status", "Event Activity", "Property Type", "Property Group Names", "Event Property Name",
	"Property Description", "Property Value Type", "Property Required", "Property Is Array", "Enum Values",
}

// amplitudeCSV is the events as Amplitude Data imports them: a row an event, then a
// row for each of its properties. User properties are imported on a page of their
// own there, and group properties not at all.
func amplitudeCSV(p *plan.Plan) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	write := func(cells map[string]string) {
		row := make([]string, len(csvColumns))
		for i, column := range csvColumns {
			row[i] = cells[column]
		}
		_ = w.Write(row) // to memory
	}
	_ = w.Write(csvColumns)
	for _, e := range current(p) {
		if !p.Latest(e) {
			continue
		}
		write(map[string]string{
			"Object Type": "Event", "Object Name": e.WireName(), "Object Owner": e.Owner,
			"Object Description": sentence(e.Description), "Event Category": e.Category,
			"Event Tags": string(e.Status), "Event Schema Status": schemaStatus(e.Status),
		})
		for _, property := range e.Properties {
			if property.Send {
				cells := propertyCells(property)
				cells["Object Name"] = e.WireName()
				write(cells)
			}
		}
	}
	w.Flush()
	return b.Bytes()
}

func schemaStatus(s plan.Status) string {
	switch s {
	case plan.Live, plan.Deprecated:
		return "LIVE"
	default:
		return "PLANNED"
	}
}

func propertyCells(p plan.Property) map[string]string {
	cells := map[string]string{
		"Object Type": "Event Property", "Property Type": "Event Property", "Event Property Name": p.Name,
		"Property Description": sentence(p.Description), "Property Value Type": amplitudeType(p),
		"Property Required": "FALSE", "Property Is Array": "FALSE",
	}
	if p.Required {
		cells["Property Required"] = "TRUE"
	}
	if p.Type == plan.List {
		cells["Property Is Array"] = "TRUE"
	}
	if p.Enum != nil {
		cells["Enum Values"] = strings.Join(p.Enum.Values, ", ")
	}
	return cells
}

func amplitudeType(p plan.Property) string {
	switch {
	case p.Enum != nil:
		return "enum"
	case p.Type == plan.Integer || p.Type == plan.Number:
		return "number"
	case p.Type == plan.Boolean:
		return "boolean"
	default:
		return "string"
	}
}
