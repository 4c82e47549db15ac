package amplitudetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFaults reads rules as a command line writes them: kinds with their shares of the requests, such as
// "429=0.02,lost=0.01". The shares may add up to 1.
func ParseFaults(spec string) ([]Rule, error) {
	var rules []Rule
	total := 0.0
	for part := range strings.SplitSeq(spec, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, share, found := strings.Cut(part, "=")
		if !found {
			return nil, fmt.Errorf("fault %q has no share: write it like 503=0.02", part)
		}
		fault := Fault{Kind: Kind(strings.TrimSpace(name))}
		if err := fault.Kind.known(); err != nil {
			return nil, err
		}
		probability, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(probability > 0 && probability <= 1) {
			return nil, fmt.Errorf("fault %q: the share must be above 0 and at most 1", part)
		}
		total += probability
		rules = append(rules, Rule{Fault: fault, Probability: probability})
	}
	const roundingError = 1e-9
	if total > 1+roundingError {
		return nil, fmt.Errorf("the shares of the faults add up to %.3g: at most 1 is possible", total)
	}
	return rules, nil
}

func (k Kind) known() error {
	if slices.Contains(Kinds(), k) {
		return nil
	}
	return fmt.Errorf("unknown fault %q: use one of %v", string(k), Kinds())
}

// duration is a time.Duration that JSON writes like "1m30s".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// UnmarshalJSON reads a fault with durations as text, and refuses unknown kinds and fields.
func (fault *Fault) UnmarshalJSON(text []byte) error {
	type plain Fault
	wire := struct {
		*plain

		Latency  duration `json:"latency"`
		After    duration `json:"after"`
		Interval duration `json:"interval"`
	}{plain: (*plain)(fault)}
	if err := decodeStrictly(text, &wire); err != nil {
		return err
	}
	fault.Latency, fault.After = time.Duration(wire.Latency), time.Duration(wire.After)
	fault.Interval = time.Duration(wire.Interval)
	if fault.Kind == None && fault.Latency > 0 {
		return nil
	}
	return fault.Kind.known()
}

// UnmarshalJSON reads a rule with durations as text, and refuses unknown fields.
func (r *Rule) UnmarshalJSON(text []byte) error {
	type plain Rule
	wire := struct {
		*plain

		For duration `json:"for"`
	}{plain: (*plain)(r)}
	if err := decodeStrictly(text, &wire); err != nil {
		return err
	}
	r.For = time.Duration(wire.For)
	return nil
}

func decodeStrictly(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}
