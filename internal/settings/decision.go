package settings

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
)

// Mode is what a worker does with bundles.
type Mode string

// The modes. Debug and discard record bundles as skipped and keep their payload, so they can be brought back.
const (
	ModeDeliver Mode = "deliver" // send to Amplitude
	ModeDebug   Mode = "debug"   // log instead of sending
	ModeHold    Mode = "hold"    // fetch nothing
	ModeDiscard Mode = "discard" // skip without logging each event
)

// Destination is the kind of Amplitude project that bundles go to.
type Destination string

// The destinations. None is the destination of whoever can send nothing: mode debug, mode discard, or no key.
const (
	DestinationLive    Destination = "live"
	DestinationSandbox Destination = "sandbox"
	DestinationNone    Destination = "none"
)

// production is the one value of ANALYTICS_ENV that is live.
const production = "production"

// regionEndpoints are the base URLs of the ingestion APIs by data residency.
// https://amplitude.com/docs/apis/analytics/batch-event-upload
var regionEndpoints = map[string]string{
	"us": "https://api2.amplitude.com",
	"eu": "https://api.eu.amplitude.com",
}

// Decision is what the environment amounts to for a worker. It is logged at start and shown to operators, so that
// "where do the events go, and why?" has one answer.
type Decision struct {
	Mode        Mode
	Destination Destination
	// Reason says in one line which variables led here.
	Reason string
	// APIKey is the key of Destination, unset for none. A worker on hold has it, but sends nothing.
	APIKey Secret
	// Region of the project, us or eu.
	Region string
	// Endpoint is the base URL, scheme, host and port, without a trailing slash.
	Endpoint string
	// API is batch or http.
	API string
}

// Decide resolves what [Load] returned. It fails, with an [*Error], only if mode deliver was asked for and the key for it
// is missing. The live key is never used outside production, nor under ANALYTICS_FORCE_SANDBOX.
func (s Settings) Decide() (Decision, error) {
	dest, key, why := s.destination()
	d := Decision{
		Mode: s.Mode, Destination: dest, APIKey: key,
		Region: s.Region, Endpoint: cmp.Or(s.Endpoint, regionEndpoints[s.Region]), API: s.API,
	}
	switch {
	case s.Mode == ModeDeliver && !key.IsSet():
		return Decision{}, &Error{Problems: []Problem{missingKey(dest)}}
	case s.Mode == ModeDeliver:
		d.Reason = "ANALYTICS_MODE is deliver; " + why
	case s.Mode != "":
		d.Reason = "ANALYTICS_MODE is " + string(s.Mode)
	case s.Debug:
		d.Mode, d.Reason = ModeDebug, "ANALYTICS_DEBUG is on"
	case key.IsSet():
		d.Mode, d.Reason = ModeDeliver, why
	case dest == DestinationLive:
		d.Mode, d.Reason = ModeHold, why+", but AMPLITUDE_API_KEY is not set"
	default:
		d.Mode, d.Reason = ModeDebug, why+", but AMPLITUDE_SANDBOX_API_KEY is not set"
	}
	if d.Mode == ModeDebug || d.Mode == ModeDiscard || !key.IsSet() {
		d.Destination, d.APIKey = DestinationNone, Secret{}
	}
	return d, nil
}

// destination returns the project that these settings may send to, its key, which may be unset, and the reason.
func (s Settings) destination() (Destination, Secret, string) {
	if s.ForceSandbox {
		return DestinationSandbox, s.SandboxAPIKey, "ANALYTICS_FORCE_SANDBOX is on"
	}
	if s.Env == production {
		return DestinationLive, s.APIKey, "ANALYTICS_ENV is production"
	}
	return DestinationSandbox, s.SandboxAPIKey, "ANALYTICS_ENV is " + show(s.Env)
}

func missingKey(dest Destination) Problem {
	if dest == DestinationLive {
		return Problem{
			Variable: "AMPLITUDE_API_KEY",
			What:     "is not set, but ANALYTICS_MODE is deliver",
			Fix:      "set the key, or unset ANALYTICS_MODE to hold until there is one",
		}
	}
	return Problem{
		Variable: "AMPLITUDE_SANDBOX_API_KEY",
		What:     "is not set, but ANALYTICS_MODE is deliver",
		Fix:      "set it; a sandbox never uses the live key",
	}
}

// meansProduction recognises names that were surely meant as production. They are sandboxes all the same; the caller
// refuses them where a live key lies beside, because that key would silently drain into a log.
func meansProduction(env string) bool {
	name := strings.ToLower(env)
	return strings.HasPrefix(name, "prod") || name == "prd" || name == "live"
}

// Fingerprint names the Amplitude project without revealing its key: 16 hex digits of a hash of key and region, or
// "none" where there is no key. It is stored beside what the project was told, so it must never change for a given key.
func (d Decision) Fingerprint() string {
	if !d.APIKey.IsSet() {
		return "none"
	}
	sum := sha256.Sum256([]byte("waybill destination\n" + d.Region + "\n" + d.APIKey.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// LogValue implements [slog.LogValuer]: everything but the key, with its fingerprint as "dest".
func (d Decision) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("mode", string(d.Mode)),
		slog.String("destination", string(d.Destination)),
		slog.String("reason", d.Reason),
		slog.String("dest", d.Fingerprint()),
		slog.String("region", d.Region),
		slog.String("endpoint", d.Endpoint),
		slog.String("api", d.API),
	)
}
