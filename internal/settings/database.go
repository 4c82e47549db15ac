package settings

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// keywordValue matches the beginning of libpq's other form, host=db user=app.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
var keywordValue = regexp.MustCompile(`^[a-z_]+ *=`)

// shownKeywords are the parts of the key=value form that are shown.
var shownKeywords = []string{"host", "hostaddr", "port", "user", "dbname", "database"}

// RedactedDatabaseURL is DatabaseURL for people: user, host, port and database, and nothing else. Of a text in which a
// password could stand elsewhere than where it belongs it shows [set], with the scheme at most.
func (s Settings) RedactedDatabaseURL() string {
	text := s.DatabaseURL.Reveal()
	if rest, ok := cutPostgresScheme(text); ok {
		return "postgres://" + redactAuthority(rest)
	}
	return redactKeywords(text)
}

func cutPostgresScheme(text string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(text, "postgres://"); ok {
		return rest, true
	}
	return strings.CutPrefix(text, "postgresql://")
}

const redacted = "[set]"

// redactAuthority shows user@host:port/database of what follows the scheme. A password with an unescaped separator in
// it reads as a piece of the host, the path or the query; whatever allows for that is not shown at all.
func redactAuthority(rest string) string {
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, hasPath := strings.Cut(rest, "/")
	userinfo, hosts, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		userinfo, hosts = "", authority
	}
	if strings.Contains(hosts+database+query, "@") || !plainHosts(hosts) {
		return redacted
	}
	var b strings.Builder
	if user, _, _ := strings.Cut(userinfo, ":"); user != "" {
		b.WriteString(user + "@")
	}
	b.WriteString(hosts)
	if hasPath {
		b.WriteString("/" + database)
	}
	return b.String()
}

// plainHosts reports whether every element of a comma-separated list is a host with, at most, a numeric port.
func plainHosts(list string) bool {
	for host := range strings.SplitSeq(list, ",") {
		if end := strings.LastIndexByte(host, ']'); strings.HasPrefix(host, "[") && end > 0 {
			host = host[end+1:]
		}
		_, port, hasPort := strings.Cut(host, ":")
		if _, err := strconv.ParseUint(port, 10, 16); hasPort && err != nil {
			return false
		}
	}
	return true
}

// redactKeywords shows the harmless pairs, if the text is nothing but unquoted pairs.
func redactKeywords(text string) string {
	if text == "" {
		return ""
	}
	var shown []string
	// Not strings.Fields: libpq separates by ASCII space alone, so any other kind may be part of a password.
	for pair := range strings.FieldsFuncSeq(text, isASCIISpace) {
		keyword, value, isPair := strings.Cut(pair, "=")
		if !isPair || value == "" || strings.ContainsAny(pair, `'\`) {
			return redacted
		}
		if slices.Contains(shownKeywords, keyword) {
			shown = append(shown, pair)
		}
	}
	return cmp.Or(strings.Join(shown, " "), redacted)
}

func isASCIISpace(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }
