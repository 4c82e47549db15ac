package settings

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// prefixes are those of the variables that are ours to know.
var prefixes = []string{"ANALYTICS_", "AMPLITUDE_"}

// serviceLink matches the variables that Kubernetes adds to every pod for each Service of its namespace: a Service named
// analytics would otherwise stop every worker beside it.
// https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
var serviceLink = regexp.MustCompile(
	`^(.+?)_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// unknown reports the ANALYTICS_* and AMPLITUDE_* names in env that nobody reads, by name: a misspelt switch must not
// quietly leave the default in place.
func unknown(env map[string]string, vars []variable) []Problem {
	var known []string
	for _, v := range vars {
		known = append(known, v.name)
		if v.alias != "" {
			known = append(known, v.alias)
		}
	}
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if _, ours := cutPrefix(name); !ours || slices.Contains(known, name) || isServiceLink(name, env) {
			continue
		}
		fix := "remove it; -h lists what is read"
		if near := nearest(name, known); near != "" {
			fix = "did you mean " + near + "? Otherwise remove it"
		}
		problems = append(problems, Problem{Variable: showName(name), What: "is not a setting of Waybill", Fix: fix})
	}
	return problems
}

func cutPrefix(name string) (rest string, ours bool) {
	for _, prefix := range prefixes {
		if rest, ours = strings.CutPrefix(name, prefix); ours {
			return rest, true
		}
	}
	return name, false
}

func isServiceLink(name string, env map[string]string) bool {
	m := serviceLink.FindStringSubmatch(name)
	return m != nil && env[m[1]+"_SERVICE_HOST"] != ""
}

// showName keeps a name printable and within the line.
func showName(name string) string {
	const longest = 40
	quoted := strconv.QuoteToASCII(name)
	if len(quoted) > longest {
		return quoted[1:longest] + "…"
	}
	return quoted[1 : len(quoted)-1]
}

// nearest returns the known name that name was probably meant to be, or "". What follows the prefix decides, because
// mixing up the two prefixes is the likeliest mistake of all.
func nearest(name string, known []string) string {
	const alike = 0.6
	rest, _ := cutPrefix(name)
	best, bestScore := "", 0.0
	for _, candidate := range known {
		other, ours := cutPrefix(candidate)
		if !ours {
			continue
		}
		score := similarity(rest, other)
		if strings.HasPrefix(rest, other) {
			score = max(score, alike)
		}
		if score >= alike && score > bestScore {
			best, bestScore = candidate, score
		}
	}
	return best
}

// similarity is 1 for equal strings and 0 for strings without a byte in common: twice the length of the longest common
// subsequence over the sum of the lengths. They may not both be empty.
func similarity(a, b string) float64 {
	row := make([]int, len(b)+1)
	for i := range len(a) {
		diagonal := 0
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return 2 * float64(row[len(b)]) / float64(len(a)+len(b))
}
