package amplitude

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const maxRetryAfter = 5 * time.Minute

// retryAfter reads the Retry-After header, in seconds or as a date, as a wait. A date counts from the answer's own
// Date, so that a wrong clock here does no harm; without one, from now.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		now = sent
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

var markup = regexp.MustCompile(`(?is)<(script|style)\b.*?</(script|style)>|<!--.*?-->|<[^>]*>`)

// foreignPrefix is how a foreignReason begins: our own words, in which nothing is echoed.
func foreignPrefix(status int) string {
	return fmt.Sprintf("HTTP %d without Amplitude's error text", status)
}

// foreignReason describes an answer without Amplitude's error text: a proxy's page, a firewall's, or nothing.
func foreignReason(status int, header http.Header, body []byte) string {
	const enough = 4 << 10
	text := string(body[:min(len(body), enough)])
	text = strings.Join(strings.Fields(markup.ReplaceAllString(text, " ")), " ")

	reason := foreignPrefix(status)
	if location := header.Get("Location"); location != "" && status >= 300 && status < 400 {
		return reason + ": a redirect, which is never followed"
	}
	if text == "" {
		return reason + ": empty"
	}
	return reason + ": " + text
}
