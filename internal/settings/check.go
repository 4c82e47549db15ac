package settings

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxConcurrency is how many jobs one worker may hold.
	maxConcurrency = 50_000
	// maxShown is the longest value quoted back, in characters. It is shorter than any Amplitude key, so that one pasted
	// into the wrong variable is not printed.
	maxShown = 24

	databaseFix = "set postgres://user:password@host:5432/database"
	endpointFix = "set scheme, host and port only; the API's path is appended"
	httpAddrFix = "set for example 127.0.0.1:8080, or :8080 for every interface"
)

// checks are the rules of single variables beyond their type, by name. Each returns the value as it is to be stored.
var checks = map[string]func(string) (string, *Problem){
	"DATABASE_URL":          checkDatabaseURL,
	"AMPLITUDE_ENDPOINT":    checkEndpoint,
	"ANALYTICS_HTTP_ADDR":   checkHTTPAddr,
	"ANALYTICS_CONCURRENCY": checkConcurrency,
	"ANALYTICS_HASH_KEY":    checkHashKey,
}

// minHashKey is the shortest key that package waybill makes a Hasher of, in bytes.
const minHashKey = 16

// hashKeyName is the name that a key may begin with.
var hashKeyName = regexp.MustCompile(`^(k[0-9]{1,4}):`)

func checkHashKey(value string) (string, *Problem) {
	if len(value)-len(hashKeyName.FindString(value)) < minHashKey {
		return value, &Problem{What: fmt.Sprintf("is shorter than %d bytes", minHashKey), Fix: "set a long random value; openssl rand -hex 32 prints one"}
	}
	return value, nil
}

// check returns the value as it is to be stored, or what is wrong with it.
func (v variable) check(value string) (string, *Problem) {
	if p := checkText(value); p != nil {
		return value, p
	}
	if v.oneOf != nil && !slices.Contains(v.oneOf, value) {
		return value, &Problem{
			What: show(value) + " is not one of its values",
			Fix:  fmt.Sprintf("set %s (default: %s)", strings.Join(v.oneOf, ", "), v.fallback),
		}
	}
	if _, boolean := v.field.(*bool); boolean {
		if _, err := strconv.ParseBool(value); err != nil {
			return value, &Problem{
				What: show(value) + " is neither true nor false",
				Fix:  "set true or false; 1, t, 0 and f are read too",
			}
		}
	}
	if check := checks[v.name]; check != nil {
		return check(value)
	}
	return value, nil
}

// checkText refuses what copying, a mounted file or a container's env file leaves in a value by accident. In a key
// nobody could see it, and all that Amplitude would say is that the key is invalid.
func checkText(value string) *Problem {
	invisible := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(value) || strings.ContainsFunc(value, invisible) {
		return &Problem{What: "holds a line break or another invisible character", Fix: "set it again, as one line of text"}
	}
	first, last := value[0], value[len(value)-1]
	if strings.TrimSpace(value) != value || len(value) > 1 && first == last && (first == '"' || first == '\'') {
		return &Problem{
			What: "has spaces or quotes around it",
			Fix:  "set the bare value; container env files keep quotes as they are",
		}
	}
	return nil
}

func checkDatabaseURL(value string) (string, *Problem) {
	if _, isURL := cutPostgresScheme(value); isURL || keywordValue.MatchString(value) {
		return value, nil
	}
	return value, &Problem{What: "is neither a Postgres URL nor key=value pairs", Fix: databaseFix}
}

// checkEndpoint quotes nothing of the value: what is wrong with it may be a password in it.
func checkEndpoint(value string) (string, *Problem) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !validPort(u) {
		return value, &Problem{What: "is not an http or https URL", Fix: endpointFix}
	}
	base := url.URL{Scheme: u.Scheme, Host: u.Host}
	if u.Path == "/" {
		u.Path = ""
	}
	if *u != base {
		return value, &Problem{What: "has more than scheme, host and port", Fix: endpointFix}
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return value, &Problem{
			What: "would send the key in plain http over a network",
			Fix:  "use https; http is for 127.0.0.1, ::1 and localhost",
		}
	}
	return base.String(), nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// hostname is what may stand in a listening address besides an IP address.
var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

func checkHTTPAddr(value string) (string, *Problem) {
	host, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && host != "" && !hostname.MatchString(host) {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return value, &Problem{What: show(value) + " is not host:port", Fix: httpAddrFix}
	}
	return value, nil
}

func checkConcurrency(value string) (string, *Problem) {
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > maxConcurrency {
		return value, &Problem{
			What: fmt.Sprintf("%s is not within 1 to %d", show(value), maxConcurrency),
			Fix:  "set a whole number, or leave it unset to let the worker tune itself",
		}
	}
	return value, nil
}

// show quotes a value that is short enough to be a typing mistake, and describes any other.
func show(value string) string {
	if quoted := strconv.Quote(value); len(quoted) <= maxShown+2 {
		return quoted
	}
	return fmt.Sprintf("a value of %d characters", utf8.RuneCountInString(value))
}
