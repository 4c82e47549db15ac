package gen

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/ident"
)

//go:embed templates/client.ts
var clientSource string

// typescript is the types of what browsers and apps may send, and the client that
// sends it to the application's own collector.
func typescript(p *plan.Plan) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// %s\n\n", generatedFrom("the tracking plan of "+p.Name))
	b.WriteString(clientSource)
	var methods bytes.Buffer
	for _, e := range current(p) {
		if !e.From(plan.Client) || !p.Latest(e) {
			continue
		}
		writeInterface(&b, e)
		writeMethod(&methods, e)
	}
	b.WriteString("\n/** One method for every event that a client may send. */\nexport class Events extends Sender {")
	b.Write(methods.Bytes())
	b.WriteString("}\n")
	return b.Bytes()
}

func writeInterface(b *bytes.Buffer, e plan.Event) {
	fmt.Fprintf(b, "\n/** %s */\nexport interface %s {\n", jsdoc(e.Description), ident.Pascal(e.Name))
	for _, p := range e.Properties {
		optional := "?"
		if p.Required {
			optional = ""
		}
		if p.Description != "" {
			fmt.Fprintf(b, "  /** %s */\n", jsdoc(p.Description))
		}
		fmt.Fprintf(b, "  %s%s: %s;\n", p.Name, optional, tsType(p))
	}
	b.WriteString("}\n")
}

func writeMethod(b *bytes.Buffer, e plan.Event) {
	parameter, argument := "properties: "+ident.Pascal(e.Name), "properties"
	if len(e.Required()) == 0 {
		parameter += " = {}"
	}
	fmt.Fprintf(b, "\n  /** %s */\n", jsdoc(e.Description))
	if len(e.Platforms) > 0 {
		b.Truncate(b.Len() - len(" */\n"))
		fmt.Fprintf(b, " From %s. */\n", join(e.Platforms, "and"))
	}
	fmt.Fprintf(b, "  %s(%s): Promise<boolean> {\n    return this.send(%s, %s, %s);\n  }\n",
		ident.Camel(e.Name), parameter, quoted(e.WireName()), quoted(e.Version.String()), argument)
}

func tsType(p plan.Property) string {
	if p.Enum != nil {
		var values []string
		for _, v := range p.Enum.Values {
			values = append(values, quoted(v))
		}
		return strings.Join(values, " | ")
	}
	switch p.Type {
	case plan.Integer, plan.Number:
		return "number"
	case plan.Boolean:
		return "boolean"
	case plan.List:
		return "string[]"
	default:
		return "string"
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

func jsdoc(s string) string { return strings.ReplaceAll(sentence(s), "*/", "* /") }
