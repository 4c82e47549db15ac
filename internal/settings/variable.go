package settings

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
)

// variable is one field of Settings as the environment names it.
type variable struct {
	name     string
	alias    string   // a second name for the same value
	fallback string   // the value when unset, or what happens then
	oneOf    []string // the allowed values, where they are few
	field    any      // pointer to the field
}

// variables lists the fields of s in order, and fills in their defaults. The tags are the only list of variables.
func variables(s *Settings) []variable {
	var vars []variable
	for field, value := range reflect.ValueOf(s).Elem().Fields() {
		byDefault := field.Tag.Get("default")
		v := variable{
			name:     field.Tag.Get("envconfig"),
			alias:    field.Tag.Get("alias"),
			fallback: cmp.Or(byDefault, field.Tag.Get("unset")),
			field:    value.Addr().Interface(),
		}
		if allowed := field.Tag.Get("oneof"); allowed != "" {
			v.oneOf = strings.Split(allowed, ",")
		}
		if byDefault != "" {
			v.set(byDefault)
		}
		vars = append(vars, v)
	}
	return vars
}

// parse turns NAME=value entries into a map without the empty values, which count as unset, and without the nameless
// entries by which Windows keeps the current directory of each drive.
func parse(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, seen := env[name]; !seen {
			env[name] = value
		}
	}
	maps.DeleteFunc(env, func(name, value string) bool { return name == "" || value == "" })
	return env
}

// read checks the variable's value, if there is one, and stores it in the field.
func (v variable) read(env map[string]string) []Problem {
	var problems []Problem
	name, value, other := v.name, env[v.name], env[v.alias]
	switch {
	case value == "" && other == "":
		return nil
	case value == "":
		name, value = v.alias, other
	case other != "" && other != value:
		problems = append(problems, Problem{
			Variable: v.name, What: "differs from " + v.alias + ", its other name", Fix: "unset one of the two",
		})
	}
	value, problem := v.check(value)
	if problem != nil {
		problem.Variable = name
		problems = append(problems, *problem)
		// A broken key is not a missing one: without this it would be reported as both.
		if _, secret := v.field.(*Secret); !secret {
			return problems
		}
	}
	v.set(value)
	return problems
}

// set stores a value that was checked.
func (v variable) set(value string) {
	switch field := v.field.(type) {
	case *Secret:
		*field = NewSecret(value)
	case *Mode:
		*field = Mode(value)
	case *string:
		*field = value
	case *int:
		*field, _ = strconv.Atoi(value)
	case *bool:
		*field, _ = strconv.ParseBool(value)
	default:
		panic(fmt.Sprintf("settings: %s is read into a %T, which nothing sets", v.name, v.field))
	}
}
