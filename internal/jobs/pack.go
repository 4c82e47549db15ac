package jobs

import (
	"maps"
	"slices"
)

// limits of one request, by which Prepare packs.
type requestLimits struct{ events, bytes int }

// requestEnvelope is what a request's JSON holds beside its events, in bytes.
const requestEnvelope = 256

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
			out.behind[behind] = append(out.behind[behind], ref{it.id, it.job})
			continue
		}
		free = append(free, it)
	}
	return free
}

// pack plans as many bundles as one request holds; the others go back in line. A bundle
// is never split over two requests.
func (out *sorted) pack(install string, items []*item, limits requestLimits) {
	plan := newPlanner(install, out.send.now, out.send.base)
	silent := make([]bool, len(items))
	var events, bytes int
	for i, it := range items {
		planned := plan.add(it)
		silent[i] = len(planned) == 0
		for _, event := range planned {
			bytes += len(event) + 1
		}
		if events += len(planned); i > 0 && (events > limits.events || bytes > limits.bytes-requestEnvelope) {
			for _, over := range items[i:] {
				out.overflow = append(out.overflow, ref{over.id, over.job})
			}
			out.pack(install, items[:i], limits)
			return
		}
	}
	for i, it := range items {
		if silent[i] && !slices.ContainsFunc(it.touches(), plan.changes) {
			out.settled = append(out.settled, settled{it, "delivered", "Amplitude holds every trait already"})
			continue
		}
		out.send.items = append(out.send.items, it)
	}
	for id, s := range plan.states {
		if len(s.told) > 0 {
			out.send.reserved = append(out.send.reserved, id)
		}
	}
	slices.SortFunc(out.send.reserved, compareIdentities)
	out.states, out.bytes = plan.states, bytes
}

// profileRows are the profiles that Prepare writes, with the request that each is
// reserved to, nil for those that only move on. A reserved one is written as if its
// events had been accepted: if the answer is lost, nothing older may overtake them.
func (out *sorted) profileRows() (rows profileColumns, requests []*int64) {
	for _, id := range slices.SortedFunc(maps.Keys(out.states), compareIdentities) {
		switch s := out.states[id]; {
		case len(s.told) > 0:
			rows.add(id, s.attempted())
			requests = append(requests, &out.send.request)
		case s.moved:
			rows.add(id, s.profile)
			requests = append(requests, nil)
		}
	}
	return rows, requests
}
