package waybill

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"waybill/internal/bundle"
)

// draft is one event on its way: what the caller gave, and either the bundle
// made of it or what speaks against it.
type draft struct {
	event  Event
	groups []Group // the event's own, in place of the actor's; nil for none
	lone   bool    // traits and groups alone, without an event

	bestEffort bool // by its definition
	payload    []byte
	cleaned    bundle.Cleaned
	refusals   []bundle.Refusal
}

func (d *draft) refuse(field, problem string) {
	d.refusals = append(d.refusals, bundle.Refusal{Field: field, Problem: problem})
}

// read turns what is to be tracked into drafts. A type of the caller's that
// panics spoils its own event only.
func read(events []Trackable) []draft {
	drafts := make([]draft, len(events))
	for i, e := range events {
		if err := drafts[i].read(e); err != nil {
			drafts[i].refuse("event", err.Error())
		}
	}
	return drafts
}

func (d *draft) read(e Trackable) (err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("panics in a method of a %T; mend it", e)
		}
	}()
	if e == nil {
		return errors.New("is nil; pass an Event")
	}
	if class, ok := e.(interface{ BestEffort() bool }); ok {
		d.bestEffort = class.BestEffort()
	}
	d.event = e.AsEvent()
	if placed, ok := e.(interface{ Groups() []Group }); ok {
		d.groups = placed.Groups()
	}
	if checked, ok := e.(interface{ Validate() error }); ok {
		return checked.Validate()
	}
	return nil
}

// assemble makes the bundles of one call. It does no I/O.
func assemble(actor Actor, trace map[string]string, drafts []draft, now time.Time) {
	common := commonPart(actor)
	common.bundle.Trace = trace
	for i := range drafts {
		if len(drafts[i].refusals) > 0 {
			continue
		}
		drafts[i].assemble(common, i == 0, now)
	}
}

// common is what the bundles of a call share.
type common struct {
	bundle   bundle.Bundle
	cleaned  bundle.Cleaned
	refusals []bundle.Refusal
}

func (d *draft) assemble(shared common, first bool, now time.Time) {
	b := shared.bundle
	d.cleaned = shared.cleaned
	d.refusals = slices.Clone(shared.refusals)
	if !first {
		b.Increment = nil
	}
	if d.groups != nil {
		var own common
		own.groups(d.groups)
		b.Groups = own.bundle.Groups
		d.cleaned.Add(own.cleaned)
		d.refusals = append(d.refusals, own.refusals...)
	}
	b.Key = d.event.Key
	if at := d.event.OccurredAt; !at.IsZero() {
		b.OccurredAt = at.UTC().Truncate(time.Microsecond)
	}
	if !d.lone {
		b.Track = d.track()
	}
	d.refusals = append(d.refusals, b.Refusals(now)...)
	if len(d.refusals) > 0 {
		return
	}
	payload, err := b.AppendJSON(nil)
	switch {
	case err != nil:
		d.add("", err)
	case bundle.StoredBytes(payload) > bundle.MaxBytes:
		d.refuse("bundle", "is larger than 256 KB; send less")
	default:
		d.payload = payload
	}
}

func (d *draft) track() *bundle.Track {
	e := d.event
	t := &bundle.Track{Event: e.Name, Version: e.Version, Properties: d.properties()}
	if e.Revenue != (Revenue{}) {
		t.Revenue = &bundle.Revenue{
			Amount:   json.Number(strconv.FormatFloat(e.Revenue.Amount, 'f', -1, 64)),
			Currency: e.Revenue.Currency,
		}
	}
	return t
}

// properties encodes them in one go; only if that fails it looks for the ones to
// blame.
func (d *draft) properties() json.RawMessage {
	const field = "track.properties"
	if len(d.event.Properties) == 0 {
		return nil
	}
	raw, cleaned, err := bundle.Value(map[string]any(d.event.Properties))
	if err == nil {
		d.cleaned.Add(cleaned)
		return raw
	}
	before := len(d.refusals)
	for _, name := range slices.Sorted(maps.Keys(d.event.Properties)) {
		if _, _, err := bundle.Value(d.event.Properties[name]); err != nil {
			d.add(bundle.Member(field, name), err)
		}
	}
	if len(d.refusals) == before {
		d.add(field, err)
	}
	return nil
}

// add adds an error of package bundle, seen from field.
func (d *draft) add(field string, err error) {
	d.refusals = append(d.refusals, refusal(field, err))
}

func refusal(field string, err error) bundle.Refusal {
	var r bundle.Refusal
	if errors.As(err, &r) {
		return r.In(field)
	}
	return bundle.Refusal{Field: field, Problem: err.Error()}
}

// commonPart turns an actor into the part that all bundles of a call share.
func commonPart(a Actor) common {
	c := common{bundle: bundle.Bundle{UserID: a.userID, DeviceID: a.deviceID}}
	if a.kind == noActor {
		c.refuse("actor", "is nobody; start with waybill.User, Device or System")
		c.bundle.UserID = "nobody" // one refusal is enough
	}
	c.traits(a.traits)
	c.groups(a.groups)
	c.context(a.context)
	return c
}

func (c *common) refuse(field, problem string) {
	c.refusals = append(c.refusals, bundle.Refusal{Field: field, Problem: problem})
}

func (c *common) traits(traits []Trait) {
	var id bundle.Identify
	for _, t := range traits {
		if t == nil {
			c.refuse("identify", "holds a nil trait; use Set, SetOnce, Unset or Increment")
			continue
		}
		switch ch := t.change(); ch.op {
		case opSet:
			c.set("identify.set", &id.Set, ch)
		case opSetOnce:
			c.set("identify.set_once", &id.SetOnce, ch)
		case opUnset:
			id.Unset = append(id.Unset, ch.name)
		case opIncrement:
			c.increment(ch)
		}
	}
	if id.Set != nil || id.SetOnce != nil || id.Unset != nil {
		c.bundle.Identify = &id
	}
}

func (c *common) set(field string, into *bundle.Values, ch change) {
	raw, cleaned, err := bundle.Value(ch.value)
	if err != nil {
		c.refusals = append(c.refusals, refusal(bundle.Member(field, ch.name), err))
		return
	}
	c.cleaned.Add(cleaned)
	into.Set(ch.name, raw)
}

func (c *common) increment(ch change) {
	if _, twice := c.bundle.Increment[ch.name]; twice {
		c.refuse(bundle.Member("increment", ch.name), "stands twice; add the two up")
		return
	}
	if c.bundle.Increment == nil {
		c.bundle.Increment = make(map[string]json.Number)
	}
	c.bundle.Increment[ch.name] = json.Number(ch.delta)
}

func (c *common) groups(groups []Group) {
	parent := ""
	for i, g := range groups {
		if g.placed {
			parent = g.parent
		}
		out := bundle.Group{Type: g.groupType, ID: g.id, Parent: parent}
		for _, t := range g.traits {
			c.set(fmt.Sprintf("groups[%d].set", i), &out.Set, t.change())
		}
		c.bundle.Groups = append(c.bundle.Groups, out)
		parent = g.id
	}
}

func (c *common) context(given Context) {
	c.bundle.Source = string(given.Source)
	if given.Source == "" {
		c.bundle.Source = string(SourceServer)
	}
	given.Source = ""
	if given == (Context{}) {
		return
	}
	out := &bundle.Context{
		Platform:   c.text(given.Platform),
		AppVersion: c.text(given.AppVersion),
		SessionID:  given.SessionID,
		Language:   c.text(given.Language),
	}
	if given.IP.IsValid() {
		out.IP = given.IP.Unmap().WithZone("").String()
	}
	c.bundle.Context = out
}

// text mends a string that often comes straight from a request.
func (c *common) text(s string) string {
	raw, cleaned, err := bundle.Value(s)
	if err != nil || cleaned == (bundle.Cleaned{}) {
		return s
	}
	c.cleaned.Add(cleaned)
	var mended string
	_ = json.Unmarshal(raw, &mended)
	return mended
}
