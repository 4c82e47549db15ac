package waybill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
)

// Config is what a [Client] can be told. The zero value is ready to use.
type Config struct {
	// Disabled makes every call a skip with reason [ReasonDisabled]: logged,
	// counted, no SQL. It is ANALYTICS_ENABLED=false.
	Disabled bool

	// Hasher makes the tokens of [Client.Token]. Defaults to none, and then
	// there are no tokens: see [Hasher.Token].
	Hasher *Hasher

	// Logger hears of skips (info), and of what best effort gave up (warn). It
	// is never told property values, ids or keys. Defaults to slog.Default().
	Logger *slog.Logger

	// Trace returns the W3C traceparent and tracestate of ctx, or nothing. They
	// travel with the bundle, so that delivery shows in the trace of the request
	// that caused it. Values that are not printable ASCII are ignored. Defaults
	// to none.
	Trace func(ctx context.Context) (traceparent, tracestate string)
}

// ConfigFromEnv reads the two variables that an application may set. An empty
// one counts as unset.
//
//	ANALYTICS_ENABLED    whether anything is recorded; default true
//	ANALYTICS_HASH_KEY   key of the [Hasher]; default none
//
// The error names every variable that is wrong, the problem and the fix, and
// never a value that is secret.
func ConfigFromEnv() (Config, error) {
	return configFrom(os.Getenv)
}

func configFrom(getenv func(string) string) (Config, error) {
	var cfg Config
	var errs []error
	if given := getenv("ANALYTICS_ENABLED"); given != "" {
		enabled, err := strconv.ParseBool(given)
		if err != nil {
			errs = append(errs, fmt.Errorf("waybill: ANALYTICS_ENABLED: %q is not a boolean; set it to true or false", given))
		}
		cfg.Disabled = !enabled
	}
	if key := getenv("ANALYTICS_HASH_KEY"); key != "" {
		hasher, err := NewHasher(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("waybill: ANALYTICS_HASH_KEY: %w", err))
		}
		cfg.Hasher = hasher
	}
	if len(errs) > 0 {
		return Config{}, errors.Join(errs...)
	}
	return cfg, nil
}
