package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"waybill/internal/bundle"
)

// bundleFlags are the flags that describe one bundle.
type bundleFlags struct {
	set *pflag.FlagSet

	event, user, device, key     string
	props, texts                 []string
	traits, traitsOnce, untraits []string
	increments, groups           []string
	at, revenue, revenueCurrency string
}

// flags defines the flags once.
func (f *bundleFlags) flags() *pflag.FlagSet {
	if f.set != nil {
		return f.set
	}
	f.set = pflag.NewFlagSet("bundle", pflag.ContinueOnError)
	f.set.SortFlags = false
	f.set.StringVar(&f.key, "key", "", "the `ACTION` key: one key is one bundle, for ever")
	f.set.StringVar(&f.user, "user", "", "user `ID`")
	f.set.StringVar(&f.device, "device", "", "device `ID`, instead of a user or beside it")
	f.set.StringVar(&f.event, "event", "", "the event's `NAME`")
	f.set.StringArrayVar(&f.props, "prop", nil, "event property, `NAME=VALUE`; JSON if it reads as JSON, else text")
	f.set.StringArrayVar(&f.texts, "prop-string", nil, "event property that is text, whatever it looks like, `NAME=TEXT`")
	f.set.StringVar(&f.revenue, "revenue", "", "`AMOUNT` in major units, e.g. 12.99; negative for a refund")
	f.set.StringVar(&f.revenueCurrency, "currency", "", "`CODE` of the revenue's currency, e.g. EUR")
	f.set.StringArrayVar(&f.traits, "set", nil, "user trait, `NAME=VALUE`, read like --prop")
	f.set.StringArrayVar(&f.traitsOnce, "set-once", nil, "user trait that keeps its first value, `NAME=VALUE`")
	f.set.StringArrayVar(&f.untraits, "unset", nil, "user trait to remove, by `NAME`")
	f.set.StringArrayVar(&f.increments, "increment", nil, "number to add to a user trait, `NAME=NUMBER`")
	f.set.StringArrayVar(&f.groups, "group", nil, "account hierarchy from root to leaf, `TYPE=ID`")
	f.set.StringVar(&f.at, "at", "", "`TIME` of the action, e.g. 2026-11-22T10:15:00Z; default now")
	return f.set
}

// given lists the flags of a bundle that stand on the command line.
func (f *bundleFlags) given() []string {
	var names []string
	f.flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			names = append(names, "--"+flag.Name)
		}
	})
	return names
}

// line is the bundle as a line of NDJSON. Whether its content is allowed, the check
// of lines decides.
func (f *bundleFlags) line() ([]byte, error) {
	if err := f.complete(); err != nil {
		return nil, err
	}
	b := bundle.Bundle{Key: f.key, UserID: f.user, DeviceID: f.device, Source: "server"}
	for _, read := range []func(*bundle.Bundle) error{f.readTime, f.readTraits, f.readIncrements, f.readGroups, f.readTrack} {
		if err := read(&b); err != nil {
			return nil, err
		}
	}
	line, err := b.AppendJSON(nil)
	if err != nil {
		return nil, usageError("the bundle " + err.Error())
	}
	return line, nil
}

// complete asks for what no bundle can do without, in the words of the flags.
func (f *bundleFlags) complete() error {
	says := f.event != "" || len(f.traits)+len(f.traitsOnce)+len(f.untraits)+len(f.increments)+len(f.groups) > 0
	switch {
	case f.key == "":
		return usageError("--key is missing: name the business action, e.g. --key order:8412:completed")
	case f.user == "" && f.device == "":
		return usageError("--user is missing, and so is --device: say who did it")
	case f.event == "" && len(f.props)+len(f.texts) > 0:
		return usageError("--prop describes an event: name it with --event")
	case f.event == "" && f.revenue != "":
		return usageError("--revenue belongs to an event: name it with --event")
	case (f.revenue == "") != (f.revenueCurrency == ""):
		return usageError("--revenue and --currency go together: give both")
	case !says:
		return usageError("there is nothing to say: give --event, --set or --group, for example")
	}
	return nil
}

func (f *bundleFlags) readTime(b *bundle.Bundle) error {
	if f.at == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, f.at)
	if err != nil {
		return usageError("--at is not an RFC 3339 time: write it like 2026-11-22T10:15:00Z")
	}
	b.OccurredAt = at
	return nil
}

func (f *bundleFlags) readTraits(b *bundle.Bundle) error {
	set, err := values("--set", f.traits)
	if err != nil {
		return err
	}
	once, err := values("--set-once", f.traitsOnce)
	if err != nil {
		return err
	}
	if len(set)+len(once)+len(f.untraits) > 0 {
		b.Identify = &bundle.Identify{Set: bundle.ValuesOf(set), SetOnce: bundle.ValuesOf(once), Unset: f.untraits}
	}
	return nil
}

func (f *bundleFlags) readIncrements(b *bundle.Bundle) error {
	return pairs("--increment", f.increments, func(name, text string) error {
		if !isNumber(text) {
			return usageError(fmt.Sprintf("--increment %s: the value is not a number", bundle.Name(name)))
		}
		if b.Increment == nil {
			b.Increment = make(map[string]json.Number)
		}
		b.Increment[name] = json.Number(text)
		return nil
	})
}

func (f *bundleFlags) readGroups(b *bundle.Bundle) error {
	return pairs("--group", f.groups, func(groupType, id string) error {
		g := bundle.Group{Type: groupType, ID: id}
		if n := len(b.Groups); n > 0 {
			g.Parent = b.Groups[n-1].ID
		}
		b.Groups = append(b.Groups, g)
		return nil
	})
}

func (f *bundleFlags) readTrack(b *bundle.Bundle) error {
	if f.event == "" {
		return nil
	}
	b.Track = &bundle.Track{Event: f.event}
	properties, err := values("--prop", f.props)
	if err != nil {
		return err
	}
	err = pairs("--prop-string", f.texts, func(name, text string) (err error) {
		if _, twice := properties[name]; twice {
			return usageError(fmt.Sprintf("--prop %s is given twice", bundle.Name(name)))
		}
		properties[name], _, err = bundle.Value(text)
		return err
	})
	if err != nil {
		return err
	}
	if len(properties) > 0 {
		if b.Track.Properties, _, err = bundle.Value(properties); err != nil {
			return usageError("--prop: " + err.Error())
		}
	}
	if f.revenue == "" {
		return nil
	}
	if !isNumber(f.revenue) {
		return usageError("--revenue is not a number: write it like 12.99")
	}
	b.Track.Revenue = &bundle.Revenue{Amount: json.Number(f.revenue), Currency: f.revenueCurrency}
	return nil
}

// values reads NAME=VALUE arguments.
func values(flag string, args []string) (map[string]json.RawMessage, error) {
	read := make(map[string]json.RawMessage, len(args))
	err := pairs(flag, args, func(name, text string) (err error) {
		read[name], err = value(text)
		return err
	})
	return read, err
}

// pairs splits NAME=VALUE arguments and refuses a name that is given twice.
func pairs(flag string, args []string, each func(name, text string) error) error {
	seen := make(map[string]bool, len(args))
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return usageError(fmt.Sprintf("%s %s: write it as NAME=VALUE", flag, bundle.Name(name)))
		}
		if seen[name] {
			return usageError(fmt.Sprintf("%s %s is given twice", flag, bundle.Name(name)))
		}
		seen[name] = true
		if err := each(name, text); err != nil {
			return err
		}
	}
	return nil
}

// value is the JSON of an argument: the argument itself if it is JSON, else a string.
func value(text string) (json.RawMessage, error) {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	raw, _, err := bundle.Value(text)
	return raw, err
}

// isNumber reports whether text is a JSON number.
func isNumber(text string) bool {
	return json.Valid([]byte(text)) && strings.Trim(text, "+-.eE0123456789") == ""
}
