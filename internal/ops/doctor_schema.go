package ops

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"waybill/migrations"
)

// role is one of the three, as the current login stands to it.
type role struct {
	Name    string
	Exists  bool
	Belongs bool
}

func (e *examination) checkGrants(ctx context.Context) ([]Finding, error) {
	missing, err := read(ctx, e, "doctor_missing_rights", pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	roles, err := read(ctx, e, "doctor_roles", pgx.RowToStructByPos[role])
	if err != nil {
		return nil, err
	}
	return judgeGrants(e.server.Role, missing, roles), nil
}

func judgeGrants(login string, missing []string, roles []role) []Finding {
	var absent []string
	belongs := map[string]bool{}
	for _, r := range roles {
		if !r.Exists {
			absent = append(absent, r.Name)
		}
		belongs[r.Name] = r.Belongs
	}
	const printGrants = "worker migrate --print-grants | psql, as somebody who may create roles"
	lacks := fmt.Sprintf("role %s lacks %s", login, some(missing))
	switch {
	case len(absent) > 0 && len(missing) > 0:
		return fail(printGrants, "%s; there is no role %s", lacks, strings.Join(absent, ", "))
	case len(absent) > 0:
		return warn(printGrants, "role %s may work, but there is no role %s", login, strings.Join(absent, ", "))
	case len(missing) == 0:
		return ok("role %s may do what a worker does", login)
	case belongs["waybill_worker"]:
		return fail("worker migrate --print-grants | psql, as the owner of the schema", "%s, though it belongs to waybill_worker", lacks)
	case belongs["waybill_operator"]:
		return ok("role %s is an operator's: it may look, retry and resolve, not deliver", login)
	}
	return fail(fmt.Sprintf("GRANT waybill_worker TO %s", pgx.Identifier{login}.Sanitize()), "%s", lacks)
}

// some names the first of many.
func some(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

func (e *examination) checkExposure(ctx context.Context) ([]Finding, error) {
	type grant struct{ Grantee, Right string }
	grants, err := read(ctx, e, "doctor_exposed", pgx.RowToStructByPos[grant])
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, g := range grants {
		findings = append(findings, fail(fmt.Sprintf("REVOKE %s FROM %s", g.Right, g.Grantee),
			"%s has %s", g.Grantee, g.Right)...)
	}
	if findings == nil {
		return ok("producers and operators can read no payload"), nil
	}
	return findings, nil
}

// object is a row of manifest.sql.
type object struct{ Kind, Name, Detail string }

// manifestText is manifest.sql's answer on a database that was just migrated, one
// object a line, tabs between. A test writes it anew: go test ./internal/ops -run
// Manifest -update
//
//go:embed manifest.tsv
var manifestText string

func manifest() []object {
	var objects []object
	for line := range strings.Lines(manifestText) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		name, detail, _ := strings.Cut(rest, "\t")
		objects = append(objects, object{kind, name, detail})
	}
	return objects
}

func (e *examination) checkSchema(ctx context.Context) ([]Finding, error) {
	step, err := Step(ctx, e.conn)
	if err != nil {
		return nil, err
	}
	if step > migrations.Version() {
		return ok("made by a newer worker (step %d, this one knows %d); not compared", step, migrations.Version()), nil
	}
	present, err := read(ctx, e, "manifest", pgx.RowToStructByPos[object])
	if err != nil {
		return nil, err
	}
	return judgeSchema(manifest(), present), nil
}

// judgeSchema compares what should stand in the schema with what does. More than should
// is no fault: a newer step may have added it, or you.
func judgeSchema(expected, present []object) []Finding {
	var findings []Finding
	there := catalogueOf(present)
	for _, o := range expected {
		detail, exists := there[o.key()]
		switch {
		case o.Kind == "option":
			// autovacuum's check
		case (o.Kind == "column" || o.Kind == "constraint") && !there.hasRelation(o.Name):
			// its table is missing, and that is said once
		case !exists && o.Kind == "index":
			findings = append(findings, fail(concurrently(o.Detail), "index %s is missing", o.Name)...)
		case !exists && o.Kind == "constraint":
			findings = append(findings, fail(o.Detail, "constraint %s is missing", o.Name)...)
		case !exists:
			findings = append(findings, fail("worker migrate --print shows how it is made; run that part",
				"%s %s is missing", o.Kind, o.Name)...)
		case detail != o.Detail && (o.Kind == "function" || o.Kind == "column"):
			findings = append(findings, fail("worker migrate --print shows how it should be; run that part",
				"%s %s is not the one that belongs to this version", o.Kind, o.Name)...)
		}
	}
	if findings == nil {
		return ok("the %d objects of schema waybill are as they should be", len(expected))
	}
	return findings
}

type objectKey struct{ kind, name string }

func (o object) key() objectKey { return objectKey{o.Kind, o.Name} }

// catalogue is the detail of each object.
type catalogue map[objectKey]string

func catalogueOf(objects []object) catalogue {
	c := make(catalogue, len(objects))
	for _, o := range objects {
		c[o.key()] = o.Detail
	}
	return c
}

// hasRelation says whether the table or view of a column or constraint exists.
func (c catalogue) hasRelation(part string) bool {
	name, _, _ := strings.Cut(part, ".")
	_, table := c[objectKey{"table", name}]
	_, view := c[objectKey{"view", name}]
	return table || view
}

// concurrently makes an index's definition harmless to run while workers work.
func concurrently(definition string) string {
	for _, create := range []string{"CREATE UNIQUE INDEX ", "CREATE INDEX "} {
		if rest, found := strings.CutPrefix(definition, create); found {
			return create + "CONCURRENTLY " + rest
		}
	}
	return definition
}

func (e *examination) checkIndexes(ctx context.Context) ([]Finding, error) {
	type unsound struct {
		Name       string
		Valid, Gin bool
	}
	indexes, err := read(ctx, e, "doctor_indexes", pgx.RowToStructByPos[unsound])
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, i := range indexes {
		switch {
		case i.Gin:
			findings = append(findings, warn("DROP INDEX CONCURRENTLY waybill."+i.Name,
				"River's GIN index %s is back; nothing uses it, and it halves the rate of enqueue and drain", i.Name)...)
		case strings.Contains(i.Name, "_ccnew") || strings.Contains(i.Name, "_ccold"):
			findings = append(findings, warn("DROP INDEX CONCURRENTLY waybill."+i.Name,
				"index %s is what an interrupted REINDEX left behind", i.Name)...)
		default:
			findings = append(findings, fail("REINDEX INDEX CONCURRENTLY waybill."+i.Name, "index %s is invalid", i.Name)...)
		}
	}
	if findings == nil {
		return ok("all are valid, and River's GIN indexes are gone"), nil
	}
	return findings, nil
}
