package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// plan is one node of a plan as Postgres executed it.
type plan struct {
	Node    string  `json:"Node Type"`
	Table   string  `json:"Relation Name"`
	Index   string  `json:"Index Name"`
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Cost    float64 `json:"Total Cost"`
	Removed float64 `json:"Rows Removed by Filter"`
	Hit     int     `json:"Shared Hit Blocks"`
	Read    int     `json:"Shared Read Blocks"`
	Part    string  `json:"Subplan Name"`
	Plans   []plan  `json:"Plans"`

	isCompiled bool // or would be, where Postgres can: at the top only
}

// compiledAbove is what Postgres compiles the plan of a statement above, unless it was told
// otherwise (https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-JIT-ABOVE-COST).
const compiledAbove = 100_000

// walk visits the node and all below it.
func (p plan) walk(visit func(plan)) {
	visit(p)
	for _, below := range p.Plans {
		below.walk(visit)
	}
}

// buffers are the pages that the statement touched. What a WITH clause writes is not in
// the sum at the top, and what it reads may be counted twice.
func (p plan) buffers() int {
	sum := p.Hit + p.Read
	for _, below := range p.Plans {
		if strings.HasPrefix(below.Part, "CTE ") {
			sum += below.Hit + below.Read
		}
	}
	return sum
}

var large = []string{"bundle", "delivery", "river_job", "profile"}

const readsAll = "reads all of "

// complaints are what is wrong with a plan.
func (p plan) complaints(limit bound) (all []string) {
	var indexes []string
	p.walk(func(n plan) {
		if n.Index != "" {
			indexes = append(indexes, n.Index)
		}
		if n.Node == "Seq Scan" && slices.Contains(large, n.Table) {
			all = append(all, readsAll+n.Table)
		}
		if rows := (n.Rows + n.Removed) * n.Loops; slices.Contains(large, n.Table) && rows > float64(limit.rows) {
			all = append(all, fmt.Sprintf("%s takes %.0f rows of %s by %q, at most %d", n.Node, rows, n.Table, n.Index, limit.rows))
		}
	})
	if n := p.buffers(); n > limit.buffers {
		all = append(all, fmt.Sprintf("%d buffers, at most %d", n, limit.buffers))
	}
	if p.isCompiled {
		all = append(all, "is compiled, which costs more than it saves")
	}
	if limit.index != "" && !slices.Contains(indexes, limit.index) {
		all = append(all, fmt.Sprintf("uses %v and not %s", indexes, limit.index))
	}
	return all
}

// plans are collected from what auto_explain tells each connection.
type plans struct {
	mu          sync.Mutex
	byStatement map[string][]plan
	waiting     []string
	complete    chan struct{}
}

// listen makes every connection of a pool explain what it executes, statements inside of
// functions included (https://www.postgresql.org/docs/current/auto-explain.html).
func (s *plans) listen(cfg *pgxpool.Config, planCache string) {
	cfg.MaxConns = 12
	cfg.ConnConfig.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { s.note(notice.Message) }
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `LOAD 'auto_explain';
			SET auto_explain.log_min_duration = 0;
			SET auto_explain.log_analyze = on;
			SET auto_explain.log_buffers = on;
			SET auto_explain.log_timing = off;
			SET auto_explain.log_nested_statements = on;
			SET auto_explain.log_format = json;
			SET auto_explain.log_level = notice;
			SET auto_explain.log_settings = on;
			SET jit = on; -- as Postgres comes
			SET plan_cache_mode = `+planCache)
		if err != nil {
			return fmt.Errorf("read plans, for which the role of TEST_DATABASE_URL has to be a superuser: %w", err)
		}
		return nil
	}
}

func (s *plans) note(message string) {
	_, text, found := strings.Cut(message, "plan:\n")
	if !found {
		return
	}
	var explained struct {
		Text     string            `json:"Query Text"`
		Plan     plan              `json:"Plan"`
		Settings map[string]string `json:"Settings"`
	}
	if err := json.Unmarshal([]byte(text), &explained); err != nil {
		panic(fmt.Sprintf("cannot read a plan: %v\n%s", err, text))
	}
	explained.Plan.isCompiled = explained.Plan.Cost > compiledAbove && explained.Settings["jit"] != "off"
	s.mu.Lock()
	defer s.mu.Unlock()
	name := nameOf(explained.Text)
	s.byStatement[name] = append(s.byStatement[name], explained.Plan)
	s.check()
}

// all is closed when each of the statements was seen.
func (s *plans) all(names ...string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting, s.complete = names, make(chan struct{})
	complete := s.complete
	s.check()
	return complete
}

func (s *plans) check() {
	if s.complete == nil {
		return
	}
	for _, name := range s.waiting {
		if len(s.byStatement[name]) == 0 {
			return
		}
	}
	close(s.complete)
	s.complete = nil
}

// forget leaves what was executed so far unjudged: on small tables anything goes.
func (s *plans) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byStatement)
}

func (s *plans) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.byStatement))
}

// judge holds every plan against its bound, those not in full only against what takes longest,
// and asks that all bounds were tried.
func (s *plans) judge(t *testing.T, inFull func(statement string) bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range bounds {
		require.NotEmptyf(t, s.byStatement[name], "%s was never executed", name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.byStatement)) {
		executed, limit := s.byStatement[name], boundOf(name)
		complaints, worst, dearest := map[string]int{}, 0, 0.0
		for _, p := range executed {
			worst, dearest = max(worst, p.buffers()), max(dearest, p.Cost)
			for _, complaint := range p.complaints(limit) {
				complaints[complaint]++
			}
		}
		t.Logf("%s: %d times, at most %d buffers, cost at most %.0f", name, len(executed), worst, dearest)
		for complaint, n := range complaints {
			if !inFull(name) && !strings.HasPrefix(complaint, readsAll) && !strings.HasPrefix(complaint, "is compiled") {
				continue
			}
			t.Errorf("%s: %s (%d of %d times)", name, complaint, n, len(executed))
		}
	}
}

// files are our statements by their text.
var files = sync.OnceValue(func() map[string]string {
	paths, err := filepath.Glob("sql/*.sql")
	if err != nil {
		panic(err)
	}
	byText := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		byText[strings.TrimSpace(string(text))] = filepath.Base(path)
	}
	return byText
})

var riversName = regexp.MustCompile(`^-- name: (\w+)`)

// nameOf is our file, River's name for a statement, or its beginning.
func nameOf(text string) string {
	text = strings.TrimSpace(text)
	if name, ours := files()[text]; ours {
		return name
	}
	if m := riversName.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	words := strings.Join(strings.Fields(text), " ")
	return words[:min(len(words), 60)]
}
