package plan

import (
	"slices"
	"strings"
)

// deniedNames is what people write, who they are and what opens their doors.
var deniedNames = []string{
	"api_key", "authorization", "content", "credit_card", "first_name", "full_name", "ip", "last_name", "location",
	"name", "ssn", "subject", "value",
}

// deniedEndings are denied as a last word too: a search_query is a query.
var deniedEndings = []string{
	"address", "body", "cookie", "email", "iban", "lat", "latitude", "lng", "longitude", "message", "password", "phone",
	"prompt", "query", "secret", "text", "title", "token",
}

// DeniedNames are the names of properties that are never sent as text, the plan's own
// last.
func (p *Plan) DeniedNames() []string { return slices.Concat(deniedNames, p.Deny) }

// DeniedEndings are last words of such names.
func (p *Plan) DeniedEndings() []string { return slices.Clone(deniedEndings) }

// Denies says whether a name is one of them.
func (p *Plan) Denies(name string) bool {
	last := name[strings.LastIndex(name, "_")+1:]
	return slices.Contains(deniedNames, name) || slices.Contains(p.Deny, name) || slices.Contains(deniedEndings, last)
}
