package bundle

import (
	"strconv"
	"time"
)

// Parse reads the stored form strictly: a field it does not know, a repeated
// one or one of another type is an error, because a typo must not vanish. null
// stands for an absent field. The JSON values in the result share data's memory.
//
// The error is a [Refusal], or [ErrNewerVersion] for a bundle of a later
// version, whatever fields it has.
func Parse(data []byte) (*Bundle, error) {
	p := parser{scanner{data: data}}
	b := &Bundle{V: Version}
	err := p.bundle(b)
	if b.V > Version {
		return nil, ErrNewerVersion
	}
	if err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	return b, nil
}

// ParseClean is Parse of what [Clean] makes of data: strings that are too long are cut,
// characters that cannot be stored are replaced. Most data needs neither, and is read
// once.
func ParseClean(data []byte) (*Bundle, Cleaned, error) {
	p := parser{scanner{data: data}}
	b := &Bundle{V: Version}
	if err := p.bundle(b); err == nil && p.end() == nil && !p.dirty && b.V <= Version {
		return b, Cleaned{}, nil
	}
	clean, cleaned, err := Clean(data)
	if err != nil {
		return nil, Cleaned{}, err
	}
	b, err = Parse(clean)
	return b, cleaned, err
}

// Levels count the objects and arrays around a value.
const (
	levelBundle = iota + 1 // around the fields of the bundle itself
	levelPart              // around those of identify, increment, track, context
	levelInner             // around those of identify.set, track.revenue, groups[n]
	levelGroup             // around those of groups[n].set
)

func (p *parser) bundle(b *Bundle) error {
	return p.fields(levelBundle, func(name []byte) (err error) {
		switch string(name) {
		case "v":
			b.V, err = p.version()
		case "key":
			b.Key, err = p.str()
		case "user_id":
			b.UserID, err = p.str()
		case "device_id":
			b.DeviceID, err = p.str()
		case "occurred_at":
			b.OccurredAt, err = p.time()
		case "identify":
			b.Identify, err = optional(p, p.identify)
		case "increment":
			b.Increment, err = mapOf(p, levelPart, p.num)
		case "groups":
			b.Groups, err = p.groups()
		case "track":
			b.Track, err = optional(p, p.track)
		case "context":
			b.Context, err = optional(p, p.context)
		case "source":
			b.Source, err = p.str()
		case "trace":
			b.Trace, err = mapOf(p, levelPart, p.str)
		default:
			err = errUnknown
		}
		return err
	})
}

func (p *parser) identify(id *Identify) error {
	return p.fields(levelPart, func(name []byte) (err error) {
		switch string(name) {
		case "set":
			id.Set, err = p.values(levelInner)
		case "set_once":
			id.SetOnce, err = p.values(levelInner)
		case "unset":
			id.Unset, err = p.names()
		default:
			err = errUnknown
		}
		return err
	})
}

func (p *parser) groups() (groups []Group, err error) {
	err = p.elements(func() error {
		var g Group
		err := p.group(&g)
		groups = append(groups, g)
		return err
	})
	return groups, err
}

func (p *parser) group(g *Group) error {
	return p.fields(levelInner, func(name []byte) (err error) {
		switch string(name) {
		case "type":
			g.Type, err = p.str()
		case "id":
			g.ID, err = p.str()
		case "parent":
			g.Parent, err = p.str()
		case "set":
			g.Set, err = p.values(levelGroup)
		default:
			err = errUnknown
		}
		return err
	})
}

func (p *parser) track(t *Track) error {
	return p.fields(levelPart, func(name []byte) (err error) {
		switch string(name) {
		case "event":
			t.Event, err = p.str()
		case "version":
			t.Version, err = p.str()
		case "properties":
			t.Properties, err = p.rawObject(levelPart)
		case "revenue":
			t.Revenue, err = optional(p, p.revenue)
		default:
			err = errUnknown
		}
		return err
	})
}

func (p *parser) revenue(r *Revenue) error {
	return p.fields(levelInner, func(name []byte) (err error) {
		switch string(name) {
		case "amount":
			r.Amount, err = p.num()
		case "currency":
			r.Currency, err = p.str()
		default:
			err = errUnknown
		}
		return err
	})
}

func (p *parser) context(c *Context) error {
	return p.fields(levelPart, func(name []byte) (err error) {
		switch string(name) {
		case "platform":
			c.Platform, err = p.str()
		case "app_version":
			c.AppVersion, err = p.str()
		case "session_id":
			c.SessionID, err = p.integer()
		case "language":
			c.Language, err = p.str()
		case "ip":
			c.IP, err = p.str()
		default:
			err = errUnknown
		}
		return err
	})
}

// version takes any later version for the next one: neither can be read.
func (p *parser) version() (int, error) {
	if p.null() {
		return Version, nil
	}
	n, err := p.integer()
	if err == nil && n < Version {
		err = Refusal{Problem: "is not a version; write " + strconv.Itoa(Version)}
	}
	if err != nil {
		return Version, err
	}
	return int(min(n, Version+1)), nil
}

func (p *parser) time() (t time.Time, err error) {
	if p.null() {
		return t, nil
	}
	s, err := p.str()
	if err != nil {
		return t, err
	}
	return readTime([]byte(s))
}

// readTime reads an RFC 3339 time, with the liberties that RFC takes and Go
// does not: a space for the T, lower case, a leap second. The database's door
// lets those in.
func readTime(text []byte) (t time.Time, err error) {
	leap := false
	if len(text) >= len(time.DateTime) {
		if c := text[10]; c == ' ' || c == 't' {
			text[10] = 'T'
		}
		if leap = string(text[17:19]) == "60"; leap {
			copy(text[17:19], "59")
		}
		if last := len(text) - 1; text[last] == 'z' {
			text[last] = 'Z'
		}
	}
	if t.UnmarshalText(text) != nil || t.IsZero() {
		return time.Time{}, errTime
	}
	if leap {
		t = t.Add(time.Second)
	}
	return t, nil
}

var errTime error = Refusal{Problem: "is not an RFC 3339 time; write it like 2026-11-22T10:15:00.123Z"}
