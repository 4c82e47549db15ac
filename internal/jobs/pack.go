package jobs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// limits of one request, by which Prepare packs.
type requestLimits struct{ events, bytes int }

// requestEnvelope is what a request's JSON holds beside its events, in bytes.
const requestEnvelope = 256

// notReserved takes out the bundles that have to wait for a request of this worker, each for
// the one at its place. The profiles would say the same, once they were locked and read.
func (out *sorted) notReserved(items []*item, requests []int64) []*item {
	free := items[:0]
	for i, it := range items {
		if requests[i] == 0 {
			free = append(free, it)
			continue
		}
		out.waitBehind(requests[i], it)
	}
	return free
}

func (out *sorted) waitBehind(request int64, it *item) {
	out.behind[request] = append(out.behind[request], it.back())
}

// free takes out the bundles that must wait for another request: one that is under
// way and may be changing their identities, or one that was cut off and whose own
// bundles go first.
func (out *sorted) free(items []*item) []*item {
	first := map[int64]bool{} // cut-off requests whose bundles are in this batch
	for _, it := range items {
		if it.doubtRequest != 0 {
			first[it.doubtRequest] = true
		}
	}
	free := items[:0]
	for _, it := range items {
		var behind int64
		for _, id := range it.touches() {
			p := out.send.base[id]
			if p != nil && (p.live || p.doubtful && !first[p.heldBy]) {
				behind = p.heldBy
				break
			}
		}
		if behind != 0 {
			out.waitBehind(behind, it)
			continue
		}
		free = append(free, it)
	}
	return free
}

// without takes out those whose fate has changed since they were read; they are read
// anew.
func (out *sorted) without(items []*item, changed map[int64]bool) []*item {
	return slices.DeleteFunc(items, func(it *item) bool {
		if changed[it.id] {
			out.overflow = append(out.overflow, ref{bundle: it.id, job: it.job})
		}
		return changed[it.id]
	})
}

// pack plans as many bundles as one request holds; the others go back in line. A bundle
// is never split over two requests.
func (out *sorted) pack(install string, items []*item, limits requestLimits) {
	plan := newPlanner(install, out.send.now, out.send.base)
	planned := make([][]json.RawMessage, len(items))
	var events, bytes int
	for i, it := range items {
		planned[i] = plan.add(it)
		for _, event := range planned[i] {
			bytes += len(event) + 1
		}
		if events += len(planned[i]); i > 0 && (events > limits.events || bytes > limits.bytes-requestEnvelope) {
			for _, over := range items[i:] {
				out.overflow = append(out.overflow, over.back())
			}
			out.pack(install, items[:i], limits)
			return
		}
	}
	first := &draft{plan: plan, events: make([]json.RawMessage, 0, events), owners: make([]int, 0, events)}
	for i, it := range items {
		if len(planned[i]) == 0 && !slices.ContainsFunc(it.touches(), plan.changes) {
			out.settled = append(out.settled, settled{it, "delivered", cmp.Or(it.plan.said(), "Amplitude holds every trait already")})
			continue
		}
		first.add(len(out.send.items), planned[i])
		out.send.items = append(out.send.items, it)
	}
	for id, s := range plan.states {
		if len(s.told) > 0 {
			out.send.reserved = append(out.send.reserved, id)
		}
	}
	slices.SortFunc(out.send.reserved, compareIdentities)
	out.send.first, out.states, out.bytes = first, plan.states, bytes
}

// seenColumns are the profiles of which only the newest version has moved on.
type seenColumns struct {
	wanted
	at, bundles []int64
}

// allWritten fails unless every profile was found as it was read.
func allWritten(found, wanted int) error {
	if found != wanted {
		return fmt.Errorf("%w: only %d of %d are as they were", errChanged, found, wanted)
	}
	return nil
}

// unchanged are the profiles that bundles of the batch touch and the plan leaves as they are.
func (out *sorted) unchanged() wanted {
	same := newWanted(0)
	for i := range out.touched.ids {
		if id := out.touched.identity(i); out.states[id] != nil && !out.states[id].changed() && !out.send.base[id].isNew() {
			same.add(id)
		}
	}
	return same
}

// places are where profiles stood when they were read, as three columns.
func (out *sorted) places(w wanted) (tids []pgtype.TID, xids []uint32, seenIDs []int64) {
	for i := range w.ids {
		at := out.send.base[w.identity(i)].place
		tids, xids, seenIDs = append(tids, at.tid), append(xids, at.xid), append(seenIDs, at.seenID)
	}
	return tids, xids, seenIDs
}

// scanMoved notes where the profiles stand of which the newest version has moved on.
func (out *sorted) scanMoved(row pgx.Row, seen seenColumns) error {
	var n []int64
	var tids []pgtype.TID
	var xid uint32
	if err := row.Scan(&n, &tids, &xid); err != nil {
		return err
	}
	if err := allWritten(len(n), len(seen.ids)); err != nil {
		return err
	}
	out.moved = make(map[identity]*profile, len(n))
	for i, at := range n {
		id := seen.identity(int(at) - 1)
		out.moved[id] = out.states[id].standing(place{tids[i], xid, seen.bundles[at-1]})
	}
	return nil
}

// reservedColumns are profiles with the request that each is reserved to, nil for none.
type reservedColumns struct {
	profileColumns
	requests []*int64
}

func (c *reservedColumns) reserve(id identity, p *profile, request *int64) {
	c.add(id, p)
	c.requests = append(c.requests, request)
}

// profileRows are the profiles that Prepare writes: those that change, those that only move
// on, and those that have no row yet. A reserved one is written as if its events had been
// accepted: if the answer is lost, nothing older may overtake them.
func (out *sorted) profileRows() (rows reservedColumns, seen seenColumns, made reservedColumns) {
	for i := range out.touched.ids {
		id := out.touched.identity(i)
		s := out.states[id]
		if s == nil || !s.changed() {
			continue
		}
		after, request := s.profile, (*int64)(nil)
		if len(s.told) > 0 {
			after, request = s.attempted(), &out.send.request
		}
		if s.was.isNew() {
			made.reserve(id, after, request)
			continue
		}
		if newest, only := s.onlySeen(); only {
			seen.add(id)
			seen.at, seen.bundles = append(seen.at, newest.at), append(seen.bundles, newest.id)
			continue
		}
		rows.reserve(id, after, request)
	}
	return rows, seen, made
}
