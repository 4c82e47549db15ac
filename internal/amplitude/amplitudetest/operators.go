package amplitudetest

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// userOperators change user properties, in the order in which the server applies those of one event
// (https://amplitude.com/docs/apis/analytics/identify; the order is that of Amplitude's TypeScript SDK).
var userOperators = []string{
	"$clearAll", "$unset", "$set", "$setOnce", "$add", "$append", "$prepend", "$preInsert", "$postInsert", "$remove",
}

// groupOperators are those that the Group Identify page lists.
var groupOperators = []string{"$set", "$setOnce", "$add", "$append", "$prepend", "$unset"}

func hasOperator(properties gjson.Result) bool {
	found := false
	if strings.Contains(properties.Raw, `"$`) {
		properties.ForEach(func(name, _ gjson.Result) bool {
			found = strings.HasPrefix(name.String(), "$")
			return !found
		})
	}
	return found
}

// validUserOperators accepts plain properties or operators, but not both.
func validUserOperators(properties gjson.Result) bool {
	return !hasOperator(properties) || onlyOperators(properties, userOperators)
}

// validGroupOperators accepts operators only: the documents show no plain group properties.
func validGroupOperators(properties gjson.Result) bool {
	return properties.Raw != "{}" && onlyOperators(properties, groupOperators)
}

func onlyOperators(properties gjson.Result, allowed []string) bool {
	ok := true
	properties.ForEach(func(name, value gjson.Result) bool {
		operator := name.String()
		ok = slices.Contains(allowed, operator) && (operator == "$clearAll" || value.IsObject())
		if operator == "$add" {
			value.ForEach(func(_, amount gjson.Result) bool {
				ok = ok && amount.Type == gjson.Number
				return ok
			})
		}
		return ok
	})
	return ok
}

// apply returns the properties after a change, plain or by operators. The argument is not modified: events hold
// on to the properties of their moment.
func apply(current map[string]any, change gjson.Result) map[string]any {
	next := maps.Clone(current)
	if next == nil {
		next = make(map[string]any)
	}
	if !hasOperator(change) {
		maps.Copy(next, decodeObject(change))
		return next
	}
	operations := make(map[string]gjson.Result)
	change.ForEach(func(name, value gjson.Result) bool {
		operations[name.String()] = value
		return true
	})
	for _, operator := range userOperators {
		value, given := operations[operator]
		switch {
		case !given:
		case operator == "$clearAll":
			clear(next)
		default:
			for name, argument := range decodeObject(value) {
				operate(next, operator, name, argument)
			}
		}
	}
	return next
}

func operate(properties map[string]any, operator, name string, argument any) {
	old, exists := properties[name]
	switch operator {
	case "$unset":
		delete(properties, name)
	case "$set":
		properties[name] = argument
	case "$setOnce":
		if !exists {
			properties[name] = argument
		}
	case "$add":
		sum, _ := old.(float64)
		if amount, ok := argument.(float64); ok {
			properties[name] = sum + amount
		}
	case "$append":
		properties[name] = bounded(append(list(old), list(argument)...))
	case "$prepend":
		properties[name] = bounded(append(list(argument), list(old)...))
	case "$preInsert":
		properties[name] = bounded(append(without(list(argument), list(old)), list(old)...))
	case "$postInsert":
		properties[name] = bounded(append(list(old), without(list(argument), list(old))...))
	case "$remove":
		if exists {
			properties[name] = without(list(old), list(argument))
		}
	}
}

// list is a copy of the value as an array: nothing is empty, a single value is an array of one.
func list(value any) []any {
	switch v := value.(type) {
	case nil:
		return []any{}
	case []any:
		return slices.Clone(v)
	default:
		return []any{v}
	}
}

func without(values, excluded []any) []any {
	return slices.DeleteFunc(slices.Clone(values), func(v any) bool {
		return slices.ContainsFunc(excluded, func(e any) bool { return reflect.DeepEqual(v, e) })
	})
}

// bounded keeps the first 10,000 characters of a grown array.
func bounded(values []any) []any {
	const most = 10_000
	total := 0
	for i, value := range values {
		text, _ := value.(string)
		if total += utf8.RuneCountInString(text); total > most {
			return values[:i]
		}
	}
	return values
}

// decodeObject is the JSON object with every string cut. Nothing and null are empty.
func decodeObject(object gjson.Result) map[string]any {
	decoded, _ := cutStrings(object.Value()).(map[string]any)
	return decoded
}

func cutStrings(value any) any {
	switch v := value.(type) {
	case string:
		return cut(v)
	case []any:
		for i := range v {
			v[i] = cutStrings(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = cutStrings(v[name])
		}
	}
	return value
}
