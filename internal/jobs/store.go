package jobs

import (
	"embed"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// query is the text of sql/<name>.sql.
func query(name string) string {
	text, err := sqlFiles.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(err) // embedded at build time
	}
	return string(text)
}

var (
	loadSQL             = query("load")
	claimSQL            = query("claim")
	claimAloneSQL       = query("claim_alone")
	claimAloneLimitsSQL = query("claim_alone_limits")
	clockSQL            = query("clock")
	indexedSQL          = query("indexed")
	parkedSQL           = query("parked")
	profilesInsertSQL   = query("profiles_insert")
	profilesKnownSQL    = query("profiles_known")
	profilesLockSQL     = query("profiles_lock")
	profilesLockFreeSQL = query("profiles_lock_free")
	lookAheadSQL        = query("look_ahead")
	profilesNewSQL      = query("profiles_new")
	profilesPrepareSQL  = query("profiles_prepare")
	profilesStandSQL    = query("profiles_stand")
	profilesSeenSQL     = query("profiles_seen")
	turnLimitsSQL       = query("turn_limits")
	requestOpenSQL      = query("request_open")
	requestsHeldSQL     = query("requests_held")
	settledMeanwhileSQL = query("settled_meanwhile")
	keptSQL             = query("kept")
	outcomesSQL         = query("outcomes")
	walksDueSQL         = query("walks_due")
	recordLockSQL       = query("record_lock")
	recordSQL           = query("record")
	violationsSQL       = query("violations")
)

// store is the loop's side of Postgres: who it is, and which project it speaks of.
type store struct {
	pool    *pgxpool.Pool
	worker  string
	dest    string
	install string
}

// nameSeparator joins names into one text parameter: Postgres has no array of arrays
// of different lengths. Trait names hold no control characters.
const nameSeparator = "\x1f"

func joinNames(names []string) string { return strings.Join(names, nameSeparator) }
