// Package settings is the environment that every Waybill program reads: checked in one place, and resolved into one
// decision (which mode, which destination, and why).
//
// A program calls [Load] with os.Environ() once, before it opens any connection, and reads no variable itself.
// [Settings.Decide] is a pure function of what was loaded. Nothing here touches the network, a file or the process's
// own environment, so a test hands in whatever environment it wants to talk about.
//
// The fields of [Settings] carry the tags of github.com/kelseyhightower/envconfig, and envconfig prints the table of
// them ([Table]). Load applies the same tags itself, because envconfig.Process reads only the process's own
// environment, stops at the first problem, and quotes a value it cannot convert even where that value is a secret.
// Load reports every problem at once and quotes no secret.
package settings

import "slices"

// DefaultHTTPAddr is ANALYTICS_HTTP_ADDR when nobody set it.
const DefaultHTTPAddr = "127.0.0.1:8080"

// Settings is the environment after [Load], with the defaults filled in. Each field's comment is the manual of its
// variable; an empty value counts as unset everywhere.
type Settings struct {
	// DatabaseURL is where Postgres is: a postgres:// URL or libpq's key=value pairs. It is a secret because it may hold a
	// password; show people [Settings.RedactedDatabaseURL]. Whoever needs a database asks [Settings.RequireDatabase].
	DatabaseURL Secret `envconfig:"DATABASE_URL" desc:"Postgres URL or key=value pairs; required"`

	// APIKey is the ingestion key of the live Amplitude project. Only a worker needs it, and only production uses it.
	APIKey Secret `envconfig:"AMPLITUDE_API_KEY" alias:"ANALYTICS_API_KEY" desc:"live ingestion key, for the worker alone; ANALYTICS_API_KEY is read too"`
	// SandboxAPIKey is the ingestion key of a separate project, used everywhere but in production.
	SandboxAPIKey Secret `envconfig:"AMPLITUDE_SANDBOX_API_KEY" desc:"ingestion key outside production"`
	// SecretKey authenticates the reading and erasing APIs of Amplitude; delivery does not use it.
	SecretKey Secret `envconfig:"AMPLITUDE_SECRET_KEY" desc:"for reconciliation and erasure"`
	// Region is where the Amplitude project lives: us or eu.
	Region string `envconfig:"AMPLITUDE_REGION" default:"us" oneof:"us,eu" desc:"us or eu"`
	// Endpoint replaces the region's base URL: scheme, host and port, without a trailing slash. A path is refused, because
	// the API's own path is appended; so is plain http to anything but the loopback, because the key travels in the body.
	Endpoint string `envconfig:"AMPLITUDE_ENDPOINT" unset:"by region" desc:"other base URL; http for loopback only"`
	// API is the ingestion API to speak: batch (/batch) or http (/2/httpapi).
	API string `envconfig:"AMPLITUDE_API" default:"batch" oneof:"batch,http" desc:"batch or http (/2/httpapi)"`

	// Env names the deployment. The one name production is live; every other name is a sandbox.
	Env string `envconfig:"ANALYTICS_ENV" default:"development" desc:"production is live, all else sandbox; must be set if a live key is"`
	// Mode is empty unless the operator chose one; [Settings.Decide] fills the gap.
	Mode Mode `envconfig:"ANALYTICS_MODE" unset:"by env and key" oneof:"deliver,debug,hold,discard" desc:"deliver, debug (log events instead), hold (fetch nothing) or discard"`
	// ForceSandbox makes a sandbox of any deployment, production included.
	ForceSandbox bool `envconfig:"ANALYTICS_FORCE_SANDBOX" default:"false" desc:"treat any host as sandbox"`
	// Enabled is the application's switch: when it is off, every enqueue is a logged and counted skip. It does not stop a
	// worker, which still owes delivery to what was committed before.
	Enabled bool `envconfig:"ANALYTICS_ENABLED" default:"true" desc:"false: applications enqueue nothing"`
	// Debug is another way to say mode debug.
	Debug bool `envconfig:"ANALYTICS_DEBUG" default:"false" desc:"true: same as mode debug"`
	// InstanceLevel uses the root group's id as the user id; a bundle without groups keeps its own.
	InstanceLevel bool `envconfig:"ANALYTICS_INSTANCE_LEVEL" default:"false" desc:"use the root group as the user"`
	// Plan is the path of the compiled tracking plan (plan gen writes it as generated/plan.json) that a worker checks
	// bundles against; empty accepts every event name. The worker reads it once, at its start.
	Plan string `envconfig:"ANALYTICS_PLAN" desc:"compiled tracking plan (plan.json) that bundles are checked against; read at start"`
	// HashKey is the HMAC key of hashed identifiers.
	HashKey Secret `envconfig:"ANALYTICS_HASH_KEY" desc:"HMAC key for hashed identifiers"`
	// Concurrency is how many jobs one worker holds at once, 1 to 50,000; 0 leaves it to the worker.
	Concurrency int `envconfig:"ANALYTICS_CONCURRENCY" unset:"tuned" desc:"jobs held by one worker, 1 to 50000"`
	// HTTPAddr is where a worker answers operators, as host:port. An empty host is every interface, port 0 a free one.
	HTTPAddr string `envconfig:"ANALYTICS_HTTP_ADDR" default:"127.0.0.1:8080" desc:"operator HTTP; off the loopback only health and metrics work without a token"`
	// UIToken opens the operator pages: bearer token and login.
	UIToken Secret `envconfig:"ANALYTICS_UI_TOKEN" desc:"token for the operator pages"`
	// LogFormat is json, text, or auto: text on a terminal and json elsewhere.
	LogFormat string `envconfig:"ANALYTICS_LOG_FORMAT" default:"auto" oneof:"auto,json,text" desc:"json, text, or auto: text on a terminal"`
}

// Load reads environ, a list of NAME=value as os.Environ returns it; of a name given twice the first counts, as it does
// for os.Getenv. Every problem is reported at once, in an [*Error]: values that cannot be read, settings that contradict
// each other, and ANALYTICS_* or AMPLITUDE_* names that nobody reads.
//
// On error the Settings still hold what was readable, so that a caller who needs more can join its own questions
// ([Settings.RequireDatabase], [Settings.Decide]) to the same report; they are not fit for anything else.
func Load(environ []string) (Settings, error) {
	var s Settings
	env := parse(environ)
	vars := variables(&s)

	var problems []Problem
	for _, v := range vars {
		problems = append(problems, v.read(env)...)
	}
	problems = append(problems, s.contradictions(env)...)
	problems = append(problems, unknown(env, vars)...)
	if len(problems) > 0 {
		return s, &Error{Problems: problems}
	}
	return s, nil
}

// RequireDatabase returns an [*Error] if DATABASE_URL is unset. Programs that connect call it; the others need no
// database.
func (s Settings) RequireDatabase() error {
	if s.DatabaseURL.IsSet() {
		return nil
	}
	return &Error{Problems: []Problem{{Variable: "DATABASE_URL", What: "is not set", Fix: databaseFix}}}
}

// contradictions returns what is wrong between variables that are each fine alone. What is merely missing for delivery
// is not here: a program that never delivers needs no key, and [Settings.Decide] says so to the one that does.
func (s Settings) contradictions(env map[string]string) []Problem {
	var problems []Problem
	report := func(variable, what, fix string) {
		problems = append(problems, Problem{Variable: variable, What: what, Fix: fix})
	}
	if s.APIKey.IsSet() {
		switch {
		case env["ANALYTICS_ENV"] == "":
			report("ANALYTICS_ENV", "is not set, but a live key is",
				"set production to deliver; outside it use AMPLITUDE_SANDBOX_API_KEY")
		case s.Env != production && meansProduction(s.Env):
			report("ANALYTICS_ENV", show(s.Env)+" is a sandbox, but a live key is set",
				"set production to deliver, or unset AMPLITUDE_API_KEY in a sandbox")
		}
		if s.SandboxAPIKey.Reveal() == s.APIKey.Reveal() {
			report("AMPLITUDE_SANDBOX_API_KEY", "is the live key", "set the key of a separate Amplitude project")
		}
	}
	if s.Debug && !slices.Contains([]Mode{"", ModeDebug}, s.Mode) {
		report("ANALYTICS_DEBUG", "asks for debug, but ANALYTICS_MODE is "+string(s.Mode), "unset one of the two")
	}
	return problems
}
