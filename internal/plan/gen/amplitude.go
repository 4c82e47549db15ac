package gen

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"

	"waybill/internal/plan"
)

// csvColumns are those of events and event properties in Amplitude Data, all of which
// the header must have, in any order and in this spelling:
// https://amplitude.com/docs/data/csv-import-export
var csvColumns = []string{
	"Action", "Object type", "Object name", "Object description", "Event display name", "Event category",
	"Event activity", "Event source", "Tags", "Property type", "Property group names", "Event property name",
	"Property description", "Property value type", "Property required", "Property is array", "Array min items",
	"Array max items", "Array unique items", "Const value", "Enum values", "Number is integer",
	"Number property value min", "Number property value max", "Property regex", "String property value min length",
	"String property value max length",
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
			"Object type": "Event", "Object name": e.WireName(), "Object description": sentence(e.Description),
			"Event category": e.Category, "Event activity": "Active", "Tags": string(e.Status) + "," + e.Owner,
		})
		for _, property := range e.Properties {
			if property.Send {
				write(propertyCells(property, e.WireName()))
			}
		}
	}
	w.Flush()
	return b.Bytes()
}

func propertyCells(p plan.Property, event string) map[string]string {
	cells := map[string]string{
		"Object name": event, "Property type": "Event Property", "Event property name": p.Name,
		"Property description": sentence(p.Description), "Property value type": amplitudeType(p),
		"Property required": csvBool(p.Required), "Property is array": csvBool(p.Type == plan.List),
	}
	switch {
	case p.Enum != nil:
		cells["Enum values"] = strings.Join(p.Enum.Values, ",")
	case p.PII == plan.HashedID:
		cells["Property regex"] = hashedForm
	case p.Type == plan.Integer, p.Type == plan.Number:
		cells["Number is integer"] = csvBool(p.Type == plan.Integer)
		cells["Number property value min"], cells["Number property value max"] = csvLimit(p.Min), csvLimit(p.Max)
	case p.Type == plan.List:
		cells["Array max items"] = strconv.Itoa(p.MaxItems)
	case p.Type == plan.String, p.Type == plan.ID:
		cells["String property value max length"] = strconv.Itoa(p.MaxLength)
	}
	return cells
}

func csvBool(yes bool) string {
	if yes {
		return "True"
	}
	return "False"
}

func csvLimit(limit *float64) string {
	if limit == nil {
		return ""
	}
	return strconv.FormatFloat(*limit, 'f', -1, 64)
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
