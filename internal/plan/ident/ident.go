// Package ident spells the names of a tracking plan as identifiers of Go and
// TypeScript.
package ident

import (
	"go/token"
	"strings"
	"unicode"
)

// initialisms are written in capitals in Go.
var initialisms = map[string]string{
	"api": "API", "cpu": "CPU", "crm": "CRM", "csv": "CSV", "html": "HTML", "http": "HTTP",
	"https": "HTTPS", "id": "ID", "ids": "IDs", "ip": "IP", "json": "JSON", "llm": "LLM",
	"oauth": "OAuth", "os": "OS", "sms": "SMS", "sql": "SQL", "ui": "UI", "url": "URL",
	"usd": "USD", "utm": "UTM", "uuid": "UUID",
}

// Exported is the exported Go name: report_id is ReportID.
func Exported(name string) string {
	var b strings.Builder
	for _, word := range words(name) {
		b.WriteString(goWord(word))
	}
	if b.Len() == 0 || !unicode.IsUpper([]rune(b.String())[0]) {
		return "X" + b.String()
	}
	return b.String()
}

// Local is the Go name of a parameter or field: report_id is reportID. A word of
// the language gets an underscore.
func Local(name string) string {
	var b strings.Builder
	for i, word := range words(name) {
		if i == 0 {
			b.WriteString(strings.ToLower(word))
			continue
		}
		b.WriteString(goWord(word))
	}
	s := b.String()
	if s == "" || unicode.IsDigit(rune(s[0])) {
		s = "x" + s
	}
	if token.IsKeyword(s) || predeclared[s] {
		s += "_"
	}
	return s
}

// predeclared are names that generated code uses in another meaning.
var predeclared = map[string]bool{
	// Go's
	"append": true, "bool": true, "error": true, "false": true, "float64": true, "int": true, "int64": true,
	"len": true, "nil": true, "string": true, "true": true,
	// packages
	"fmt": true, "math": true, "slices": true, "strconv": true, "time": true, "waybill": true,
	// helpers, fields and parameters
	"actionKey": true, "by": true, "c": true, "e": true, "in": true, "occurredAt": true, "properties": true,
	"ptr": true, "s": true, "scope": true, "stamp": true, "t": true, "texts": true,
}

// Camel is the TypeScript name: report_created is reportCreated.
func Camel(name string) string {
	var b strings.Builder
	for i, word := range words(name) {
		if i == 0 {
			b.WriteString(strings.ToLower(word))
			continue
		}
		b.WriteString(title(word))
	}
	return b.String()
}

// Pascal is the TypeScript type name: report_created is ReportCreated.
func Pascal(name string) string {
	var b strings.Builder
	for _, word := range words(name) {
		b.WriteString(title(word))
	}
	return b.String()
}

func goWord(word string) string {
	if capital, ok := initialisms[strings.ToLower(word)]; ok {
		return capital
	}
	return title(word)
}

func title(word string) string {
	r := []rune(word)
	return string(unicode.ToUpper(r[0])) + strings.ToLower(string(r[1:]))
}

// words splits at everything that is neither letter nor digit, and before capitals.
func words(name string) []string {
	var list []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			list, word = append(list, string(word)), nil
		}
	}
	for _, r := range name {
		switch {
		case r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && len(word) > 0 && !unicode.IsUpper(word[len(word)-1]):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return list
}

// Words are the lower-case words of a name, however it is written.
func Words(name string) []string {
	list := words(name)
	for i := range list {
		list[i] = strings.ToLower(list[i])
	}
	return list
}
