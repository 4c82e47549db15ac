package lint

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/plan"
)

func owners(r *run) {
	for _, o := range r.Plan.Owners {
		if r.CodeOwners != "" && !strings.Contains(r.CodeOwners, o.Name) {
			r.report(o.Pos, "add it there, or remove it here", "owner %q is not in CODEOWNERS", o.Name)
		}
	}
	for _, e := range r.current() {
		if !slices.ContainsFunc(r.Plan.Owners, func(o plan.Named) bool { return o.Name == e.Owner }) {
			r.against(e, e.Pos, "list it under owners: in plan.yaml, or name one that is", "owner %q of %s is unknown", e.Owner, e.Name)
		}
	}
}

const minDescription = 15

func descriptions(r *run) {
	for _, e := range r.current() {
		if utf8.RuneCountInString(e.Description) < minDescription {
			r.against(e, e.Pos, "say in a sentence who did what", "the description of %s is shorter than %d characters", e.Name, minDescription)
		}
	}
	r.everyProperty(func(e plan.Event, p plan.Property) {
		if p.Description == "" {
			r.against(e, p.Pos, "add description:", "%s has no description", p.Name)
		}
	})
}

func categories(r *run) {
	for _, e := range r.current() {
		if _, ok := r.category(e); !ok {
			r.against(e, e.Pos, "list it under categories: in plan.yaml, or use one that is", "category %q of %s is unknown", e.Category, e.Name)
		}
	}
}

func (r *run) category(e plan.Event) (plan.Category, bool) {
	i := slices.IndexFunc(r.Plan.Categories, func(c plan.Category) bool { return c.Name == e.Category })
	if i < 0 {
		return plan.Category{}, false
	}
	return r.Plan.Categories[i], true
}

func categorySources(r *run) {
	for _, e := range r.current() {
		if c, ok := r.category(e); ok && c.ServerOnly && e.From(plan.Client) {
			r.against(e, e.Pos, "set sources: [server] and send it where the row is written",
				"%s is of category %s, and a client may report it", e.Name, c.Name)
		}
	}
}

// clientPlatforms are where a client can be.
var clientPlatforms = []string{"web", "ios", "android"}

func platforms(r *run) {
	for _, e := range r.current() {
		if len(e.Platforms) > 0 && !e.From(plan.Client) {
			r.against(e, e.Pos, "remove platforms, or add the source client", "%s has platforms and no client sends it", e.Name)
		}
		for _, p := range e.Platforms {
			if !slices.Contains(clientPlatforms, p) {
				r.against(e, e.Pos, "use "+strings.Join(clientPlatforms, ", "), "platform %q of %s is unknown", p, e.Name)
			}
		}
	}
}

func wireAt(r *run) {
	for _, e := range r.current() {
		if e.Status == plan.Ready && e.WireAt == "" {
			r.against(e, e.Pos, "add wire_at: and the place", "%s is ready and does not say where it is to be called", e.Name)
		}
	}
}

// keyTypes have one spelling per value.
var keyTypes = []plan.Type{plan.String, plan.ID, plan.Integer, plan.Timestamp}

func actionKeys(r *run) {
	for _, e := range r.current() {
		if len(e.ActionKey) == 0 && e.From(plan.Server) {
			r.report(e.Pos, "add action_key: and the required properties that name one action, such as [order_id]", "%s has no action key", e.Name)
		}
		seen := map[string]bool{}
		for _, part := range e.ActionKey {
			if seen[part] {
				r.report(e.Pos, "name it once", "the action key of %s has %s twice", e.Name, part)
			}
			seen[part] = true
			r.actionKeyPart(e, part)
		}
	}
}

func (r *run) actionKeyPart(e plan.Event, part string) {
	inScope := slices.ContainsFunc(r.Plan.Chain(e.GroupLevel), func(g plan.Group) bool { return g.Type == part })
	p, ok := e.Property(part)
	switch {
	case !ok && inScope:
	case !ok:
		r.report(e.Pos, "use a required property, or a group type the event happens in", "the action key of %s names %s, which it has not", e.Name, part)
	case !p.Required:
		r.report(p.Pos, "set required: true; without it two actions would share a key", "%s is in the action key of %s and may be missing", part, e.Name)
	case !slices.Contains(keyTypes, p.Type):
		r.report(p.Pos, "use a string, id, integer or timestamp", "%s is in the action key of %s and of type %s", part, e.Name, p.Type)
	}
}

func strictClients(r *run) {
	for _, e := range r.current() {
		if e.Delivery == plan.Strict && !e.From(plan.Server) {
			r.against(e, e.Pos, "set delivery: best_effort", "%s is strict and only clients send it, whom no transaction binds", e.Name)
		}
	}
}

func sampling(r *run) {
	for _, e := range r.current() {
		switch {
		case e.SampleRate <= 0 || e.SampleRate > 1:
			r.against(e, e.Pos, "use a share above 0, up to 1", "sample_rate %v of %s makes no sense", e.SampleRate, e.Name)
		case e.SampleRate < 1 && e.Delivery == plan.Strict:
			r.against(e, e.Pos, "set delivery: best_effort, or send all", "%s is strict and sampled", e.Name)
		case e.SampleRate < 1 && e.Reconcile:
			r.against(e, e.Pos, "send all, or do not reconcile it", "%s is reconciled and sampled: its gap would say nothing", e.Name)
		}
	}
}

func revenue(r *run) {
	for _, e := range r.current() {
		if e.Revenue == nil {
			continue
		}
		amount, okAmount := e.Property(e.Revenue.Amount)
		currency, okCurrency := e.Property(e.Revenue.Currency)
		if !okAmount || !amount.Required || amount.Type != plan.Number {
			r.against(e, e.Revenue.Pos, "name a required property of type number, in major units", "the revenue amount %s of %s will not do", e.Revenue.Amount, e.Name)
		}
		if !okCurrency || !currency.Required || currency.Type != plan.String {
			r.against(e, e.Revenue.Pos, "name a required property of type string, ISO 4217", "the revenue currency %s of %s will not do", e.Revenue.Currency, e.Name)
		}
	}
}

func expired(r *run) {
	for _, e := range r.current() {
		if e.Expires == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, e.Expires)
		if err != nil {
			r.against(e, e.Pos, "write YYYY-MM-DD", "expires %q of %s is no date", e.Expires, e.Name)
			continue
		}
		if !r.Now.Before(day.AddDate(0, 0, 1)) {
			r.against(e, e.Pos, "remove the event, or give it more time", "%s expired on %s", e.Name, e.Expires)
		}
	}
}

func replacedBy(r *run) {
	for _, e := range r.Plan.Events {
		if e.ReplacedBy == "" {
			continue
		}
		if !slices.ContainsFunc(r.current(), func(o plan.Event) bool { return o.Name == e.ReplacedBy }) {
			r.against(e, e.Pos, "name an event of the plan", "%s is replaced by %s, which is not there", e.Name, e.ReplacedBy)
		}
	}
}
